"""Jingle (XEP-0166), with what Jitsi's calls put into it, to records and back; and its passage to SDP and back.

XEP-0167 descriptions, 0176 ICE-UDP transports, 0293 feedback, 0294 header extensions, 0320 fingerprints, 0338 groups,
0339 sources, 0343 data channels, and Jitsi's own: owners of sources, JSON-encoded sources, the bridge channel's
address, bridge sessions.
"""

from dataclasses import replace
from typing import Any
from xml.etree.ElementTree import Element

from jitsilab.errors import ParseError
from jitsilab.protocols import jitsi_sources, sdp, xml
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
from jitsilab.protocols.jingle_writer import (
    DTLS,
    EXTENSIONS,
    FEEDBACK,
    FOCUS,
    GROUPING,
    JINGLE,
    JITMEET,
    SOURCES,
    encode,
    info_of,
)

ACTIONS = (  # XEP-0166 section 7.2, and Jitsi's two
    "content-accept", "content-add", "content-modify", "content-reject", "content-remove", "description-info",
    "security-info", "session-accept", "session-info", "session-initiate", "session-terminate", "transport-accept",
    "transport-info", "transport-reject", "transport-replace", "source-add", "source-remove",
)  # fmt: skip


def decode(text: str | bytes) -> Jingle:
    """The Jingle message in a stanza, a BOSH body or by itself, JSON-encoded sources put among the others.

    Raises ParseError where the XML cannot be read (see `jitsilab.protocols.xml.parse`) or holds no ``jingle`` element.
    A value that cannot be read is None in its record and a sentence in ``problems``.
    """
    return decode_element(xml.parse(text))


def decode_element(tree: Element) -> Jingle:
    """The same of a stanza that was parsed."""
    return _Reader().decode(tree)


def to_sdp(stanza: Any) -> str:
    """The session description that a browser is handed for a Jingle message; see `jitsilab.protocols.sdp.write`.

    ``stanza`` is XML text, a `Jingle`, or anything with the text in an attribute ``xml``: a row of the table xmpp.
    The text shows what was said, passwords included. Raises ParseError as `decode` does.
    """
    if not isinstance(stanza, str | bytes | Jingle):
        stanza = getattr(stanza, "xml", stanza)
    if isinstance(stanza, str | bytes):
        stanza = decode(stanza)
    if not isinstance(stanza, Jingle):
        raise ParseError(f"a stanza is XML text, not {type(stanza).__name__}")
    return sdp.write(stanza)


def to_jingle(description: str, *, action: str = "", sid: str = "", initiator: str = "", responder: str = "") -> str:
    """The Jingle stanza for a session description; the way back from `to_sdp`.

    The four words replace what the description says or implies of them; a browser's own says nothing. Raises
    ParseError for what is not SDP.
    """
    read = sdp.decode(description)
    return encode(
        replace(
            read,
            action=action or read.action,
            sid=sid or read.sid,
            initiator=initiator or read.initiator,
            responder=responder or read.responder,
        )
    )


class _Reader:
    """Reads one message; collects what could not be read."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def decode(self, root: Element) -> Jingle:
        jingle = next((e for e in root.iter() if e.tag in (f"{{{JINGLE}}}jingle", "jingle")), None)
        if jingle is None:
            raise ParseError(f"no jingle element in <{xml.local(root)[:40]}>")
        stanza = next((e for e in root.iter() if jingle in list(e)), jingle)
        if jingle.get("action") not in ACTIONS:
            self.problems.append("an action that Jingle does not have, or none")
        bridge, reason = xml.child(jingle, "bridge-session", FOCUS), xml.child(jingle, "reason")
        conditions = [xml.local(e) for e in reason if xml.local(e) != "text"] if reason is not None else []
        text = xml.child(reason, "text") if reason is not None else None
        restarts = ("restart", "ice-restart")
        contents = [self.content(e) for e in xml.children(jingle, "content", JINGLE)]
        return Jingle(
            action=jingle.get("action", ""),
            sid=jingle.get("sid", ""),
            initiator=jingle.get("initiator", ""),
            responder=jingle.get("responder", ""),
            sender=stanza.get("from", ""),
            receiver=stanza.get("to", ""),
            contents=self.expanded(jingle, contents),
            groups=tuple(_group(e) for e in xml.children(jingle, "group", GROUPING)),
            bridge_session=bridge.get("id", "") if bridge is not None else "",
            region=bridge.get("region", "") if bridge is not None else "",
            restart=" ".join(r for r in restarts if bridge.get(r) == "true") if bridge is not None else "",
            reason=conditions[0] if conditions else "",
            text=(text.text or "") if text is not None else "",
            info=self.info(jingle, {"content", "group", "bridge-session", "reason", "json-message", "traceparent"}),
            problems=tuple(self.problems),
        )

    def expanded(self, jingle: Element, contents: list[Content]) -> tuple[Content, ...]:
        """The contents with the sources of each ``json-message``; a content is made where there is none for them."""
        for message in xml.children(jingle, "json-message", JITMEET):
            try:
                by_kind = jitsi_sources.compact(message.text or "")
            except ParseError as error:
                self.problems.append(f"JSON-encoded sources: {error}")
                continue
            for kind, sources, groups in by_kind:
                if not (sources or groups):
                    continue
                index = next((i for i, c in enumerate(contents) if kind in (c.media, c.name)), len(contents))
                if index == len(contents):
                    contents.append(Content(kind, media=kind))
                own = contents[index]
                contents[index] = replace(own, sources=own.sources + sources, groups=own.groups + groups)
        return tuple(contents)

    def content(self, content: Element) -> Content:
        description, transport = xml.child(content, "description"), xml.child(content, "transport")
        about = description if description is not None else content
        sctp = transport is not None and xml.child(transport, "sctpmap") is not None
        parents = [e for e in (description, content) if e is not None]
        muxes = [e for e in (description, transport) if e is not None]
        return Content(
            name=content.get("name", ""),
            creator=content.get("creator", ""),
            senders=content.get("senders", ""),
            media=about.get("media", "application" if sctp else ""),
            payload_types=tuple(self.payload_type(e) for e in xml.children(about, "payload-type")),
            feedback=_feedback(about),
            header_extensions=tuple(self.extension(e) for e in xml.children(about, "rtp-hdrext", EXTENSIONS)),
            extmap_allow_mixed=xml.child(about, "extmap-allow-mixed", EXTENSIONS) is not None,
            rtcp_mux=any(xml.child(e, "rtcp-mux") is not None for e in muxes),
            sources=tuple(self.source(s) for e in parents for s in xml.children(e, "source", SOURCES)),
            groups=tuple(self.group(g) for e in parents for g in xml.children(e, "ssrc-group", SOURCES)),
            transport=self.transport(transport) if transport is not None else None,
            info=self.info(content, {"description", "transport", "source", "ssrc-group"}),
        )

    def payload_type(self, payload: Element) -> PayloadType:
        return PayloadType(
            id=self.number(payload, "id", 127),
            name=payload.get("name", ""),
            clock_rate=self.number(payload, "clockrate"),
            channels=self.number(payload, "channels") or 1,
            parameters=_parameters(payload),
            feedback=_feedback(payload),
        )

    def extension(self, extension: Element) -> HeaderExtension:
        senders = extension.get("senders", "")
        uri = extension.get("uri", "")
        return HeaderExtension(
            self.number(extension, "id"), uri, "" if senders == "both" else senders, _parameters(extension)
        )

    def source(self, source: Element) -> Source:
        parameters, name = _parameters(source), source.get("name", "")
        info = xml.child(source, "ssrc-info")
        owner = info.get("owner", "") if info is not None else ""
        return Source(
            ssrc=self.number(source, "ssrc"),
            name=name,
            owner=owner or jitsi_sources.owner_of(name, parameters),
            video_type=source.get("videoType", "").lower(),
            parameters=parameters,
            rid=source.get("rid", ""),
        )

    def group(self, group: Element) -> SourceGroup:
        ssrcs = (self.number(e, "ssrc") for e in xml.children(group, "source"))
        return SourceGroup(group.get("semantics", ""), tuple(ssrc for ssrc in ssrcs if ssrc is not None))

    def transport(self, transport: Element) -> Transport:
        web_socket, sctp = xml.child(transport, "web-socket"), xml.child(transport, "sctpmap")
        association = None
        if sctp is not None:
            protocol = sctp.get("protocol", "webrtc-datachannel")
            association = Sctp(self.number(sctp, "number", 0xFFFF), protocol, self.number(sctp, "streams"))
        return Transport(
            namespace=xml.split(transport.tag)[0],
            ufrag=transport.get("ufrag", ""),
            pwd=transport.get("pwd", ""),
            generation=self.number(transport, "ice-generation"),
            fingerprints=tuple(_fingerprint(e) for e in xml.children(transport, "fingerprint", DTLS)),
            candidates=tuple(self.candidate(e) for e in xml.children(transport, "candidate")),
            web_socket=web_socket.get("url", "") if web_socket is not None else "",
            sctp=association,
        )

    def candidate(self, candidate: Element) -> Candidate:
        return Candidate(
            foundation=candidate.get("foundation", ""),
            component=self.number(candidate, "component"),
            protocol=candidate.get("protocol", "").lower(),
            priority=self.number(candidate, "priority"),
            address=candidate.get("ip", ""),
            port=self.number(candidate, "port", 0xFFFF),
            type=candidate.get("type", ""),
            related_address=candidate.get("rel-addr", ""),
            related_port=self.number(candidate, "rel-port", 0xFFFF),
            generation=self.number(candidate, "generation") or 0,
            tcp_type=candidate.get("tcptype", ""),
        )

    def info(self, holder: Element, known: set[str]) -> tuple[Info, ...]:
        return tuple(info_of(inner) for inner in holder if xml.local(inner) not in known)

    def number(self, holder: Element, name: str, limit: int = 0xFFFFFFFF) -> int | None:
        value = number(holder.get(name), limit)
        if value is None and holder.get(name) is not None:
            self.problems.append(f"{name} of a {xml.local(holder)} is not a number up to {limit}")
        return value


def _parameters(holder: Element) -> tuple[Parameter, ...]:
    return tuple(Parameter(e.get("name", ""), e.get("value", "")) for e in xml.children(holder, "parameter"))


def _feedback(holder: Element) -> tuple[Feedback, ...]:
    feedback = [Feedback(e.get("type", ""), e.get("subtype", "")) for e in xml.children(holder, "rtcp-fb", FEEDBACK)]
    intervals = xml.children(holder, "rtcp-fb-trr-int", FEEDBACK)
    return tuple(feedback + [Feedback("trr-int", e.get("value", "0")) for e in intervals])


def _fingerprint(fingerprint: Element) -> Fingerprint:
    return Fingerprint(
        hash=fingerprint.get("hash", "").lower(),
        value="".join((fingerprint.text or "").split()).upper(),
        setup=fingerprint.get("setup", ""),
        required=fingerprint.get("required") in ("true", "1"),
        cryptex=fingerprint.get("cryptex") == "true",
    )


def _group(group: Element) -> Group:
    names = tuple(e.get("name", "") for e in xml.children(group, "content"))
    return Group(group.get("semantics", "") or group.get("type", ""), names)
