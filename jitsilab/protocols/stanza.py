"""XMPP stanzas and stream elements, and what RFC 6120, RFC 7395 and general XEPs say in them, as dataclasses.

`parse` takes one element of a stream; every other function takes what it gives and returns a dataclass, or None where
the stanza is about something else. Decoders only: whether a value is allowed is judged elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
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


def from_element(tree: Element) -> Stanza:
    """A parsed element as a Stanza."""
    namespace, name = names(tree.tag)
    child_namespace, child = names(tree[0].tag) if len(tree) else (None, None)
    get = tree.get
    return Stanza(name, namespace, get("from"), get("to"), get("type"), get("id"), child, child_namespace, tree)


def parse(text: str | bytes) -> Stanza:
    """One stanza or stream element; raises ParseError as `jitsilab.protocols.xml.parse` does."""
    return from_element(xml.parse(text))


def child(stanza: Stanza, *namespaces: str, name: str | None = None) -> Element | None:
    """First child in one of the namespaces (with that name, where one is given)."""
    for inner in stanza.element:
        namespace, local = names(inner.tag)
        if namespace in namespaces and name in (None, local):
            return inner
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
    text: str | None = None  # of failure: the server's reason in words (RFC 6120 section 6.4.5)


def sasl(stanza: Stanza) -> Sasl | None:
    """A step of a login."""
    if stanza.namespace != SASL:
        return None
    if stanza.name != "failure":
        return Sasl(stanza.name, stanza.element.get("mechanism"), None)
    words = stanza.element.find(f"{{{SASL}}}text")
    conditions = [name for namespace, name in (names(inner.tag) for inner in stanza.element) if name != "text"]
    return Sasl(
        "failure", None, next(iter(conditions), None), (words.text or "").strip() if words is not None else None
    )


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
    return Management(stanza.name, number(e.get("h")), e.get("previd"), e.get("resume") in ("true", "1"))


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
        element, defined = stanza.element, STREAMS
    else:
        inner = stanza.element.find(f"{{{stanza.namespace}}}error")
        if inner is None or stanza.type != "error":
            return None
        element, defined = inner, STANZAS
    condition = text = application = None
    for detail in element:
        namespace, name = names(detail.tag)
        if namespace == defined and name == "text":
            text = detail.text
        elif namespace == defined:
            condition = condition or name
        else:
            application = application or name
    return StanzaError(element.get("type"), condition, text, application)


@dataclass(frozen=True, slots=True)
class Disco:
    """A question for, or a list of, what an entity is and can (XEP-0030 section 3)."""

    node: str | None
    identities: tuple[tuple[str, str, str], ...]  # category, type, name
    features: tuple[str, ...]
    form: Mapping[str, tuple[str, ...]]  # fields of the data form: for a room muc#roominfo and muc#roomconfig


def disco(stanza: Stanza) -> Disco | None:
    """A question for what an entity can, or the answer (disco#info)."""
    query = child(stanza, DISCO_INFO, name="query")
    if query is None:
        return None
    form = {
        name: tuple(value.text or "" for value in element.iterfind(f"{{{DATA}}}value"))
        for element in query.iterfind(f"{{{DATA}}}x/{{{DATA}}}field")
        if (name := element.get("var"))
    }
    return Disco(
        query.get("node"),
        tuple(
            (identity.get("category") or "", identity.get("type") or "", identity.get("name") or "")
            for identity in query.iterfind(f"{{{DISCO_INFO}}}identity")
        ),
        tuple(feature.get("var") or "" for feature in query.iterfind(f"{{{DISCO_INFO}}}feature")),
        MappingProxyType(form),
    )


@dataclass(frozen=True, slots=True)
class Body:
    """Attributes of a BOSH `<body/>` (XEP-0124 section 6, XEP-0206 section 2)."""

    rid: int | None  # request number, one more each time (section 14)
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
    wait, restarts = number(get("wait")), get(f"{{{XBOSH}}}restart") in ("true", "1")
    return Body(
        number(get("rid")),
        get("sid"),
        stanza.type,
        get("condition"),
        wait,
        number(get("hold")),
        number(get("requests")),
        wait is not None,
        restarts,
    )


def number(text: str | None) -> int | None:
    """A number as XMPP writes it; None for all else, also for one too long to be meant."""
    if text is None or not text.isascii() or not text.strip().isdigit() or len(text) > 20:
        return None
    return int(text)
