"""What to keep of the traffic: capture filters in the language of pcap-filter(7), told with what each costs."""

from typing import NamedTuple

from jitsilab.errors import ParameterError

BRIDGE_PORT = 10000  # UDP, jitsi/jitsi-videobridge reference.conf ice4j.harvest.mapping and videobridge.ice.udp.port


class Part(NamedTuple):
    """A part of a filter, and why it is kept."""

    expression: str
    reason: str


def jitsi(bridge_port: int = BRIDGE_PORT) -> tuple[Part, ...]:
    """What a session of Jitsi Meet is made of, as a server sees it; ports are those of stock installations."""
    return (
        Part("tcp port 80 or tcp port 443 or udp port 443", "page, signaling, TURN inside TLS, QUIC"),
        Part("tcp port 8000 or tcp port 8443", "the same where docker-jitsi-meet publishes it"),
        Part("tcp port 5280 or tcp port 5281", "nginx to Prosody: signaling in clear on the loopback side"),
        Part("tcp port 5222 or tcp port 5269 or tcp port 5347", "focus and bridge at Prosody, federation, components"),
        Part("tcp port 9090 or tcp port 8080 or tcp port 8888", "bridge channel, answers of bridge and focus"),
        Part(f"udp port {bridge_port} or tcp port 4443", "checks, DTLS and media at the bridge"),
        Part("port 3478 or port 5349 or port 4446", "STUN and TURN"),
        Part("udp portrange 49152-65535", "relayed addresses of a TURN server, and the participants' own ports"),
        Part("port 53", "names"),
        Part("icmp or icmp6", "who refuses a packet, and why"),
        Part("(ip[6:2] & 0x1fff != 0) or (ip6[6] = 44)", "fragments, which have no ports"),
    )


KNOWN = {"jitsi": jitsi}


def expression(purpose: str | None, own: str | None = None, bridge_port: int = BRIDGE_PORT) -> str:
    """The filter for a purpose, for one's own expression, or for both: then what either keeps.

    >>> expression(None, "port 7")
    'port 7'

    Raises ParameterError for a purpose that is not known.
    """
    parts = [f"({own})"] if own and purpose else [own] if own else []
    if purpose:
        if purpose not in KNOWN:
            raise ParameterError(f"There is no filter for {purpose!r}. There are: {', '.join(KNOWN)}.")
        if not 0 < bridge_port < 65536:
            raise ParameterError(f"A port lies between 1 and 65535, not {bridge_port}.")
        parts += [f"({part.expression})" for part in KNOWN[purpose](bridge_port)]
    return " or ".join(parts)


def snap_cost(size: int) -> str:
    """What is lost where only the first ``size`` bytes of each frame are kept; empty where nothing is.

    Headers in front: Ethernet 14 or cooked 20, IPv4 20 or IPv6 40, TCP 20 to 60.
    """
    if not size or size >= 65535:
        return ""
    if size < 100:
        return "headers alone: no STUN attribute, no TLS hello, no signaling can be read; who talked to whom is left"
    if size < 400:
        return (
            "STUN and RTP headers are whole; TLS hellos (up to 2,000 bytes), certificates, DTLS flights and all "
            "signaling are cut, so nothing inside TLS can be opened, with keys or without"
        )
    if size < 1600:
        return "full segments are cut: streams have holes, so signaling and decryption end at the first of them"
    return "frames that the card joined (up to 65,535 bytes on the loopback side) are cut, with the signaling in them"
