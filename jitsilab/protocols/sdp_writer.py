"""Writes session descriptions (RFC 8866) as Jitsi's client hands them to its browser; see `jitsilab.protocols.sdp`."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from jitsilab.errors import ParseError
from jitsilab.protocols.description import (
    Candidate,
    Content,
    Jingle,
    Parameter,
    Source,
    SourceGroup,
    Transport,
    number,
    resource,
)
from jitsilab.protocols.jingle_writer import ICE, write_info
from jitsilab.protocols.jitsi_sources import owner_of

MAX_SIZE = 8 << 20  # characters; the offer of a call of hundreds is a few hundred thousand

DIRECTIONS = {"both": "sendrecv", "initiator": "sendonly", "responder": "recvonly", "none": "inactive"}
EXTENSION_DIRECTIONS = {"initiator": "recvonly", "responder": "sendonly", "none": "inactive"}  # XEP-0294 section 4
_DROPPED = str.maketrans("", "", "\\/{,}+")  # what the client leaves out of sources' values


@dataclass(slots=True)
class _Section:
    """A media section before it is text."""

    content: Content
    mid: str
    sources: tuple[Source, ...]
    groups: tuple[SourceGroup, ...]
    first: bool = True  # of its content
    lines: list[str] = field(default_factory=list)


def write(jingle: Jingle) -> str:
    """The description of a message, lines ended by CRLF. Control characters are left out.

    Raises ParseError where it would be larger than 8 MiB, which no browser takes.
    """
    bridge = jingle.session == "jvb"
    offered = bridge and jingle.action != "session-accept" and resource(jingle.receiver) != "focus"
    sections = list(_sections(jingle, bridge, offered))
    size = 0
    for section in sections:
        section.lines = [_clean(line) for line in _media(section, jingle, bridge, offered)]
        size += sum(len(line) + 2 for line in section.lines)
        if size > MAX_SIZE:
            raise ParseError(f"a description of more than {MAX_SIZE} characters")
    lines = [_clean(line) for line in _session(jingle, sections, bridge)]
    return "".join(f"{line}\r\n" for line in [*lines, *(line for section in sections for line in section.lines)])


def _sections(jingle: Jingle, bridge: bool, offered: bool) -> Iterator[_Section]:
    index = 0
    for content in jingle.contents:
        parts = [(content.sources, content.groups)]
        if offered and content.sources and content.media != "application":
            parts = _apart(content)
        for place, (sources, groups) in enumerate(parts):
            mid = str(index) if bridge or not content.name else mid_of(content.name)
            yield _Section(content, mid, sources, groups, place == 0)
            index += 1


def _apart(content: Content) -> list[tuple[tuple[Source, ...], tuple[SourceGroup, ...]]]:
    """Sources and groups of a content by what belongs together, the bridge's own mixed source first."""
    parent: dict[int, int] = {}

    def root(ssrc: int) -> int:
        while parent.setdefault(ssrc, ssrc) != ssrc:
            parent[ssrc] = ssrc = parent[parent[ssrc]]
        return ssrc

    for group in content.groups:
        for ssrc in group.ssrcs[1:]:
            parent[root(ssrc)] = root(group.ssrcs[0])
    mixed = [s for s in content.sources if any("mixedmslabel" in p.value for p in s.parameters)]
    others = [s for s in content.sources if s not in set(mixed)]
    together: dict[object, tuple[list[Source], list[SourceGroup]]] = {}
    for source in mixed + others:
        key: object = root(source.ssrc) if source.ssrc is not None else ("rid", source.rid)
        together.setdefault(key, ([], []))[0].append(source)
    first = next(iter(together.values()))
    for group in content.groups:
        (together.get(root(group.ssrcs[0]), first) if group.ssrcs else first)[1].append(group)
    return [(tuple(sources), tuple(groups)) for sources, groups in together.values()]


def _session(jingle: Jingle, sections: list[_Section], bridge: bool) -> Iterator[str]:
    sid = jingle.sid if number(jingle.sid, 2**63 - 1) is not None else str(len(jingle.sid))
    user = quote(jingle.initiator, safe="@/:.") or "-"
    yield from ("v=0", f"o={user} {sid} 2 IN IP4 0.0.0.0", "s=-", "t=0 0")
    yield "a=msid-semantic: WMS *"
    for group in jingle.groups:
        mids = [s.mid for s in sections if s.content.name in group.contents]
        yield f"a=group:{_token(group.semantics)} {' '.join(mids)}"
    transports = [s.content.transport for s in sections if s.content.transport]
    if any(fingerprint.cryptex for t in transports for fingerprint in t.fingerprints):
        yield "a=cryptex"
    numbered = [s.mid for s in sections] == [str(i) for i in range(len(sections))]
    fields = {
        "action": jingle.action if jingle.action != default_action(f.setup for t in transports for f in t.fingerprints)
        else "",
        "sid": jingle.sid if jingle.sid != sid else "",
        "session": "p2p" if numbered and not bridge else "",
        "responder": jingle.responder,
        "from": jingle.sender,
        "to": jingle.receiver,
        "bridge-session": jingle.bridge_session,
        "region": jingle.region,
        "restart": jingle.restart,
        "reason": jingle.reason,
        "text": jingle.text,
    }  # fmt: skip
    yield from _said("a=x-jingle:", {name: value or None for name, value in fields.items()})
    for group in jingle.groups:
        named = dict.fromkeys(s.content.name for s in sections if s.content.name in group.contents)
        if tuple(named) != group.contents:
            yield f"a=x-jingle-group:{_token(group.semantics)} {' '.join(map(_token, group.contents))}".rstrip()
    yield from (f"a=x-jingle-info:{quote(write_info(info))}" for info in jingle.info)


def default_action(setups: Iterable[str]) -> str:
    """An offer's role is left open (actpass), an answer's is not."""
    roles = {setup for setup in setups if setup}
    return "session-accept" if roles and roles <= {"active", "passive"} else "session-initiate"


def default_creator(action: str) -> str:
    """Who made a content, as Jitsi's client puts it."""
    return "responder" if action == "session-accept" else "initiator"


def default_name(media: str) -> str:
    """Jicofo's name for a content."""
    return "data" if media == "application" else media


def _media(section: _Section, jingle: Jingle, bridge: bool, offered: bool) -> Iterator[str]:
    """The lines of one section, in the order in which browsers' own descriptions have them."""
    content, transport = section.content, section.content.transport or Transport(ICE)
    media = content.media or ("application" if content.name == "data" or transport.sctp else content.name)
    media = media if media in ("audio", "video", "application", "text") else "application"
    port, formats = 0 if content.senders == "rejected" else 9, [p.id for p in content.payload_types if p.id is not None]
    if media == "application":
        protocol = transport.sctp.protocol if transport.sctp else "webrtc-datachannel"
        yield f"m=application {port} UDP/DTLS/SCTP {_token(protocol)}"
    else:
        yield f"m={media} {port} UDP/TLS/RTP/SAVPF {' '.join(map(str, formats)) or '*'}"
    yield "c=IN IP4 0.0.0.0"
    yield from _codecs(content, rtcp=media != "application")
    for extension in content.header_extensions:
        direction = EXTENSION_DIRECTIONS.get(extension.senders)
        value = ";".join(f"{name}={value}" if value else name for name, value in extension.parameters)
        where = f"{'' if extension.id is None else extension.id}{f'/{direction}' if direction else ''}"
        yield f"a=extmap:{where} {_token(extension.uri)} {value}".rstrip()
    setups = [fingerprint.setup for fingerprint in transport.fingerprints if fingerprint.setup]
    yield from (f"a=setup:{setup}" for setup in setups[:1])
    yield f"a=mid:{section.mid}"
    if content.senders in DIRECTIONS:
        yield f"a={DIRECTIONS[content.senders] if section.first else 'sendonly'}"
    yield from ([f"a=ice-ufrag:{transport.ufrag}"] if transport.ufrag else [])
    yield from ([f"a=ice-pwd:{transport.pwd}"] if transport.pwd else [])
    yield from (f"a=fingerprint:{_token(f.hash)} {f.value}" for f in transport.fingerprints)
    yield from (_candidate(candidate) for candidate in transport.candidates)
    yield from _sources(section, brief=offered)
    yield from (["a=rtcp-mux"] if content.rtcp_mux else [])
    yield from (["a=extmap-allow-mixed"] if content.extmap_allow_mixed else [])
    if transport.sctp and transport.sctp.port is not None:
        yield from (f"a=sctp-port:{transport.sctp.port}", "a=max-message-size:262144")
    if section.first:
        yield from _unsaid(section, media, jingle, bridge)


def _codecs(content: Content, rtcp: bool) -> Iterator[str]:
    known = [payload for payload in content.payload_types if payload.id is not None]
    for payload in known:
        if payload.name and payload.clock_rate is not None:
            channels = f"/{payload.channels}" if payload.channels != 1 else ""
            yield f"a=rtpmap:{payload.id} {_token(payload.name)}/{payload.clock_rate}{channels}"
    for payload in known:
        if payload.parameters:
            parameters = ";".join(f"{name}={value}" if name else value for name, value in payload.parameters)
            yield f"a=fmtp:{payload.id} {parameters}"
    yield from (["a=rtcp:1 IN IP4 0.0.0.0"] if rtcp else [])
    for payload in known:
        yield from (f"a=rtcp-fb:{payload.id} {feedback}" for feedback in payload.feedback)
    yield from (f"a=rtcp-fb:* {feedback}" for feedback in content.feedback)


def _candidate(candidate: Candidate) -> str:
    must = (
        candidate.foundation, candidate.component, candidate.protocol, candidate.priority, candidate.address,
        candidate.port, candidate.type,
    )  # fmt: skip
    if any(part is None or part == "" or len(str(part).split()) != 1 for part in must):
        names = ("foundation", "component", "protocol", "priority", "address", "port", "type")
        fields = dict(zip(names, must, strict=True)) | {
            "raddr": candidate.related_address,
            "rport": candidate.related_port,
            "generation": candidate.generation,
            "tcptype": candidate.tcp_type,
        }
        return next(_said("a=x-jingle-candidate:", {k: v if v != "" else None for k, v in fields.items()}))
    foundation, component, protocol, priority, address, port, kind = must
    line = f"a=candidate:{foundation} {component} {protocol} {priority} {address} {port} typ {kind}"
    if candidate.related_address:
        line += f" raddr {_token(candidate.related_address)}"
    if candidate.related_port is not None:
        line += f" rport {candidate.related_port}"
    if candidate.tcp_type:
        line += f" tcptype {_token(candidate.tcp_type)}"
    return f"{line} generation {candidate.generation}"


def _sources(section: _Section, brief: bool) -> Iterator[str]:
    """Lines of the sources; in the bridge's offer the client keeps the first attribute of each (``brief``)."""
    unsaid: list[str] = []
    for source in section.sources:
        kept = source.parameters[:1] if brief else source.parameters
        kept = tuple(Parameter(_token(name), value.translate(_DROPPED)) for name, value in kept if name)
        if source.ssrc is not None:
            for name, value in kept:
                yield f"a=ssrc:{source.ssrc} {name}{f':{value}' if value else ''}"
        owner = source.owner if source.owner != owner_of(source.name, kept) else None
        fields = {"name": source.name or None, "owner": owner, "video-type": source.video_type or None}
        fields["rid"] = source.rid or None
        unsaid += _said(f"a=x-jingle-source:{'' if source.ssrc is None else source.ssrc} ", fields, always=not kept)
    yield from (f"a=ssrc-group:{_token(g.semantics)} {' '.join(map(str, g.ssrcs))}" for g in section.groups)
    yield from unsaid


def _unsaid(section: _Section, media: str, jingle: Jingle, bridge: bool) -> Iterator[str]:
    """What the lines of a section do not tell about its content."""
    content, transport = section.content, section.content.transport or Transport(ICE)
    name = default_name(media) if bridge or not content.name else content.name
    sctp = transport.sctp
    fields = {
        "name": content.name if content.name != name else None,
        "creator": content.creator if content.creator != default_creator(jingle.action) else None,
        "senders": content.senders if content.senders not in (*DIRECTIONS, "rejected", "") else None,
        "media": content.media if content.media != media else None,
        "transport": "" if content.transport is None else transport.namespace if transport.namespace != ICE else None,
        "web-socket": transport.web_socket or None,
        "ice-generation": transport.generation,
        "streams": sctp.streams if sctp else None,
        "sctp": "" if media == "application" and not sctp else None,
        "required": "true" if any(f.required for f in transport.fingerprints) else None,
    }
    yield from _said("a=x-jingle:", fields)
    for payload in content.payload_types:
        if payload.id is not None and (not payload.name or payload.clock_rate is None):
            rest = {"name": payload.name or None, "clock-rate": payload.clock_rate, "channels": payload.channels}
            yield from _said(f"a=x-jingle-payload:{payload.id} ", rest)
    yield from (f"a=x-jingle-info:{quote(write_info(info))}" for info in content.info)


def _said(prefix: str, fields: Mapping[str, object], always: bool = False) -> Iterator[str]:
    """``prefix`` and what is not None, as ``name=value`` with spaces between; no line where there is nothing."""
    pairs = [f"{name}={_token(str(value))}" for name, value in fields.items() if value is not None]
    if pairs or always:
        yield prefix + " ".join(pairs)


def mid_of(name: str) -> str:
    """A content's name as a token (RFC 8866 section 9)."""
    return quote(name, safe="!#$&'*+-.^_`{|}~")


def _token(text: str) -> str:
    return quote(text, safe="!#$&'*+-./:;<=>?@^_`{|}~()[],")


def _clean(line: str) -> str:
    return "".join(c for c in line if c >= " " and c != "\x7f") if not line.isprintable() else line
