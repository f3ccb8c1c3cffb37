"""XMPP stanzas and what they say, as dataclasses: RFC 6120, RFC 7395, the XEPs that Jitsi Meet uses, and its own.

`read` takes one element of a stream; every other function takes what it gives and returns a dataclass, or None (an
empty tuple) where the stanza is about something else. Decoders only: whether a value is allowed is judged elsewhere.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from xml.etree.ElementTree import Element

from jitsilab.protocols import xml
from jitsilab.protocols.xml import split as names

CLIENT = "jabber:client"
STREAM = "http://etherx.jabber.org/streams"
FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"  # RFC 7395
BOSH = "http://jabber.org/protocol/httpbind"  # XEP-0124
XBOSH = "urn:xmpp:xbosh"  # XEP-0206
TLS = "urn:ietf:params:xml:ns:xmpp-tls"  # RFC 6120 section 5
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"  # RFC 6120 section 6
BIND = "urn:ietf:params:xml:ns:xmpp-bind"  # RFC 6120 section 7
SESSION = "urn:ietf:params:xml:ns:xmpp-session"
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"  # RFC 6120 section 8.3
STREAMS = "urn:ietf:params:xml:ns:xmpp-streams"  # RFC 6120 section 4.9
SM = ("urn:xmpp:sm:3", "urn:xmpp:sm:2")  # XEP-0198
MUC = "http://jabber.org/protocol/muc"  # XEP-0045
MUC_USER = "http://jabber.org/protocol/muc#user"
NICK = "http://jabber.org/protocol/nick"  # XEP-0172
CAPS = "http://jabber.org/protocol/caps"  # XEP-0115
DISCO_INFO = "http://jabber.org/protocol/disco#info"  # XEP-0030
DISCO_ITEMS = "http://jabber.org/protocol/disco#items"
EXTDISCO = ("urn:xmpp:extdisco:2", "urn:xmpp:extdisco:1")  # XEP-0215
PING = "urn:xmpp:ping"  # XEP-0199
JINGLE = "urn:xmpp:jingle:1"  # XEP-0166
DATA = "jabber:x:data"  # XEP-0004
FOCUS = "http://jitsi.org/protocol/focus"
JITMEET = "http://jitsi.org/jitmeet"
COLIBRI = "http://jitsi.org/protocol/colibri"
COLIBRI2 = "jitsi:colibri2"

STANZA_NAMES = ("iq", "message", "presence")

Attributes = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stanza:
    """A stanza (RFC 6120 section 8) or a stream element, with its first child named."""

    name: str
    namespace: str
    sender: str | None  # the attribute from
    recipient: str | None  # the attribute to
    type: str | None
    id: str | None
    child: str | None  # first child element
    child_namespace: str | None
    element: Element = field(compare=False, repr=False)


def of(tree: Element) -> Stanza:
    """A parsed element as a Stanza."""
    namespace, name = names(tree.tag)
    child_namespace, child = names(tree[0].tag) if len(tree) else (None, None)
    get = tree.get
    return Stanza(name, namespace, get("from"), get("to"), get("type"), get("id"), child, child_namespace, tree)


def read(text: str | bytes) -> Stanza:
    """One stanza or stream element; raises ParseError as `jitsilab.protocols.xml.parse` does."""
    return of(xml.parse(text))


def child(stanza: Stanza, *namespaces: str, name: str | None = None) -> Element | None:
    """First child in one of the namespaces (with that name, where one is given)."""
    for one in stanza.element:
        namespace, local = names(one.tag)
        if namespace in namespaces and name in (None, local):
            return one
    return None


def bare(jid: str | None) -> str | None:
    """A JID without its resource (RFC 7622 section 3.1)."""
    return jid.partition("/")[0] if jid else jid


def resource(jid: str | None) -> str | None:
    """The resource of a JID, in a room the occupant (and in Jitsi the endpoint id); None where there is none."""
    return jid.partition("/")[2] or None if jid else None


def is_answer(stanza: Stanza) -> bool:
    """Whether it answers an earlier stanza of the other side with the same id (RFC 6120 sections 8.1.3 and 8.3)."""
    return stanza.type == "error" or (stanza.name == "iq" and stanza.type == "result")


@dataclass(frozen=True, slots=True)
class StreamHeader:
    """`<stream:stream>`, `<open/>` of RFC 7395 or the first BOSH `<body/>`: who opens a stream to whom."""

    sender: str | None
    recipient: str | None
    id: str | None  # chosen by the server, unlike any other (RFC 6120 section 4.7.3)
    version: str | None


def header(stanza: Stanza) -> StreamHeader | None:
    """What a stream header says."""
    e = stanza.element
    if (stanza.name, stanza.namespace) in (("stream", STREAM), ("open", FRAMING)):
        return StreamHeader(stanza.sender, stanza.recipient, stanza.id, e.get("version"))
    if (stanza.name, stanza.namespace) == ("body", BOSH) and (e.get("wait") or e.get(f"{{{XBOSH}}}restart")):
        version = e.get(f"{{{XBOSH}}}version")
        return StreamHeader(stanza.sender, stanza.recipient, e.get("authid") or e.get("sid"), version)
    return None


@dataclass(frozen=True, slots=True)
class Features:
    """`<stream:features/>` (RFC 6120 section 4.3.2)."""

    mechanisms: tuple[str, ...]  # offered for SASL
    starttls: bool
    starttls_required: bool
    bind: bool
    stream_management: bool


def features(stanza: Stanza) -> Features | None:
    """What a server offers on a stream."""
    if (stanza.name, stanza.namespace) != ("features", STREAM):
        return None
    e = stanza.element
    return Features(
        tuple((m.text or "").strip() for m in e.iterfind(f"{{{SASL}}}mechanisms/{{{SASL}}}mechanism")),
        e.find(f"{{{TLS}}}starttls") is not None,
        e.find(f"{{{TLS}}}starttls/{{{TLS}}}required") is not None,
        e.find(f"{{{BIND}}}bind") is not None,
        any(child(stanza, namespace) is not None for namespace in SM),
    )


@dataclass(frozen=True, slots=True)
class Sasl:
    """A step of a login (RFC 6120 section 6.4); what it carries stays out of it."""

    step: str  # auth, challenge, response, success, failure, abort
    mechanism: str | None  # of auth
    condition: str | None  # of failure


def sasl(stanza: Stanza) -> Sasl | None:
    """A step of a login."""
    if stanza.namespace != SASL:
        return None
    return Sasl(stanza.name, stanza.element.get("mechanism"), stanza.child if stanza.name == "failure" else None)


def bound(stanza: Stanza) -> str | None:
    """The full JID that a server gave a client (RFC 6120 section 7.6)."""
    jid = stanza.element.find(f"{{{BIND}}}bind/{{{BIND}}}jid")
    return jid.text.strip() if jid is not None and jid.text else None


@dataclass(frozen=True, slots=True)
class Management:
    """An element of stream management (XEP-0198)."""

    step: str  # enable, enabled, r, a, resume, resumed, failed
    handled: int | None  # stanzas that the sender has taken in so far (h)
    previous: str | None  # id of the stream to resume
    resume: bool


def management(stanza: Stanza) -> Management | None:
    """An element of stream management."""
    if stanza.namespace not in SM:
        return None
    e = stanza.element
    return Management(stanza.name, _number(e.get("h")), e.get("previd"), e.get("resume") in ("true", "1"))


@dataclass(frozen=True, slots=True)
class StanzaError:
    """Why a stanza was refused (RFC 6120 section 8.3), or a stream closed (section 4.9)."""

    type: str | None  # auth, cancel, continue, modify, wait; None on a stream
    condition: str | None  # the defined condition
    text: str | None
    application: str | None  # name of an application's own condition


def error(stanza: Stanza) -> StanzaError | None:
    """Why a stanza was refused or a stream closed."""
    if (stanza.name, stanza.namespace) == ("error", STREAM):
        found, defined = stanza.element, STREAMS
    else:
        inner = stanza.element.find(f"{{{stanza.namespace}}}error")
        if inner is None or stanza.type != "error":
            return None
        found, defined = inner, STANZAS
    condition = text = application = None
    for one in found:
        namespace, name = names(one.tag)
        if namespace == defined and name == "text":
            text = one.text
        elif namespace == defined:
            condition = condition or name
        else:
            application = application or name
    return StanzaError(found.get("type"), condition, text, application)


@dataclass(frozen=True, slots=True)
class Service:
    """A STUN or TURN server that the client may use (XEP-0215 section 3)."""

    type: str | None  # stun, stuns, turn, turns
    host: str | None
    port: int | None
    transport: str | None  # udp or tcp
    username: str | None
    password: str | None = field(repr=False)
    expires: str | None
    restricted: bool  # credentials are needed


def services(stanza: Stanza) -> tuple[Service, ...]:
    """Services that an answer, a push or the room's metadata names; () also where the list is empty (`offers`)."""
    found = child(stanza, *EXTDISCO)
    if found is not None:
        return tuple(_service(one.attrib) for one in found if names(one.tag)[1] == "service")
    listed = (metadata(stanza) or {}).get("services")
    return tuple(_service(one) for one in listed if isinstance(one, dict)) if isinstance(listed, list) else ()


def offers(stanza: Stanza) -> bool:
    """Whether this is an answer that lists services, be the list empty."""
    return stanza.type in ("result", "set") and child(stanza, *EXTDISCO, name="services") is not None


def _service(one: Mapping[str, Any]) -> Service:
    def text(key: str) -> str | None:
        return None if one.get(key) is None else str(one[key])

    restricted = text("restricted") in ("1", "true", "True")
    port = _number(text("port"))
    return Service(
        text("type"),
        text("host"),
        port,
        text("transport"),
        text("username"),
        text("password"),
        text("expires"),
        restricted,
    )


@dataclass(frozen=True, slots=True)
class Presence:
    """Presence in a room (XEP-0045 section 7), with what Jitsi Meet adds to it."""

    room: str | None
    occupant: str | None  # resource in the room: the endpoint id, or focus
    type: str | None  # None is available
    joins: bool  # asks to enter (XEP-0045 section 7.2.1)
    codes: tuple[int, ...]  # 110 own presence, 100 JIDs are seen, 201 room created, 307 kicked, 333 error, ...
    role: str | None
    affiliation: str | None
    jid: str | None  # real JID, where the room shows it
    nick: str | None  # display name (XEP-0172)
    email: str | None
    stats_id: str | None
    region: str | None
    user_agent: str | None
    codecs: tuple[str, ...]
    caps_node: str | None  # XEP-0115
    caps_version: str | None
    sources: Mapping[str, Any]  # SourceInfo: source name to what is said of it
    properties: Attributes  # of the conference, said by the focus
    bridges: int | None  # bridge-count, said by the focus
    bridge_not_available: bool  # the focus found no bridge
    condition: str | None  # of an error


def presence(stanza: Stanza) -> Presence | None:
    """What a presence says; None for any other stanza."""
    if stanza.name != "presence":
        return None
    e, outgoing = stanza.element, stanza.recipient if stanza.sender is None else stanza.sender
    item = e.find(f"{{{MUC_USER}}}x/{{{MUC_USER}}}item")
    caps = e.find(f"{{{CAPS}}}c")
    said = properties(stanza)
    refusal = error(stanza)
    codecs = _text(e, f"{{{stanza.namespace}}}jitsi_participant_codecList")
    # a type of "error" goes back to the sender: the room is then in from, as in all else that a room sends
    return Presence(
        room=bare(outgoing),
        occupant=resource(outgoing),
        type=stanza.type,
        joins=stanza.type is None and e.find(f"{{{MUC}}}x") is not None,
        codes=tuple(
            code
            for status in e.iterfind(f"{{{MUC_USER}}}x/{{{MUC_USER}}}status")
            if (code := _number(status.get("code"))) is not None
        ),
        role=item.get("role") if item is not None else None,
        affiliation=item.get("affiliation") if item is not None else None,
        jid=item.get("jid") if item is not None else None,
        nick=_text(e, f"{{{NICK}}}nick"),
        email=_text(e, f"{{{stanza.namespace}}}email"),
        stats_id=_text(e, f"{{{stanza.namespace}}}stats-id"),
        region=next((one.get("id") for one in e if names(one.tag)[1] == "region"), None),
        user_agent=next((one.text for one in e if names(one.tag)[1] == "user-agent"), None),
        codecs=tuple(name for name in (codecs or "").split(",") if name),
        caps_node=caps.get("node") if caps is not None else None,
        caps_version=caps.get("ver") if caps is not None else None,
        sources=source_info(stanza),
        properties=said,
        bridges=_number(said.get("bridge-count")),
        bridge_not_available=e.find(f"{{{FOCUS}}}bridgeNotAvailable") is not None,
        condition=refusal.condition if refusal else None,
    )


def source_info(stanza: Stanza) -> Mapping[str, Any]:
    """Source name to its properties (muted, videoType, ...), of the JSON in the presence's SourceInfo."""
    text = next((one.text for one in stanza.element if names(one.tag)[1] == "SourceInfo"), None)
    return _json(text)


def properties(stanza: Stanza) -> Attributes:
    """Properties that the focus says of its conference: in presence (key) or in its answer (name)."""
    found: dict[str, str] = {}
    for one in stanza.element.iter(f"{{{FOCUS}}}property"):
        key = one.get("key") or one.get("name")
        if key:
            found[key] = one.get("value") or ""
    return MappingProxyType(found)


@dataclass(frozen=True, slots=True)
class Conference:
    """The request for a conference to the focus, or its answer."""

    room: str | None
    ready: bool | None  # None in a request
    focus: str | None  # JID of the focus, in the answer
    node: str | None  # room for visitors, where the answer sends the client there (vnode)
    properties: Attributes
    identity: str | None  # of a logged-in user
    condition: str | None  # why it was refused
    application: str | None  # reservation-error, session-invalid, ...


def conference(stanza: Stanza) -> Conference | None:
    """A request for a conference or its answer; a refusal without the request inside is not recognised by itself."""
    found = child(stanza, FOCUS, name="conference")
    if found is None:
        return None
    refusal = error(stanza)
    ready = found.get("ready")
    return Conference(
        room=found.get("room"),
        ready=None if stanza.type == "set" else ready == "true",
        focus=found.get("focusjid"),
        node=found.get("vnode"),
        properties=properties(stanza),
        identity=found.get("identity"),
        condition=refusal.condition if refusal else None,
        application=refusal.application if refusal else None,
    )


@dataclass(frozen=True, slots=True)
class Disco:
    """A question for, or a list of, what an entity is and can (XEP-0030 section 3)."""

    node: str | None
    identities: tuple[tuple[str, str, str], ...]  # category, type, name
    features: tuple[str, ...]
    form: Mapping[str, tuple[str, ...]]  # fields of the data form: for a room muc#roominfo and muc#roomconfig


def disco(stanza: Stanza) -> Disco | None:
    """A question for what an entity can, or the answer (disco#info)."""
    found = child(stanza, DISCO_INFO, name="query")
    if found is None:
        return None
    form = {
        name: tuple(value.text or "" for value in one.iterfind(f"{{{DATA}}}value"))
        for one in found.iterfind(f"{{{DATA}}}x/{{{DATA}}}field")
        if (name := one.get("var"))
    }
    return Disco(
        found.get("node"),
        tuple(
            (one.get("category") or "", one.get("type") or "", one.get("name") or "")
            for one in found.iterfind(f"{{{DISCO_INFO}}}identity")
        ),
        tuple(one.get("var") or "" for one in found.iterfind(f"{{{DISCO_INFO}}}feature")),
        MappingProxyType(form),
    )


def json_message(stanza: Stanza) -> Mapping[str, Any]:
    """The JSON of a message of Jitsi's components (room metadata, av-moderation, ...); empty where there is none."""
    found = child(stanza, JITMEET, name="json-message")
    return _json(found.text if found is not None else None)


def metadata(stanza: Stanza) -> Mapping[str, Any] | None:
    """Metadata of the room, or None where the stanza holds none."""
    said = json_message(stanza)
    found = said.get("metadata") if said.get("type") == "room_metadata" else None
    return found if isinstance(found, dict) else None


@dataclass(frozen=True, slots=True)
class Moderation:
    """Audio or video moderation of a room: asked for by a client or told by the component."""

    enabled: bool | None
    media: str | None  # audio, video or desktop
    room: str | None
    actor: str | None


def moderation(stanza: Stanza) -> Moderation | None:
    """Audio or video moderation."""
    asked = child(stanza, JITMEET, name="av_moderation")
    if asked is not None:
        enable = asked.get("enable")
        return Moderation(
            enable == "true" if enable else None, asked.get("mediaType"), asked.get("room"), stanza.sender
        )
    said = json_message(stanza)
    if said.get("type") != "av_moderation":
        return None
    told = {key: str(said[key]) if said.get(key) is not None else None for key in ("mediaType", "room", "actor")}
    enabled = said.get("enabled")
    return Moderation(enabled if isinstance(enabled, bool) else None, told["mediaType"], told["room"], told["actor"])


@dataclass(frozen=True, slots=True)
class Colibri:
    """What the focus asks of a bridge, or the bridge's answer: COLIBRI 2, or the first version of 2020."""

    version: int
    kind: str  # conference-modify, conference-modified, conference (version 1)
    name: str | None  # of the room
    meeting: str | None
    create: bool
    endpoints: tuple[str, ...]
    expired: tuple[str, ...]  # endpoints that leave
    condition: str | None


def colibri(stanza: Stanza) -> Colibri | None:
    """A request to a bridge, or its answer."""
    found = child(stanza, COLIBRI2)
    refusal = error(stanza)
    condition = refusal.condition if refusal else None
    if found is not None:
        ends = [(one.get("id") or "", one.get("expire") == "true") for one in found.iterfind(f"{{{COLIBRI2}}}endpoint")]
        meeting, create = found.get("meeting-id"), found.get("create") == "true"
        here, gone = tuple(i for i, left in ends if not left), tuple(i for i, left in ends if left)
        return Colibri(2, names(found.tag)[1], found.get("name"), meeting, create, here, gone, condition)
    found = child(stanza, COLIBRI, name="conference")
    if found is None:
        return None
    listed = dict.fromkeys(one.get("endpoint") or "" for one in found.iter(f"{{{COLIBRI}}}channel"))
    listed.pop("", None)
    create = stanza.type in ("get", "set") and found.get("id") is None
    return Colibri(1, "conference", found.get("name"), found.get("id"), create, tuple(listed), (), condition)


@dataclass(frozen=True, slots=True)
class Body:
    """Attributes of a BOSH `<body/>` (XEP-0124 section 7, XEP-0206 section 2)."""

    rid: int | None  # request number, one more each time
    sid: str | None = field(repr=False)  # names the session, and is all that is needed to take it over
    type: str | None  # terminate, error
    condition: str | None
    wait: int | None  # s that the server may hold a request
    hold: int | None  # requests that it may hold
    requests: int | None
    creates: bool
    restarts: bool


def body(stanza: Stanza) -> Body | None:
    """Attributes of a BOSH body."""
    if (stanza.name, stanza.namespace) != ("body", BOSH):
        return None
    get = stanza.element.get
    wait, restarts = _number(get("wait")), get(f"{{{XBOSH}}}restart") in ("true", "1")
    return Body(
        _number(get("rid")),
        get("sid"),
        stanza.type,
        get("condition"),
        wait,
        _number(get("hold")),
        _number(get("requests")),
        wait is not None,
        restarts,
    )


def stanzas(tree: Element) -> Iterator[Element]:
    """The stanzas inside an element, at any depth (forwarded ones of XEP-0297), itself included."""
    for one in tree.iter():
        namespace, name = names(one.tag)
        if namespace in (CLIENT, "jabber:server", "jabber:component:accept") and name in STANZA_NAMES:
            yield one


def _text(tree: Element, path: str) -> str | None:
    found = tree.find(path)
    return found.text if found is not None else None


def _number(text: str | None) -> int | None:
    """A number as XMPP writes it; None for all else, also for one too long to be meant."""
    if text is None or not text.isascii() or not text.strip().isdigit() or len(text) > 20:
        return None
    return int(text)


def _json(text: str | None) -> Mapping[str, Any]:
    """A JSON object; empty for all else."""
    try:
        found = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return MappingProxyType({})
    return MappingProxyType(found) if isinstance(found, dict) else MappingProxyType({})
