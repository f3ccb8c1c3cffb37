"""What a file of configuration is, by its usual name and by what stands in it."""

import re

NAMES = (
    (r"^\.env(\..+)?$|^env\.txt$|\.env$", "env"), (r"^(docker-)?compose([.-][\w.-]+)?\.ya?ml$", "compose"),
    (r"\.cfg\.lua$|^prosody.*\.lua$", "prosody"), (r"^turnserver.*\.conf$|^coturn.*\.conf$", "turn"),
    (r"^(custom-)?jvb.*\.conf$", "bridge"), (r"^(custom-)?jicofo.*\.conf$", "focus"),
    (r"sip-communicator\.properties$", "properties"),
    (r"nginx.*\.conf$|^nginx-?T", "nginx"), (r"^(.*-)?config\.js$|interface_config", "web"),
    (r"^(ss|netstat|lsof)\b", "sockets"),
    (r"^(security-?group|nft|nftables|iptables|ip6tables|rules\.v[46]|ufw|firewall)", "firewall"),
    (r"^ip-?(addr|a)\b|^ifconfig", "addresses"), (r"^ip-?route|^route\b", "route"),
    (r"^ip-?link|^counters", "known"), (r"^(etc-)?hosts(\.txt)?$|^getent|^dig\b", "hosts"),
    (r"^docker-?(compose-)?(ps|port)", "containers"),
    (r"^(versions?|packages|dpkg)", "versions"), (r"^deployment\.json$", "published"),
)  # fmt: skip
CONTENTS = (
    (r"(?m)^-----BEGIN CERTIFICATE-----", "certificate"), (r"(?m)^taken: \S+ <- ", "collection"),
    (r'(?m)^[ \t]*(VirtualHost|Component)\s*\(?["\']', "prosody"),
    (r"(?m)^[ \t]*modules_enabled\s*=\s*\{", "prosody"),
    (r"(?mi)^[ \t]*<VirtualHost\s|^[ \t]*SSLProtocol\s|^[ \t]*ProxyPass(Match|Reverse)?\s", "apache"),
    (r"(?m)^# configuration file \S+:$", "nginx"),
    (r"(?m)^[ \t]*(server|stream|http|upstream \S+|map \S+ \S+|location\s[^{\n]*)\s*\{", "nginx"),
    (r"(?m)^[ \t]*(proxy_pass|ssl_protocols|ssl_certificate|proxy_set_header|add_header)\s[^;\n]*;", "nginx"),
    (r"(?m)^[ \t]*table \w+ [\w-]+ \{|^[ \t]*flush ruleset", "firewall"), (r'^\s*\{\s*"nftables"\s*:', "firewall"),
    (r"(?m)^\*(filter|nat|mangle|raw)\s*$|^-P (INPUT|FORWARD) \w+|^Chain INPUT \(policy", "firewall"),
    (r"(?mi)^Status: (in)?active\s*$", "firewall"), (r"(?m)^[ \t]+icmp-block-inversion: ", "firewall"),
    (r"^\s*(<\?xml[^>]*>\s*)?<zone\b", "firewall"), (r'"SecurityGroups"\s*:', "firewall"),
    (r"(?m)^videobridge\s*[{.]", "bridge"), (r"(?m)^jicofo\s*[{.]", "focus"), (r"(?m)^ice4j\s*[{.]", "bridge"),
    (r"(?m)^org\.(jitsi|ice4j)\.[\w.]+\s*[=:]", "properties"),
    (r"(?m)^var config\s*=|^config\.\w+ = ", "web"),
    (r"(?m)^(JAVA_SYS_PROPS|JVB_OPTS|JICOFO_OPTS|JVB_HOSTNAME|JICOFO_HOST|TURNSERVER_ENABLED)=", "shell"),
    (r"(?m)^services:[ \t]*(#.*)?$", "compose"),
    (r"(?m)^(export )?(JVB_[A-Z_]+|JICOFO_[A-Z_]+|XMPP_DOMAIN|PUBLIC_URL|ENABLE_AUTH|HTTPS_PORT)=", "env"),
    (r"(?m)^(tcp|udp)6?\s+(LISTEN|UNCONN|\d+\s+\d+)\s|^(LISTEN|UNCONN)\s+\d+\s+\d+", "sockets"),
    (r"(?m)^CONTAINER ID\s+IMAGE|\d+->\d+/(tcp|udp)", "containers"),
    (r"(?m)^\d+: [\w.@-]+: <[A-Z,_-]+> mtu|^[\w.@-]+\s+(UP|UNKNOWN|DOWN)\s+\d", "addresses"),
    (r"(?m)^default via \S+ dev ", "route"),
    (r"(?m)^127\.0\.0\.1\s+localhost", "hosts"),
    (r"(?m)^Setting up \S+ \(|^ii\s+\S+", "versions"),
    (r"(?m)^(listening-port|static-auth-secret|denied-peer-ip|use-auth-secret|lt-cred-mech)\b", "turn"),
)  # fmt: skip
OTHERS = re.compile(  # what no server reads as its configuration
    r"\.(log|jsonl|pcapng|csv|html?|md|py|ts|tsx|jsx|css|svg|sh|bash|rb|pl|go|java|kt|swift|patch|diff|lock)(\.\d+)?$"
)
PLUGIN = re.compile(r"^(mod|util)_[\w.]*\.lua$")
NOT_IN_FORCE = re.compile(
    r"(\.(bak|orig|save|old|disabled|example|sample|dist|dpkg-\w+|rpm\w+|swp|tmpl|tpl|j2|erb)|~)$"
)
TEMPLATE = re.compile(r"\{\{[^{}\n]{1,200}\}\}|<%[^%\n]{1,200}%>|\{%[^%\n]{1,200}%\}")
JINJA = re.compile(r"\{\{[ ]?[a-z_][\w.]{0,80}[ ]?(\|[^{}\n]{1,100})?\}\}|\{%-?[ ]?(if|for|set|include)\b")
BACKUP = re.compile(r"(^|/)(backups?|bak|old|orig|save)\b[^/]*/", re.I)
KEPT_ASIDE = ("conf.avail", "sites-available", "conf-available", "mods-available")  # in force by a link elsewhere
COMPOSE = re.compile(r"^(docker-)?compose(\.override)?\.ya?ml$")
_LOG = re.compile(r"(?m)^(JVB|Jicofo)? ?\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d|^\[\d{4}-\d\d-\d\d|^\d+\.\d+\.\d+\.\d+ - ")


def is_template(kind: str, text: str) -> bool:
    """Whether a file still has to be filled in; compose files may hold Go's braces for other programs."""
    return (JINJA if kind == "compose" else TEMPLATE).search(text) is not None


def recognise(name: str, head: bytes) -> str | None:
    """The kind of configuration that a file is, or None: by its usual name, else by what its first bytes say.

    The kinds are: prosody, bridge, focus, properties, shell, env, compose, containers, nginx, apache, web, turn,
    firewall, sockets, addresses, route, hosts, certificate, versions, published, collection, and
    known (of a server, not used).

    >>> recognise("etc/jitsi/videobridge/jvb.conf", b"videobridge {}"), recognise("x", b"Status: active")
    ('bridge', 'firewall')
    """
    base = name.replace("\\", "/").rpartition("/")[2].lower()
    if b"\0" in head[:4096]:
        return None
    text = head.decode("utf-8", "replace").replace("\r\n", "\n")
    if PLUGIN.match(base) or base == "logging.properties" or "PRIVATE KEY-----" in text:
        return "known"
    if text.startswith("#!") and "nft" not in text.partition("\n")[0]:
        return None  # a script: what it does, or did, is not what is
    bare = NOT_IN_FORCE.sub("", base) or base
    for pattern, kind in NAMES:
        if re.search(pattern, bare) and not (kind in ("sockets", "versions", "known") and _LOG.match(text)):
            return kind
    if OTHERS.search(bare) or _LOG.search(text[:2000]):
        return None
    if bare in ("secrets.txt", "readme", "readme.md", "readme.txt"):
        return "known"
    by_content = next((kind for pattern, kind in CONTENTS if re.search(pattern, text)), None)
    return None if by_content == "compose" and not re.search(r"(?m)^[ \t]+(image|build|extends):", text) else by_content
