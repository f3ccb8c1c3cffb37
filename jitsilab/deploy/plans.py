"""How to make observable what was not: plans as data, and the commands of each filled in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jitsilab.judge.findings import Finding


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
        "Collect what the server knows",
        "Configuration, sockets, filter, versions, certificates, the logs of the last day and the answers of bridge "
        "and focus, with secrets left out. Add the rules of the cloud's filter as security-group.txt (an nft ruleset).",
        ("jitsilab deploy facts > collect.sh", "sudo sh collect.sh", "tar -xzf facts.tar.gz",
         "jitsilab audit --facts facts", "jitsilab diagnose facts.tar.gz"),
    ),
}  # fmt: skip


def plan_capture(
    findings: Iterable[Finding], interface: str = "eth0", seconds: int = 60
) -> list[tuple[Plan, tuple[str, ...]]]:
    """What makes the checks observable that were not: each plan, commands filled in, with the ids it serves."""
    wanted: dict[str, list[str]] = {}
    for finding in findings:
        if finding.result == "NOT_OBSERVABLE" and finding.rule.plan in PLANS:
            wanted.setdefault(finding.rule.plan, []).append(finding.id)
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

    return textwrap.wrap(text, 90)  # with its mark a line of a listing in the PDF
