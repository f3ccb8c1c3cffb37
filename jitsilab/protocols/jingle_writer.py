"""Writes Jingle messages as stanzas; `jitsilab.protocols.jingle` reads them."""

from collections.abc import Iterable
from xml.etree.ElementTree import Element

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
    Source,
    SourceGroup,
    Transport,
)

JINGLE = "urn:xmpp:jingle:1"
RTP = "urn:xmpp:jingle:apps:rtp:1"
FEEDBACK = "urn:xmpp:jingle:apps:rtp:rtcp-fb:0"
EXTENSIONS = "urn:xmpp:jingle:apps:rtp:rtp-hdrext:0"
SOURCES = "urn:xmpp:jingle:apps:rtp:ssma:0"
GROUPING = "urn:xmpp:jingle:apps:grouping:0"
ICE = "urn:xmpp:jingle:transports:ice-udp:1"
DTLS = "urn:xmpp:jingle:apps:dtls:0"
SCTP = "urn:xmpp:jingle:transports:dtls-sctp:1"
COLIBRI = "http://jitsi.org/protocol/colibri"
FOCUS = "http://jitsi.org/protocol/focus"
JITMEET = "http://jitsi.org/jitmeet"


def encode(jingle: Jingle) -> str:
    """A message as the stanza that carries it, sources in the standard form (XEP-0339)."""
    bridge = {"xmlns": FOCUS, "id": jingle.bridge_session, "region": jingle.region}
    bridge |= dict.fromkeys(jingle.restart.split(), "true")
    reason = xml.write(jingle.reason, {}) if jingle.reason else ""
    text = xml.write("text", {}, text=jingle.text) if jingle.text else ""
    about = {"xmlns": JINGLE, "action": jingle.action, "sid": jingle.sid}
    inner = xml.write(
        "jingle",
        about | {"initiator": jingle.initiator, "responder": jingle.responder},
        *(_write_group(group) for group in jingle.groups),
        *(_write_content(content) for content in jingle.contents),
        *map(write_info, jingle.info),
        xml.write("bridge-session", bridge) if jingle.bridge_session or jingle.restart else "",
        xml.write("reason", {}, reason, text) if reason or text else "",
    )
    stanza = {"xmlns": "jabber:client", "type": "set", "from": jingle.sender, "to": jingle.receiver}
    return xml.write("iq", stanza, inner)


def _write_group(group: Group) -> str:
    contents = (xml.write("content", {"name": name}) for name in group.contents)
    return xml.write("group", {"xmlns": GROUPING, "semantics": group.semantics}, *contents)


def _write_content(content: Content) -> str:
    about = {"name": content.name, "creator": content.creator, "senders": content.senders}
    described = content.media or content.payload_types or content.sources or content.rtcp_mux or content.groups
    return xml.write(
        "content",
        about,
        _write_description(content) if described else "",
        _write_transport(content.transport) if content.transport else "",
        *map(write_info, content.info),
    )


def _write_description(content: Content) -> str:
    return xml.write(
        "description",
        {"xmlns": RTP, "media": content.media},
        *(_write_payload_type(payload) for payload in content.payload_types),
        *_write_feedback(content.feedback),
        *(_write_source(source) for source in content.sources),
        *(_write_source_group(group) for group in content.groups),
        xml.write("rtcp-mux", {}) if content.rtcp_mux else "",
        *(_write_extension(extension) for extension in content.header_extensions),
        xml.write("extmap-allow-mixed", {"xmlns": EXTENSIONS}) if content.extmap_allow_mixed else "",
    )


def _write_payload_type(payload: PayloadType) -> str:
    channels = payload.channels if payload.channels != 1 else None
    about = {"id": payload.id, "name": payload.name, "clockrate": payload.clock_rate, "channels": channels}
    inner = (*_write_parameters(payload.parameters), *_write_feedback(payload.feedback))
    return xml.write("payload-type", about, *inner)


def _write_parameters(parameters: Iterable[Parameter]) -> list[str]:
    return [xml.write("parameter", {"name": name, "value": value}) for name, value in parameters]


def _write_feedback(feedback: Iterable[Feedback]) -> list[str]:
    return [
        xml.write("rtcp-fb-trr-int", {"xmlns": FEEDBACK, "value": subtype})
        if kind == "trr-int"
        else xml.write("rtcp-fb", {"xmlns": FEEDBACK, "type": kind, "subtype": subtype})
        for kind, subtype in feedback
    ]


def _write_extension(extension: HeaderExtension) -> str:
    about = {"xmlns": EXTENSIONS, "id": extension.id, "uri": extension.uri, "senders": extension.senders}
    return xml.write("rtp-hdrext", about, *_write_parameters(extension.parameters))


def _write_source(source: Source) -> str:
    about = {"xmlns": SOURCES, "ssrc": source.ssrc, "rid": source.rid, "name": source.name}
    owner = xml.write("ssrc-info", {"xmlns": JITMEET, "owner": source.owner}) if source.owner else ""
    return xml.write("source", about | {"videoType": source.video_type}, *_write_parameters(source.parameters), owner)


def _write_source_group(group: SourceGroup) -> str:
    sources = (xml.write("source", {"ssrc": ssrc}) for ssrc in group.ssrcs)
    return xml.write("ssrc-group", {"xmlns": SOURCES, "semantics": group.semantics}, *sources)


def _write_transport(transport: Transport) -> str:
    about = {"xmlns": transport.namespace or ICE, "ufrag": transport.ufrag, "pwd": transport.pwd}
    channel = xml.write("web-socket", {"xmlns": COLIBRI, "url": transport.web_socket}) if transport.web_socket else ""
    association = ""
    if transport.sctp:
        port, protocol, streams = transport.sctp
        association = xml.write("sctpmap", {"xmlns": SCTP, "number": port, "protocol": protocol, "streams": streams})
    return xml.write(
        "transport",
        about | {"ice-generation": transport.generation},
        channel,
        *(_write_fingerprint(fingerprint) for fingerprint in transport.fingerprints),
        association,
        *(_write_candidate(candidate) for candidate in transport.candidates),
    )


def _write_fingerprint(fingerprint: Fingerprint) -> str:
    about = {"xmlns": DTLS, "hash": fingerprint.hash, "setup": fingerprint.setup}
    flags = {"required": fingerprint.required and "true", "cryptex": fingerprint.cryptex and "true"}
    return xml.write("fingerprint", about | {k: v or None for k, v in flags.items()}, text=fingerprint.value)


def _write_candidate(candidate: Candidate) -> str:
    return xml.write(
        "candidate",
        {
            "foundation": candidate.foundation,
            "component": candidate.component,
            "protocol": candidate.protocol,
            "priority": candidate.priority,
            "ip": candidate.address,
            "port": candidate.port,
            "type": candidate.type,
            "rel-addr": candidate.related_address,
            "rel-port": candidate.related_port,
            "tcptype": candidate.tcp_type,
            "generation": candidate.generation,
        },
    )


def info_of(element: Element) -> Info:
    """An element that has no field of its own, without its children."""
    namespace, name = xml.split(element.tag)
    attributes = tuple(Parameter(xml.split(key)[1], value) for key, value in sorted(element.items()))
    return Info(name, namespace, attributes, (element.text or "").strip())


def write_info(info: Info) -> str:
    """The element of such a record."""
    return xml.write(info.name, {"xmlns": info.namespace} | dict(info.attributes), text=info.text)
