"""What to run on a server of one's own: collecting its facts without secrets, and recording what a question needs.

Nothing here runs anything: it prints commands for whoever owns the server.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jitsilab.facts.model import LEFT_OUT
from jitsilab.judge.findings import Finding

FILES = (  # where Debian packages keep them; conf.d and the *-enabled folders hold what is in force
    "/etc/prosody/prosody.cfg.lua", "/etc/prosody/conf.d/*.cfg.lua", "/etc/jitsi/meet/*-config.js",
    "/etc/turnserver.conf", "/etc/coturn/turnserver.conf", "/etc/jitsi/videobridge/jvb.conf",
    "/etc/jitsi/jicofo/jicofo.conf", "/etc/nginx/nginx.conf", "/etc/nginx/sites-enabled/*", "/etc/nginx/conf.d/*.conf",
    "/etc/nginx/modules-enabled/*.conf",
)  # fmt: skip
CERTIFICATES = (
    "/etc/jitsi/meet/*.crt", "/etc/prosody/certs/*.crt", "/etc/letsencrypt/live/*/cert.pem", "/etc/coturn/certs/*.pem",
)  # fmt: skip
PACKAGES = (
    "jitsi-meet*", "jitsi-videobridge2", "jicofo", "jigasi", "jibri", "prosody", "coturn", "nginx", "openssl",
)  # fmt: skip
# A value behind a name that sounds secret is replaced; truth values, the rest of the line and its number are kept.
REDACT = (
    r"s/((?:secret|passw|pwd|credential|api_?key|sdk_?key|token)[\w.-]*[\x22\x27]?\s*[=:]\s*)"
    r"(?!(?:true|false|nil|null)\b)(?:\x22[^\x22]*\x22|\x27[^\x27]*\x27|[^\s,;{}]+)/$1\x22" + LEFT_OUT + r"\x22/gi; "
    r"s/^(\s*#?\s*(?:static-auth-secret|cli-password|pkey-pwd)\s+)\S+/$1" + LEFT_OUT + r"/i; "
    r"s/^(\s*#?\s*user\s*=\s*).*/$1" + LEFT_OUT + r"/; "
    r"s/^(\s*#?\s*[a-z]+-userdb\s*=\s*).*/$1" + LEFT_OUT + r"/; "
    r"s/(proxy_set_header\s+(?:authorization|cookie)\s+).*/$1" + LEFT_OUT + r";/i; "
    r"s#(://[^/\s:@]+):[^/\s@]+@#$1:" + LEFT_OUT + r"\@#g; "
    r"s/eyJ[\w-]+\.[\w-]+\.[\w-]*/" + LEFT_OUT + r"/g"
)


def facts_command() -> str:
    """One line for a shell on the server that leaves ``facts.tar.gz`` in the current folder, secrets left out.

    ``ROOT`` names another root folder (an image, a container's files).
    """
    files = " ".join(f"$R{path}" for path in FILES)
    certificates = " ".join(f"$R{path}" for path in CERTIFICATES)
    packages = " ".join(f'"{name}"' for name in PACKAGES)
    script = (
        "umask 077; D=$(mktemp -d) && mkdir $D/facts && cd $D/facts && "
        f"for f in {files}; do [ -f $f ] && mkdir -p .$(dirname ${{f#$R}}) && perl -pe \"$X\" $f > .${{f#$R}}; done; "
        f"for f in {certificates}; do [ -f $f ] && mkdir -p .$(dirname ${{f#$R}}) && "
        "sed -n \"/-----BEGIN CERTIFICATE-----/,/-----END CERTIFICATE-----/p\" $f > .${f#$R}; done; "
        "ss -lntup > ss-lntup.txt 2>/dev/null; ip -br addr > ip-addr.txt 2>/dev/null; "
        "nft list ruleset > nftables.txt 2>/dev/null; "
        f"dpkg-query -W -f \"\\${{Package}} \\${{Version}}\\n\" {packages} > versions.txt 2>/dev/null; "
        "find . -type f -size 0 -delete; cd .. && tar -czf $W/facts.tar.gz facts && rm -r $D && echo $W/facts.tar.gz"
    )  # fmt: skip
    return f"sudo env R=\"$ROOT\" W=\"$PWD\" X='{REDACT}' sh -c '{script}'"


@dataclass(frozen=True, slots=True)
class Plan:
    """How to make something observable: why, and the commands."""

    title: str
    why: str
    commands: tuple[str, ...]


PLANS = {
    "capture": Plan(
        "Record the server's interface",
        "TLS hellos, ICE checks, DTLS handshakes and media headers are in clear there. Begin before anybody joins, and "
        "keep whole packets (-s 0).",
        (
            "ip route get 192.0.2.1   # names the interface towards the Internet",
            "sudo timeout {seconds} tcpdump -i {interface} -s 0 -w server-{interface}.pcap",
        ),
    ),
    "plaintext": Plan(
        "Make the signaling readable",
        "Either with keys: a browser of your own writes its TLS secrets to a file. Or without keys: on the server's "
        "loopback nginx speaks to Prosody (5280) and to the bridge's WebSockets (9090) in clear, and the device any "
        "records loopback and the outer interface together.",
        (
            'SSLKEYLOGFILE="$HOME/keys.txt" chromium --user-data-dir="$(mktemp -d)"   # in each participant\'s session',
            "sudo timeout {seconds} tcpdump -i any -s 0 -w server-any.pcap",
            "jitsilab audit server-{interface}.pcap --keylog keys.txt --facts facts",
            "jitsilab audit server-any.pcap --facts facts",
        ),
    ),
    "turn": Plan(
        "Make TURN readable",
        "TURN over UDP is in clear on the server's interface. Inside TLS it needs the participant's key log; without, "
        "the lengths of records still tell whether it relays. Let one participant use nothing but the relay.",
        (
            'SSLKEYLOGFILE="$HOME/keys.txt" chromium --user-data-dir="$(mktemp -d)"',
            "sudo iptables -I OUTPUT -p udp ! --dport 53 -j DROP   # on that participant's machine; -D takes it back",
            "sudo timeout {seconds} tcpdump -i {interface} -s 0 -w server-{interface}.pcap",
        ),
    ),
    "longer": Plan(
        "Record for longer",
        "Consent to receive lasts 30 s: streams of less than that show nothing of it.",
        ("sudo timeout 180 tcpdump -i {interface} -s 0 -w server-{interface}.pcap",),
    ),
    "client": Plan(
        "Record on a participant's machine",
        "Only there are name look-ups, connections to other services and media between two participants.",
        (
            "sudo timeout {seconds} tcpdump -i any -s 0 -w participant.pcap   # Linux",
            "sudo tcpdump -i en0 -s 0 -G {seconds} -W 1 -w participant.pcap   # macOS",
            "dumpcap -i Wi-Fi -a duration:{seconds} -w participant.pcapng   # Windows",
        ),
    ),
    "probe": Plan(
        "Ask your own server as a stranger would",
        "A capture shows what strangers get only if one asks. Run it from outside, against a server of your own, while "
        "the server records.",
        ("turnutils_stunclient -p 10000 SERVER",),
    ),
    "facts": Plan(
        "Collect the server's facts",
        "Configuration, sockets, filter, versions and certificates, with secrets left out; unpack the archive and give "
        "the folder to --facts. Add the rules of the cloud's filter as security-group.txt (an nft ruleset).",
        ("jitsilab deploy facts", "tar -xzf facts.tar.gz", "jitsilab audit --facts facts"),
    ),
}  # fmt: skip


def plan_capture(
    findings: Iterable[Finding], interface: str = "eth0", seconds: int = 60
) -> list[tuple[Plan, tuple[str, ...]]]:
    """What makes the checks observable that were not: each plan, commands filled in, with the ids it serves."""
    wanted: dict[str, list[str]] = {}
    for one in findings:
        if one.result == "NOT_OBSERVABLE" and one.rule.plan in PLANS:
            wanted.setdefault(one.rule.plan, []).append(one.id)
    return [(_filled(PLANS[key], interface, seconds), tuple(ids)) for key, ids in wanted.items()]


def _filled(plan: Plan, interface: str, seconds: int) -> Plan:
    commands = (c.replace("{interface}", interface).replace("{seconds}", str(seconds)) for c in plan.commands)
    return Plan(plan.title, plan.why, tuple(commands))


def capture_commands(findings: Sequence[Finding] | None = None, interface: str = "eth0", seconds: int = 60) -> str:
    """The plans as text for a terminal: those that some findings ask for, else all."""
    if findings is None:
        chosen = [(_filled(plan, interface, seconds), ()) for plan in PLANS.values()]
    else:
        chosen = plan_capture(findings, interface, seconds)  # type: ignore[assignment]  # ids, or none at all
    lines = []
    for plan, ids in chosen:
        lines.append(f"# {plan.title}{' (' + ', '.join(ids) + ')' if ids else ''}")
        lines += [f"#   {part}" for part in _wrapped(plan.why)]
        lines += [*plan.commands, ""]
    return "\n".join(lines).rstrip()


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 96)
