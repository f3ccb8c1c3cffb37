"""What Jingle and SDP both say: a session of contents, each with codecs, sources and a transport.

Both `jitsilab.protocols.jingle` and `jitsilab.protocols.sdp` read into and write from these records. Numbers that a
peer left out or garbled are None; what it said is in the stanza.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Parameter(NamedTuple):
    """A named value; the name is empty where only a value was given (telephone-event's ``0-15``)."""

    name: str
    value: str


class Feedback(NamedTuple):
    """RTCP feedback (XEP-0293, RFC 4585 section 4.2): ``nack pli``; ``trr-int`` has its milliseconds as subtype."""

    type: str
    subtype: str = ""

    def __str__(self) -> str:
        return f"{self.type} {self.subtype}".rstrip()


@dataclass(frozen=True, slots=True)
class PayloadType:
    """A codec (XEP-0167 section 4, SDP ``rtpmap``, ``fmtp`` and ``rtcp-fb``)."""

    id: int | None  # 0..127
    name: str = ""
    clock_rate: int | None = None  # Hz
    channels: int = 1
    parameters: tuple[Parameter, ...] = ()
    feedback: tuple[Feedback, ...] = ()

    @property
    def format(self) -> str:
        """The parameters as SDP's ``fmtp`` writes them: ``minptime=10;useinbandfec=1``."""
        return ";".join(f"{name}={value}" if name else value for name, value in self.parameters)


@dataclass(frozen=True, slots=True)
class HeaderExtension:
    """An RTP header extension (XEP-0294, RFC 8285 section 5)."""

    id: int | None  # 1..14 in one byte, 1..255 in two; 4096..4351 where offered without a number
    uri: str
    senders: str = ""  # initiator, responder, none; empty means both
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """One SSRC (XEP-0339, RFC 5576 section 4.1), with what Jitsi adds to it."""

    ssrc: int | None  # 32 bits; None where only a restriction identifier is given
    name: str = ""  # Jitsi's source name, ``08b2f29f-v0``
    owner: str = ""  # endpoint or occupant, ``jvb`` for the bridge's own
    video_type: str = ""  # camera, desktop
    parameters: tuple[Parameter, ...] = ()  # cname, msid, ...
    rid: str = ""


class SourceGroup(NamedTuple):
    """SSRCs that belong together (XEP-0339, RFC 5576 section 4.2): SIM layers, FID retransmission, FEC-FR repair."""

    semantics: str
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An ICE candidate (XEP-0176 section 5.3, RFC 8839 section 5.1)."""

    foundation: str
    component: int | None
    protocol: str  # udp, tcp, ssltcp
    priority: int | None
    address: str
    port: int | None
    type: str  # host, srflx, prflx, relay
    related_address: str = ""
    related_port: int | None = None
    generation: int = 0
    tcp_type: str = ""  # active, passive, so (RFC 6544)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A certificate's hash and the DTLS role (XEP-0320, RFC 8122 section 5, RFC 8842 section 5)."""

    hash: str  # sha-256
    value: str  # AA:BB:...
    setup: str = ""  # actpass, active, passive, holdconn
    required: bool = False
    cryptex: bool = False  # RFC 9335, Jitsi's attribute for it


class Info(NamedTuple):
    """An element that has no field of its own: ``ringing``, ``source-frame-height maxHeight=2160``."""

    name: str
    namespace: str = ""
    attributes: tuple[Parameter, ...] = ()
    text: str = ""

    def __str__(self) -> str:
        pairs = [f"{name}={value}" for name, value in self.attributes]
        return " ".join([self.name + (f"={self.text}" if self.text else ""), *pairs])


class Sctp(NamedTuple):
    """The data channel's association (XEP-0343, RFC 8841 section 5)."""

    port: int | None
    protocol: str = "webrtc-datachannel"
    streams: int | None = None


@dataclass(frozen=True, slots=True)
class Transport:
    """How a content travels (XEP-0176 and those it carries)."""

    namespace: str = ""
    ufrag: str = ""
    pwd: str = ""
    generation: int | None = None  # Jitsi's ``ice-generation`` of an ICE restart in place
    fingerprints: tuple[Fingerprint, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    web_socket: str = ""  # the bridge channel's address, ``/colibri-ws``; it holds a password
    sctp: Sctp | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """One media section: Jingle's ``content``, SDP's ``m=``."""

    name: str
    creator: str = ""
    senders: str = ""  # both, initiator, responder, none, rejected; empty where not said
    media: str = ""  # audio, video, application; empty where the stanza does not say
    payload_types: tuple[PayloadType, ...] = ()
    feedback: tuple[Feedback, ...] = ()  # of every payload type
    header_extensions: tuple[HeaderExtension, ...] = ()
    extmap_allow_mixed: bool = False
    rtcp_mux: bool = False
    sources: tuple[Source, ...] = ()
    groups: tuple[SourceGroup, ...] = ()
    transport: Transport | None = None
    info: tuple[Info, ...] = ()  # what else it says


class Group(NamedTuple):
    """Contents that share a transport (XEP-0338, RFC 8843)."""

    semantics: str
    contents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Jingle:
    """One Jingle message (XEP-0166 section 7) and the addresses of the stanza around it."""

    action: str
    sid: str = ""
    initiator: str = ""
    responder: str = ""
    sender: str = ""  # the stanza's from and to
    receiver: str = ""
    contents: tuple[Content, ...] = ()
    groups: tuple[Group, ...] = ()
    bridge_session: str = ""
    region: str = ""
    restart: str = ""  # ``restart`` asks for a new session, ``ice-restart`` for new credentials in this one
    reason: str = ""  # success, connectivity-error, ...
    text: str = ""
    info: tuple[Info, ...] = ()  # payloads of session-info and others
    problems: tuple[str, ...] = ()  # what could not be read, without the values of passwords

    @property
    def session(self) -> str:
        """``jvb`` for a session with the bridge, which the focus leads, ``p2p`` for one between two occupants.

        Any of these tells a bridge session: the focus as sender, receiver or initiator, a bridge session's id, the
        address of a bridge channel, a source that the bridge owns.
        """
        if self.bridge_session or "focus" in (resource(self.sender), resource(self.receiver)):
            return "jvb"
        if resource(self.initiator) == "focus" or self.initiator.partition("@")[0] == "focus":
            return "jvb"
        for content in self.contents:
            if content.transport and content.transport.web_socket:
                return "jvb"
            if any(source.owner == "jvb" for source in content.sources):
                return "jvb"
        return "p2p"


def resource(jid: str) -> str:
    """What stands after the first slash of a JID: an occupant's nickname in a room; empty where there is none."""
    return jid.partition("/")[2]


def number(text: str | None, limit: int = 0xFFFFFFFF) -> int | None:
    """A whole number from 0 to ``limit``, or None for anything else."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 20:
        return None
    value = int(text)
    return value if value <= limit else None
