"""iptables: what `iptables-save`, `iptables -S` and `iptables -L -n -v` print, as the rules of nft that they are."""

import re
import shlex
from collections.abc import Callable

from jitsilab.facts.packetfilter.model import CONTINUE, Action, Condition, Element, Rule, Ruleset, Table
from jitsilab.numerals import whole

_HOOKS = {
    "PREROUTING": "prerouting", "INPUT": "input", "FORWARD": "forward", "OUTPUT": "output",
    "POSTROUTING": "postrouting",
}  # fmt: skip
_PRIORITY = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}
_TARGETS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return", "TARPIT": "drop"}
_QUIET = {  # targets after which the next rule is looked at, or that nat alone has
    "LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "TRACE", "CT", "NOTRACK", "TCPMSS", "DSCP", "TOS", "TTL", "CHECKSUM",
    "CLASSIFY", "AUDIT", "SET", "SECMARK", "CONNSECMARK", "HL", "TEE",
}  # fmt: skip
_NAT = {"SNAT", "DNAT", "MASQUERADE", "REDIRECT", "NETMAP"}
_FLAG_OPTIONS = {  # options without a value that say nothing of a first packet
    "--rttl", "--rsource", "--rdest", "--update", "--set", "--rcheck", "--remove", "--reap", "--random",
    "--random-fully", "--persistent", "--log-tcp-options", "--log-ip-options", "--log-uid", "--log-tcp-sequence",
    "--log-macdecode", "--clamp-mss-to-pmtu", "--restore-mark", "--save-mark", "--notrack", "--checksum-fill",
}  # fmt: skip


def family(text: str, name: str) -> str:
    """``ip`` or ``ip6``: the name of the program or the file, or the addresses, tell."""
    if re.search(r"ip6tables|ip6t|v6\b|rules\.v6", f"{name} {text[:200]}") or re.search(r"(?m)^-A .*::/\d", text):
        return "ip6"
    if re.search(r"(?m)^-[AI] .*(-p (ipv6-)?icmpv6|icmp6-)", text):
        return "ip6"
    return "ip"


def parse(text: str, ruleset: Ruleset, name: str) -> None:
    """Add the tables of a dump, of a list of commands (-S), or of a listing (-L -v)."""
    kind = family(text, name)
    if re.search(r"(?m)^Chain \S+ \((policy|\d+ references)", text):
        _listing(text, ruleset, kind)
        return
    table: Table | None = None
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        place = f"{ruleset.place}:{number}"
        line = re.sub(r"^(?:sudo )?ip6?tables(?:-nft|-legacy)? (?=-)", "", line)
        if not line or line.startswith("#") or line == "COMMIT":
            continue
        if line.startswith("*"):
            table = ruleset.table(kind, line[1:].strip())
            continue
        table = table or ruleset.table(kind, "filter")
        words = _words(line)
        if line.startswith(":"):
            parts = line[1:].split()
            if parts:
                _chain(table, parts[0], parts[1] if len(parts) > 1 else "-", place)
        elif words and words[0] in ("-P", "-N", "--policy", "--new-chain") and len(words) > 1:
            _chain(table, words[1], words[2] if len(words) > 2 else "-", place)
        elif words and words[0] in ("-A", "-I", "--append", "--insert") and len(words) > 1:
            chain = table.chain(words[1])
            if words[1] in _HOOKS and not chain.hook:
                _chain(table, words[1], "?", place)
            rest = words[2:]
            where = len(chain.rules) if words[0] in ("-A", "--append") else 0
            if rest and (asked := whole(rest[0])) is not None:
                where, rest = max(asked - 1, 0), rest[1:]
            chain.rules.insert(where, _rule(rest, place))
        elif words and words[0] in ("-F", "-X", "-Z"):
            continue
        else:
            ruleset.notes.append(f"{place}: not understood as iptables")


def _words(line: str) -> list[str]:
    line = re.sub(r"^\[\d+:\d+\]\s*", "", line)
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _chain(table: Table, name: str, policy: str, place: str) -> None:
    chain = table.chain(name)
    chain.place = place
    if name in _HOOKS:
        chain.hook = _HOOKS[name]
        chain.kind = "nat" if table.name == "nat" else "filter"
        chain.priority = _PRIORITY.get(table.name, 0)
        chain.policy = "accept" if policy.upper() == "ACCEPT" else "drop" if policy.upper() == "DROP" else "accept"
        if policy == "?":
            chain.rules.append(Rule([], CONTINUE, place))


class _Builder:
    """Options of one rule as conditions."""

    def __init__(self) -> None:
        self.conditions: list[Condition] = []
        self.protocol = ""
        self.action = CONTINUE
        self.unread: list[str] = []
        self.recent: list[str] = []

    def add(self, name: str, elements: list[Element], negated: bool, text: str) -> None:
        self.conditions.append(Condition((name,), tuple(elements), negated, text=text))


def _values(value: str) -> list[Element]:
    return [
        (part.replace(":", "-", 1) if re.fullmatch(r"\d*:\d*", part) else part,) for part in value.split(",") if part
    ]


def _ports(value: str) -> list[Element]:
    elements: list[Element] = []
    for part in value.split(","):
        low, colon, high = part.partition(":")
        elements.append((f"{low or 0}-{high or 65535}" if colon else part,))
    return elements


def _rule(words: list[str], place: str) -> Rule:
    built = _Builder()
    at = 0
    while at < len(words):
        word = words[at]
        negated = False
        if word == "!":
            negated, at = True, at + 1
            word = words[at] if at < len(words) else ""
        value = words[at + 1] if at + 1 < len(words) else ""
        if value == "!":  # the old place of the mark
            negated, at = True, at + 1
            value = words[at + 1] if at + 1 < len(words) else ""
        at += _option(built, word, value, negated, words, at)
    if built.recent:
        built.conditions += _recent(built.recent)
    rule = Rule(built.conditions, built.action, place)
    if built.unread:
        rule.conditions.append(Condition((), (), text=", ".join(dict.fromkeys(built.unread))))
    return rule


def _recent(options: list[str]) -> list[Condition]:
    """-m recent: somebody who was not there before is on no list; with a count of hits it is a rate."""
    if "--set" in options:
        return []
    return [Condition(("meta nfproto",), (), text="recent")]


def _option(built: _Builder, word: str, value: str, negated: bool, words: list[str], at: int) -> int:
    """Take one option; gives how many words it took."""
    text = f"{'! ' if negated else ''}{word} {value}"
    simple: dict[str, Callable[[], None]] = {
        "-i": lambda: built.add("iifname", [(value.replace("+", "*"),)], negated, text),
        "-o": lambda: built.add("oifname", [(value.replace("+", "*"),)], negated, text),
        "-s": lambda: built.add("saddr", _values_of_addresses(value), negated, text),
        "-d": lambda: built.add("daddr", _values_of_addresses(value), negated, text),
        "--src-range": lambda: built.add("saddr", [(value,)], negated, text),
        "--dst-range": lambda: built.add("daddr", [(value,)], negated, text),
        "--ctstate": lambda: built.add("ct state", _lower(value), negated, text),
        "--state": lambda: built.add("ct state", _lower(value), negated, text),
        "--ctstatus": lambda: built.add("ct status", _lower(value), negated, text),
        "--ctdir": lambda: built.add("ct direction", _lower(value), negated, text),
        "--ctorigdstport": lambda: built.add("ct original proto-dst", _ports(value), negated, text),
        "--dst-type": lambda: built.add("fib daddr type", _lower(value), negated, text),
        "--src-type": lambda: built.add("fib saddr type", _lower(value), negated, text),
        "--pkt-type": lambda: built.add("meta pkttype", _lower(value), negated, text),
        "--icmp-type": lambda: built.add("icmp type", [(value,)], negated, text),
        "--icmpv6-type": lambda: built.add("icmpv6 type", [(value,)], negated, text),
    }
    names = {"--in-interface": "-i", "--out-interface": "-o", "--source": "-s", "--src": "-s", "--destination": "-d",
             "--dst": "-d", "--protocol": "-p", "--jump": "-j", "--goto": "-g", "--match": "-m",
             "--destination-port": "--dport", "--source-port": "--sport", "--destination-ports": "--dports",
             "--source-ports": "--sports"}  # fmt: skip
    word = names.get(word, word)
    if word in simple:
        simple[word]()
        return 2
    if word == "-p":
        built.protocol = value.lower()
        if value.lower() not in ("all", "0"):
            built.add("meta l4proto", [(value.lower(),)], negated, text)
        return 2
    if word in ("--dport", "--dports", "--sport", "--sports", "--ports"):
        side = "sport" if "sport" in word else "dport"
        built.add(f"{built.protocol or 'th'} {side}", _ports(value), negated, text)
        return 2
    if word == "--syn":
        built.add("tcp flags", [("syn/fin,syn,rst,ack",)], negated, text)
        return 1
    if word == "--tcp-flags":
        wanted = words[at + 2] if at + 2 < len(words) else ""
        mask, wanted = value.lower(), wanted.lower()
        built.add("tcp flags", [(f"{wanted}/{mask}",)], negated, f"{text} {wanted}")
        return 3
    if word == "-m":
        if value == "recent":
            built.recent.append("recent")
        return 2
    if word in _FLAG_OPTIONS:
        if built.recent:
            built.recent.append(word)
        return 1
    if word in ("-j", "-g"):
        _target(built, word, value, words[at + 2 :])
        return len(words) if value in (*_QUIET, *_NAT, "REJECT") else 2
    if word in ("--limit", "--limit-burst", "--comment", "--hashlimit-mode", "--hashlimit-name", "--hashlimit-burst",
                "--hashlimit-upto", "--hashlimit", "--hashlimit-htable-size", "--hashlimit-htable-max",
                "--hashlimit-htable-expire", "--hashlimit-srcmask", "--seconds", "--hitcount", "--name", "--mask",
                "--connlimit-mask", "--connlimit-upto", "--reject-with", "-c"):  # fmt: skip
        return 3 if word == "-c" else 2
    if word in ("--hashlimit-above", "--connlimit-above"):
        built.add("meta nfproto", [], negated, text)  # nobody's first packet is above a rate
        return 2
    if word in ("--connlimit-saddr", "--connlimit-daddr"):
        return 1
    if word == "--match-set":
        direction = words[at + 2] if at + 2 < len(words) else ""
        if direction.startswith("src"):
            built.add("saddr", [], negated, text)  # strangers stand on no list
        else:
            built.unread.append(text)
        return 3
    built.unread.append(text.strip())
    return 2 if value and not value.startswith("-") else 1


def _values_of_addresses(value: str) -> list[Element]:
    elements: list[Element] = []
    for network in value.split(","):
        address, slash, mask = network.partition("/")
        if slash and "." in mask:
            mask = str(sum((whole(part) or 0).bit_count() for part in mask.split(".")))
        elements.append((f"{address}/{mask}" if slash else address,))
    return elements


def _lower(value: str) -> list[Element]:
    return [(part.lower(),) for part in value.split(",") if part]


def _target(built: _Builder, word: str, value: str, rest: list[str]) -> None:
    if value in _TARGETS:
        built.action = Action(_TARGETS[value])
    elif value in _QUIET:
        built.action = CONTINUE
    elif value in _NAT:
        built.action = Action("accept")
    elif value in ("NFQUEUE", "QUEUE", "TPROXY", "SYNPROXY"):
        built.action = Action("unknown", value)
    elif value:
        built.action = Action("goto" if word == "-g" else "jump", value)


_TARGET = r"(?P<target>[A-Za-z][\w.:-]*)?\s+(?P<prot>all|tcp|udp|icmp|icmpv6|ipv6-icmp|sctp|esp|ah|udplite|\d+)\s+"
_ENDS = r"(?P<source>!?\S+)\s+(?P<destination>!?\S+)(?P<rest>.*)$"
_PLAIN = re.compile(rf"^(?:\d+\s+)?{_TARGET}(?:(?:--|-f|!f)\s+)?{_ENDS}")
_VERBOSE = re.compile(
    rf"^\s*(?:\d+\s+)?\d+[KMGT]?\s+\d+[KMGT]?\s+{_TARGET}(?:(?:--|-f|!f)\s+)?(?P<in>\S+)\s+(?P<out>\S+)\s+{_ENDS}"
)


def _listing(text: str, ruleset: Ruleset, kind: str) -> None:
    """`iptables -L -n [-v]`; without -v the interfaces are not shown, and a rule may hold for loopback alone."""
    table = ruleset.table(kind, "filter")
    chain = ""
    verbose = False
    for number, line in enumerate(text.splitlines(), 1):
        place = f"{ruleset.place}:{number}"
        head = re.match(r"^Chain (\S+) \((?:policy (\w+))?", line)
        if head:
            chain = head[1]
            _chain(table, chain, head[2] or "-", place)
            continue
        if re.match(r"^\s*(num\s+)?(pkts\s+bytes\s+)?target\s+prot", line):
            verbose = "pkts" in line
            continue
        if not line.strip() or not chain:
            continue
        match = (_VERBOSE if verbose else _PLAIN).match(line)
        if match is None:
            ruleset.notes.append(f"{place}: not understood as a rule of iptables")
            continue
        table.chain(chain).rules.append(_listed(match, verbose, place))


def _listed(match: re.Match[str], verbose: bool, place: str) -> Rule:
    words: list[str] = []
    source, destination, rest = match["source"], match["destination"], match["rest"]
    inward, outward = (match["in"], match["out"]) if verbose else (None, None)
    for option, value in (("-i", inward), ("-o", outward)):
        if value and value not in ("*", "any"):
            words += ["!", option, value[1:]] if value.startswith("!") else [option, value]
    for option, value in (("-s", source), ("-d", destination)):
        if value not in ("0.0.0.0/0", "::/0", "anywhere"):
            words += ["!", option, value[1:]] if value.startswith("!") else [option, value]
    words += ["-p", match["prot"]] if match["prot"] not in ("all", "0") else []
    for pattern, option in (
        (r"\bdpts?:(!?\S+)", "--dport"), (r"\bspts?:(\S+)", "--sport"), (r"\bdports (\S+)", "--dports"),
        (r"\bsports (\S+)", "--sports"), (r"\b(?:ct)?state (\S+)", "--ctstate"), (r"\bctstatus (\S+)", "--ctstatus"),
    ):  # fmt: skip
        for matched in re.findall(pattern, rest):
            words += ["!", option, matched[1:]] if matched.startswith("!") else [option, matched]
        rest = re.sub(pattern, "", rest)
    rest = re.sub(r"/\*.*?\*/|\b(tcp|udp|multiport|reject-with \S+|limit: avg \S+ burst \d+|LOG .*|state|ctstate)\b",
                  "", rest)  # fmt: skip
    rule = _rule(words, place)
    if re.search(r"flags:0x17/0x02", rest):
        rest = rest.replace("flags:0x17/0x02", "")
    target = match["target"] or ""
    built = _Builder()
    _target(built, "-j", target, [])
    rule.action = built.action
    if "[goto]" in rest:
        rule.action = Action("goto", target)
        rest = rest.replace("[goto]", "")
    if rest.strip():
        rule.conditions.append(Condition((), (), text=rest.strip()[:60]))
    elif not verbose and not rule.conditions and rule.action.kind in ("accept", "drop"):
        rule.conditions.append(Condition((), (), text="a listing without -v, which hides interfaces"))
    return rule
