"""Session descriptions (RFC 8866) as browsers take them, from and to the records of a Jingle message.

`write` gives what Jitsi's client hands its browser: each source of the bridge's offer, or each set of sources that
belong together, is a media section of its own; sections of a bridge session are numbered, those of a peer-to-peer one
keep their contents' names. What SDP has no line for stands in lines ``a=x-jingle...``, which browsers ignore
(RFC 8866 section 5.13) and from which `decode` gives the same message back. docs/sdp.md tells what the client then
changes.
"""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import unquote

from jitsilab.errors import ParseError
from jitsilab.protocols import xml
from jitsilab.protocols.description import (
    Candidate,
    Content,
    Feedback,
    Fingerprint,
    Group,
    HeaderExtension,
    Info,
    Jingle,
    Parameter,
    PayloadType,
    Sctp,
    Source,
    SourceGroup,
    Transport,
    number,
)
from jitsilab.protocols.jingle_writer import ICE, info_of
from jitsilab.protocols.jitsi_sources import owner_of
from jitsilab.protocols.sdp_writer import (
    DIRECTIONS,
    EXTENSION_DIRECTIONS,
    MAX_SIZE,
    default_action,
    default_creator,
    default_name,
    write,
)

__all__ = ["decode", "write"]

MAX_SECTIONS = 10_000
SENDERS = {direction: senders for senders, direction in DIRECTIONS.items()}
EXTENSION_SENDERS = {direction: senders for senders, direction in EXTENSION_DIRECTIONS.items()}


class _Lines:
    """The lines of the session part or of one media section, looked up by attribute."""

    def __init__(self, first: str) -> None:
        self.first = first
        self.attributes: dict[str, list[str]] = {}

    def all(self, name: str) -> list[str]:
        return self.attributes.get(name, [])

    def value(self, name: str, default: str = "") -> str:
        return self.attributes.get(name, [default])[0]

    def pairs(self, name: str = "x-jingle") -> dict[str, str]:
        return _pairs(self.value(name))


def decode(text: str) -> Jingle:
    """The message that a description carries, whether `write` made it or a browser did.

    Sections that are numbered from 0 and do not say otherwise are a bridge session's: those of one kind make one
    content, named as Jicofo names it (audio, video, data). Raises ParseError for what is not SDP; its offset is in
    characters.
    """
    session, sections = _split(text)
    fields = session.pairs()
    setups = [setup for section in sections for setup in (*section.all("setup"), *session.all("setup"))]
    action = fields.get("action") or default_action(setups)
    mids = [section.value("mid") for section in sections]
    bridge = fields.get("session") != "p2p" and mids == [str(i) for i in range(len(sections))]
    contents: dict[str, Content] = {}
    names: list[str] = []
    for index, section in enumerate(sections):
        content = _content(section, session, bridge, action)
        key = content.name if bridge else str(index)
        names.append(content.name)
        if key in contents:
            first = contents[key]
            content = replace(first, sources=first.sources + content.sources, groups=first.groups + content.groups)
        contents[key] = content
    origin = session.first.split(" ")
    return Jingle(
        action=action,
        sid=fields.get("sid") or (origin[1] if len(origin) > 1 else ""),
        initiator="" if origin[0] == "-" else unquote(origin[0]),
        responder=fields.get("responder", ""),
        sender=fields.get("from", ""),
        receiver=fields.get("to", ""),
        contents=tuple(contents.values()),
        groups=_groups(session, dict(zip(mids, names, strict=True))),
        bridge_session=fields.get("bridge-session", ""),
        region=fields.get("region", ""),
        restart=fields.get("restart", ""),
        reason=fields.get("reason", ""),
        text=fields.get("text", ""),
        info=_info(session),
    )


def _split(text: str) -> tuple[_Lines, list[_Lines]]:
    if len(text) > MAX_SIZE:
        raise ParseError(f"a description of more than {MAX_SIZE} characters", offset=MAX_SIZE)
    offset, session, sections = 0, _Lines(""), []
    where, rows = session, text.split("\n")
    if not rows[0].startswith("v=0"):
        raise ParseError("a description begins with v=0 (RFC 8866 section 5.1)", offset=0)
    for row in rows:
        line = row.removesuffix("\r")
        kind, value = line[:2], line[2:]
        if line and not (len(kind) == 2 and kind[0].islower() and kind[1] == "="):
            raise ParseError("a line of SDP is a letter, = and a value (RFC 8866 section 5)", offset=offset)
        if kind == "m=":
            where = _Lines(value)
            sections.append(where)
            if len(sections) > MAX_SECTIONS:
                raise ParseError(f"more than {MAX_SECTIONS} media sections", offset=offset)
        elif kind == "o=" and where is session:
            session.first = value
        elif kind == "a=":
            name, _, rest = value.partition(":")
            where.attributes.setdefault(name, []).append(rest)
        offset += len(row) + 1
    return session, sections


def _groups(session: _Lines, names: dict[str, str]) -> tuple[Group, ...]:
    explicit = {line.split(" ")[0]: line.split(" ")[1:] for line in session.all("x-jingle-group")}
    groups = []
    for line in session.all("group"):
        semantics, *mids = line.split(maxsplit=MAX_SECTIONS) or [""]
        contents = tuple(dict.fromkeys(names.get(mid, mid) for mid in mids))
        if semantics in explicit:
            contents = tuple(unquote(name) for name in explicit[semantics])
        groups.append(Group(unquote(semantics), contents))
    return tuple(groups)


def _content(section: _Lines, session: _Lines, bridge: bool, action: str) -> Content:
    media, port, protocol, *formats = [*section.first.split(), "", "", ""]
    fields = section.pairs()
    default = default_name(media) if bridge else unquote(section.value("mid"))
    directions = [senders for direction, senders in SENDERS.items() if direction in section.attributes]
    senders = directions[0] if directions else ""
    if port == "0" and "bundle-only" not in section.attributes:
        senders = "rejected"
    allowed = "extmap-allow-mixed" in section.attributes or "extmap-allow-mixed" in session.attributes
    rtp = media != "application"
    return Content(
        name=fields.get("name", default),
        creator=fields.get("creator", default_creator(action)),
        senders=fields.get("senders", senders),
        media=fields.get("media", media),
        payload_types=tuple(_payload_types(section, formats)) if rtp else (),
        feedback=tuple(_feedback(section).get("*", ())),
        header_extensions=tuple(_extensions(section.all("extmap") or session.all("extmap"))) if rtp else (),
        extmap_allow_mixed=allowed and rtp,
        rtcp_mux="rtcp-mux" in section.attributes,
        sources=tuple(_sources(section)),
        groups=tuple(_source_groups(section)),
        transport=_transport(section, session, fields, protocol, next(iter(formats), "")),
        info=_info(section),
    )


def _payload_types(section: _Lines, formats: list[str]) -> Iterator[PayloadType]:
    maps = _keyed(section.all("rtpmap"))
    parameters, unsaid = _keyed(section.all("fmtp")), _keyed(section.all("x-jingle-payload"))
    feedback = _feedback(section)
    for text in dict.fromkeys(formats):
        payload = number(text, 127)
        if payload is None:
            continue
        name, clock_rate, channels, *_ = [*maps.get(text, "").split("/"), "", "", ""]
        rest = _pairs(unsaid.get(text, ""))
        yield PayloadType(
            id=payload,
            name=unquote(name) or rest.get("name", ""),
            clock_rate=number(clock_rate or rest.get("clock-rate")),
            channels=number(channels or rest.get("channels")) or 1,
            parameters=tuple(_parameters(parameters.get(text, ""))),
            feedback=tuple(feedback.get(text, ())),
        )


def _keyed(lines: list[str]) -> dict[str, str]:
    """``"111 opus/48000/2"`` as ``{"111": "opus/48000/2"}``; the first of several with one key."""
    values: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(" ")
        values.setdefault(key, value)
    return values


def _parameters(text: str) -> Iterator[Parameter]:
    for part in text.split(";"):
        name, equals, value = part.strip().partition("=")
        if name or value:
            yield Parameter(name, value) if equals else Parameter("", name)


def _feedback(section: _Lines) -> dict[str, list[Feedback]]:
    feedback: dict[str, list[Feedback]] = {}
    for line in section.all("rtcp-fb"):
        key, _, rest = line.partition(" ")
        if rest:
            kind, _, subtype = rest.partition(" ")
            feedback.setdefault(key, []).append(Feedback(kind, subtype))
    return feedback


def _extensions(lines: list[str]) -> Iterator[HeaderExtension]:
    for line in lines:
        where, _, rest = line.partition(" ")
        uri, _, attributes = rest.partition(" ")
        key, _, direction = where.partition("/")
        parameters = []
        for part in attributes.split(";"):
            name, _, value = part.partition("=")
            parameters += [Parameter(name, value)] if name else []
        yield HeaderExtension(number(key), unquote(uri), EXTENSION_SENDERS.get(direction, ""), tuple(parameters))


def _sources(section: _Lines) -> Iterator[Source]:
    parameters: dict[str, list[Parameter]] = {}
    unsaid: dict[str, dict[str, str]] = {}
    for line in section.all("ssrc"):
        key, _, rest = line.partition(" ")
        name, _, value = rest.partition(":")
        parameters.setdefault(key, []).append(Parameter(unquote(name), value))
    for index, line in enumerate(section.all("x-jingle-source")):
        key, _, rest = line.partition(" ")
        key = key or f" {index}"  # a restriction identifier without SSRC
        parameters.setdefault(key, [])
        unsaid[key] = _pairs(rest)
    for key, kept in parameters.items():
        rest_of, own = unsaid.get(key, {}), tuple(p for p in kept if p.name not in ("name", "videoType"))
        local = {p.name: p.value for p in kept}  # what a client writes into its own description
        name = rest_of.get("name") or local.get("name", "")
        yield Source(
            ssrc=number(key),
            name=name,
            owner=rest_of.get("owner") or owner_of(name, own),
            video_type=rest_of.get("video-type") or local.get("videoType", ""),
            parameters=own,
            rid=rest_of.get("rid", ""),
        )


def _source_groups(section: _Lines) -> Iterator[SourceGroup]:
    for line in section.all("ssrc-group"):
        semantics, *ssrcs = line.split() or [""]
        yield SourceGroup(unquote(semantics), tuple(s for text in ssrcs if (s := number(text)) is not None))


def _transport(
    section: _Lines, session: _Lines, fields: dict[str, str], protocol: str, first_format: str
) -> Transport | None:
    if fields.get("transport") == "":
        return None
    required, cryptex = (
        fields.get("required") == "true",
        "cryptex" in session.attributes or "cryptex" in section.attributes,
    )
    setup = section.value("setup") or session.value("setup")
    fingerprints = []
    for line in section.all("fingerprint") or session.all("fingerprint"):
        kind, _, value = line.partition(" ")
        fingerprints.append(Fingerprint(unquote(kind).lower(), value.strip().upper(), setup, required, cryptex))
    candidates = [_candidate(line) for line in section.all("candidate")]
    candidates += [_unusual(_pairs(line)) for line in section.all("x-jingle-candidate")]
    sctp = None
    if "SCTP" in protocol and "sctp" not in fields:
        old = section.value("sctpmap").split()  # before RFC 8841: port, protocol, streams
        port = section.value("sctp-port") or (old[0] if old else "")
        streams = fields.get("streams") or (old[2] if len(old) > 2 else "")
        name = old[1] if len(old) > 1 else unquote(first_format) or "webrtc-datachannel"
        sctp = Sctp(number(port.strip(), 0xFFFF), name, number(streams))
    return Transport(
        namespace=fields.get("transport", ICE),
        ufrag=section.value("ice-ufrag") or session.value("ice-ufrag"),
        pwd=section.value("ice-pwd") or session.value("ice-pwd"),
        generation=number(fields.get("ice-generation")),
        fingerprints=tuple(fingerprints),
        candidates=tuple(candidates),
        web_socket=fields.get("web-socket", ""),
        sctp=sctp,
    )


def _candidate(line: str) -> Candidate:
    """RFC 8839 section 5.1: six fields, ``typ``, the type, then pairs of name and value."""
    parts = [*line.split(), *[""] * 8]
    more = dict(zip(parts[8::2], parts[9::2], strict=False))
    return Candidate(
        foundation=parts[0],
        component=number(parts[1]),
        protocol=parts[2].lower(),
        priority=number(parts[3]),
        address=parts[4],
        port=number(parts[5], 0xFFFF),
        type=parts[7],
        related_address=unquote(more.get("raddr", "")),
        related_port=number(more.get("rport"), 0xFFFF),
        generation=number(more.get("generation")) or 0,
        tcp_type=unquote(more.get("tcptype", "")),
    )


def _unusual(fields: dict[str, str]) -> Candidate:
    return Candidate(
        foundation=fields.get("foundation", ""),
        component=number(fields.get("component")),
        protocol=fields.get("protocol", ""),
        priority=number(fields.get("priority")),
        address=fields.get("address", ""),
        port=number(fields.get("port"), 0xFFFF),
        type=fields.get("type", ""),
        related_address=fields.get("raddr", ""),
        related_port=number(fields.get("rport"), 0xFFFF),
        generation=number(fields.get("generation")) or 0,
        tcp_type=fields.get("tcptype", ""),
    )


def _info(lines: _Lines) -> tuple[Info, ...]:
    if len(lines.all("x-jingle-info")) > MAX_SECTIONS:
        raise ParseError(f"more than {MAX_SECTIONS} elements in x-jingle-info")
    return tuple(info_of(xml.parse(unquote(line))) for line in lines.all("x-jingle-info"))


def _pairs(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(" ") if part)
    return {name: unquote(value) for name, _, value in pairs}
