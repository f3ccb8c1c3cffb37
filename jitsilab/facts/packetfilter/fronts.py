"""Filters by the programs that people set them with: ufw, firewalld, and a cloud's security groups."""

import json
import re
from typing import Any
from xml.etree.ElementTree import Element as Node
from xml.etree.ElementTree import ParseError, XMLParser

from jitsilab.facts.packetfilter.model import Action, Chain, Condition, Rule, Ruleset

SERVICES: dict[str, tuple[str, ...]] = {  # what ufw's profiles and firewalld's services open
    "ssh": ("22/tcp",), "openssh": ("22/tcp",), "http": ("80/tcp",), "https": ("443/tcp",), "www": ("80/tcp",),
    "www full": ("80/tcp", "443/tcp"), "www secure": ("443/tcp",), "www cache": ("8080/tcp",),
    "nginx full": ("80/tcp", "443/tcp"), "nginx http": ("80/tcp",), "nginx https": ("443/tcp",),
    "nginx quic": ("443/udp",), "apache": ("80/tcp",), "apache full": ("80/tcp", "443/tcp"),
    "apache secure": ("443/tcp",), "dhcpv6-client": ("546/udp",), "dhcp": ("67/udp",), "dns": ("53/tcp", "53/udp"),
    "mdns": ("5353/udp",), "ntp": ("123/udp",), "cockpit": ("9090/tcp",), "http3": ("443/udp",),
    "xmpp-client": ("5222/tcp",), "xmpp-server": ("5269/tcp",), "xmpp-bosh": ("5280/tcp",),
    "xmpp-local": ("5298/tcp", "5298/udp"), "samba-client": ("137/udp", "138/udp"), "ipp-client": ("631/udp",),
    "smtp": ("25/tcp",), "smtps": ("465/tcp",), "imap": ("143/tcp",), "imaps": ("993/tcp",), "ldap": ("389/tcp",),
    "ldaps": ("636/tcp",), "mysql": ("3306/tcp",), "postgresql": ("5432/tcp",), "docker-registry": ("5000/tcp",),
    "openvpn": ("1194/udp",), "wireguard": ("51820/udp",), "prometheus": ("9090/tcp",), "grafana": ("3000/tcp",),
    "prometheus-node-exporter": ("9100/tcp",), "sip": ("5060/tcp", "5060/udp"), "sips": ("5061/tcp", "5061/udp"),
    "jenkins": ("8080/tcp",), "ftp": ("21/tcp",), "tor-socks": ("9050/tcp",), "snmp": ("161/udp", "161/tcp"),
    "rdp": ("3389/tcp", "3389/udp"), "vnc-server": ("5900-5903/tcp",), "stun": ("3478/tcp", "3478/udp"),
    "stuns": ("5349/tcp", "5349/udp"), "turn": ("3478/tcp", "3478/udp"), "turns": ("5349/tcp", "5349/udp"),
    "turnserver": ("3478/tcp", "3478/udp", "5349/tcp", "5349/udp"), "zabbix-agent": ("10050/tcp",),
}  # fmt: skip


def _base(ruleset: Ruleset, table: str, policy: str, place: str, family: str = "inet") -> Chain:
    chain = ruleset.table(family, table).chain("input")
    chain.hook, chain.policy, chain.place = "input", policy, place
    return chain


def _port(port: str, transport: str, text: str) -> list[Condition]:
    name = f"{transport or 'th'} dport"
    elements = tuple((part.replace(":", "-"),) for part in port.split(",") if part)
    return [Condition((name,), elements, text=text)]


def _service(name: str) -> list[tuple[str, str]] | None:
    ports = SERVICES.get(name.lower())
    return None if ports is None else [(port.partition("/")[0], port.partition("/")[2]) for port in ports]


# ufw

_UFW = re.compile(
    r"^(?:\[\s*\d+\]\s+)?(?P<to>\S.*?)\s+(?P<action>ALLOW|DENY|REJECT|LIMIT)(?:\s+(?P<way>IN|OUT|FWD))?\s+"
    r"(?P<from>\S.*?)\s*$"
)


def read_ufw(text: str, ruleset: Ruleset) -> bool:
    """`ufw status [verbose|numbered]`; True where it says that ufw is active."""
    status = re.search(r"(?mi)^[ \t]*Status:[ \t]*(\w+)", text)
    if status is None or status[1].lower() != "active":
        return False
    default = re.search(r"(?mi)^Default:\s*(allow|deny|reject)\s*\(incoming\)", text)
    place = f"{ruleset.place}:{text.count(chr(10), 0, (default or status).start()) + 1}"
    chains = [_base(ruleset, f"ufw{version}", "drop", place, family) for version, family in (("4", "ip"), ("6", "ip6"))]
    for number, line in enumerate(text.splitlines(), 1):
        match = _UFW.match(re.sub(r"\s+#.*$|\s+\((log|log-all)[^)]*\)", "", line))
        if match is None or match["way"] in ("OUT", "FWD") or line.startswith(("To ", "Default:")):
            continue
        six = "(v6)" in line
        rules = _ufw_rules(match, f"{ruleset.place}:{number}")
        chains[1 if six else 0].rules += rules
        if not six and re.search(r"[0-9a-f]*:[0-9a-f]*:[0-9a-f:]*", match["from"]):
            chains[1].rules += rules
    last = Rule([], Action("accept" if default and default[1].lower() == "allow" else "drop"), place)
    if default is None:
        last.conditions = [Condition((), (), text="ufw's default, which only `ufw status verbose` shows")]
        for chain in chains:
            chain.policy = "accept"
    for chain in chains:
        chain.rules.append(last)
    return True


def _ufw_rules(match: re.Match[str], place: str) -> list[Rule]:
    action = Action("accept" if match["action"] in ("ALLOW", "LIMIT") else "drop")
    to = match["to"].replace("(v6)", "").strip()
    conditions: list[Condition] = []
    source = match["from"].replace("(v6)", "").strip()
    source, _, inward = source.partition(" on ")
    to, _, interface = to.partition(" on ")
    if interface or inward:
        name = (interface or inward).strip()
        conditions.append(Condition(("iifname",), ((name,),), text=f"on {name}"))
    sender = source.split()
    if sender and not sender[0].startswith("Anywhere"):
        conditions.append(Condition(("saddr",), ((sender[0].partition("/tcp")[0],),), text=f"from {sender[0]}"))
    words = to.split()
    if words and re.match(r"[\da-fA-F.:]+[.:][\da-fA-F.:]*(/\d+)?$", words[0]):
        address = words.pop(0)
        conditions.append(Condition(("daddr",), ((address,),), text=f"to {address}"))
    what = " ".join(words)
    if what in ("", "Anywhere"):
        return [Rule(conditions, action, place)]
    port, slash, transport = what.partition("/")
    if re.fullmatch(r"[\d:,]+", port):
        return [Rule([*conditions, *_port(port, transport.lower() if slash else "", what)], action, place)]
    if what.startswith("Anywhere/"):
        return [Rule([*conditions, Condition(("meta l4proto",), ((transport.lower(),),))], action, place)]
    known = _service(what)
    if known is None:
        unread = Condition((), (), text=f"the profile {what}, which is not known")
        return [Rule([*conditions, unread], action, place)]
    return [Rule([*conditions, *_port(port, transport, what)], action, place) for port, transport in known]


# firewalld


def read_firewalld(text: str, ruleset: Ruleset) -> bool:
    """`firewall-cmd --list-all`, `--list-all-zones`: a zone a chain; a stranger's zone is that of the interface."""
    zones: list[tuple[str, bool, dict[str, tuple[str, str]], str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        place = f"{ruleset.place}:{number}"
        head = re.match(r"^([\w-]+)(?: \(([\w, ]+)\))?\s*$", line)
        if head:
            zones.append((head[1], "active" in (head[2] or "") or head[2] is None, {}, place))
            continue
        entry = re.match(r"^\s+([\w -]+):\s*(.*)$", line)
        if entry and zones:
            zones[-1][2][entry[1]] = (entry[2].strip(), place)
        elif zones and line.strip() and "rich rules" in zones[-1][2]:
            before = zones[-1][2]["rich rules"][0]
            zones[-1][2]["rich rules"] = (f"{before}\n{line.strip()}\t{place}".strip(), place)
    active = [zone for zone in zones if zone[1] and zone[2].get("target")]
    by_interface = [zone for zone in active if zone[2].get("interfaces", ("", ""))[0]] or active
    if not by_interface:
        return False
    table = ruleset.table("inet", "firewalld")
    base = _base(ruleset, "firewalld", "drop", by_interface[0][3])
    for name, _, values, place in by_interface:
        chain = table.chain(f"zone {name}")
        interfaces = values.get("interfaces", ("", ""))[0].split()
        _zone(chain, values, place)
        condition = [
            Condition(("iifname",), tuple((interface,) for interface in interfaces), text=f"interfaces {interfaces}")
        ]
        alone = len(by_interface) == 1
        base.rules.append(Rule([] if alone else condition, Action("goto", chain.name), place))
    return True


def _zone(chain: Chain, values: dict[str, tuple[str, str]], place: str) -> None:
    rich, _ = values.get("rich rules", ("", ""))
    for line in filter(None, rich.split("\n")):
        rule, _, where = line.partition("\t")
        chain.rules += _rich(rule, where or place)
    for key in ("services", "ports", "protocols", "source-ports", "forward-ports"):
        words, where = values.get(key, ("", ""))
        for word in words.split():
            chain.rules += _opened(key, word, where)
    target, where = values.get("target", ("default", place))
    chain.rules.append(Rule([], Action("accept" if target == "ACCEPT" else "drop"), where or place))


def _opened(key: str, word: str, place: str) -> list[Rule]:
    if key == "services":
        ports = _service(word)
        if ports is None:
            unread = Condition((), (), text=f"the service {word}, whose ports are not known")
            return [Rule([unread], Action("accept"), place)]
        return [Rule(_port(port, transport, word), Action("accept"), place) for port, transport in ports]
    if key == "ports":
        port, _, transport = word.partition("/")
        return [Rule(_port(port, transport, word), Action("accept"), place)]
    if key == "protocols":
        return [Rule([Condition(("meta l4proto",), ((word,),))], Action("accept"), place)]
    if key == "forward-ports":  # translated before the filter, and let in by it
        to = re.search(r"toport=(\d+)", word) or re.search(r"port=([\d-]+)", word)
        kind = re.search(r"proto=(\w+)", word)
        if to and kind and not re.search(r"toaddr=[^:\s]", word):
            return [Rule(_port(to[1], kind[1], word), Action("accept"), place)]
    return []


def _rich(text: str, place: str) -> list[Rule]:
    verdict = re.search(r"\b(accept|drop|reject)\b", text)
    if verdict is None:
        return []
    conditions: list[Condition] = []
    source = re.search(r'source (NOT )?(?:address|ipset|mac)="([^"]*)"', text)
    if source:
        elements = ((source[2],),) if 'address="' in source[0] else ()
        conditions.append(Condition(("saddr",), elements, bool(source[1]), text=source[0]))
    family = re.search(r'family="(ipv[46])"', text)
    if family:
        conditions.append(Condition(("meta nfproto",), ((family[1],),), text=family[0]))
    destination = re.search(r'destination (NOT )?address="([^"]*)"', text)
    if destination:
        conditions.append(Condition(("daddr",), ((destination[2],),), bool(destination[1]), text=destination[0]))
    action = Action("accept" if verdict[1] == "accept" else "drop")
    port = re.search(r'(?<!source-)\bport (?:port="([^"]*)" protocol="(\w+)"|protocol="(\w+)" port="([^"]*)")', text)
    if port:
        conditions += _port(port[1] or port[4], port[2] or port[3], port[0])
    service = re.search(r'service name="([^"]*)"', text)
    if service:
        ports = _service(service[1])
        if ports is None:
            return [Rule([*conditions, Condition((), (), text=service[0])], action, place)]
        return [Rule([*conditions, *_port(number, kind, service[0])], action, place) for number, kind in ports]
    return [Rule(conditions, action, place)]


def read_zone_file(text: str, ruleset: Ruleset) -> bool:
    """A zone of /etc/firewalld/zones as XML."""
    if "<!" in text.replace("<!--", "") and re.search(r"<!(DOCTYPE|ENTITY)", text):
        return False
    try:
        parser = XMLParser()
        parser.feed(text)
        root: Node = parser.close()
    except (ParseError, ValueError):
        return False
    if root.tag != "zone":
        return False
    place = ruleset.place
    chain = _base(ruleset, "firewalld", "drop", place)
    ordered = [*root.findall("rule"), *(node for node in root if node.tag != "rule")]
    for node in ordered:
        if node.tag == "rule":
            chain.rules += _rich(_rich_text(node), place)
        elif node.tag == "service":
            chain.rules += _opened("services", node.get("name", ""), place)
        elif node.tag == "port":
            chain.rules += _opened("ports", f"{node.get('port')}/{node.get('protocol')}", place)
        elif node.tag == "protocol":
            chain.rules += _opened("protocols", node.get("value", ""), place)
    chain.rules.append(Rule([], Action("accept" if root.get("target") == "ACCEPT" else "drop"), place))
    return True


def _rich_text(rule: Node) -> str:
    words = [f'rule family="{rule.get("family")}"' if rule.get("family") else "rule"]
    for node in rule:
        invert = "NOT " if node.get("invert") in ("True", "true", "yes") else ""
        attributes = " ".join(f'{key}="{value}"' for key, value in node.attrib.items() if key != "invert")
        words.append(f"{node.tag} {invert}{attributes}".strip())
    return " ".join(words)


# A cloud's groups


def read_security_groups(text: str, ruleset: Ruleset) -> bool:
    """`aws ec2 describe-security-groups`: what comes in is let in by a rule, or not at all."""
    try:
        groups = json.loads(text)["SecurityGroups"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    if not isinstance(groups, list):
        return False
    chain = _base(ruleset, "security groups", "drop", ruleset.place)
    for permission in (p for g in groups if isinstance(g, dict) for p in _list(g.get("IpPermissions"))):
        conditions: list[Condition] = []
        transport = str(permission.get("IpProtocol", "-1"))
        if transport != "-1":
            conditions.append(Condition(("meta l4proto",), ((transport,),)))
            low, high = permission.get("FromPort"), permission.get("ToPort")
            if isinstance(low, int) and isinstance(high, int) and low >= 0:
                conditions.append(Condition((f"{transport} dport",), ((f"{low}-{high}",),)))
        ranges = [str(r.get("CidrIp")) for r in _list(permission.get("IpRanges"))]
        ranges += [str(r.get("CidrIpv6")) for r in _list(permission.get("Ipv6Ranges"))]
        sources = tuple((cidr,) for cidr in ranges)
        conditions.append(Condition(("saddr",), sources, text="sources"))
        chain.rules.append(Rule(conditions, Action("accept"), ruleset.place))
    return True


def _list(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
