"""XMPP as Jitsi Meet speaks it: every decoder of stanzas under one name, and what a stanza is for in plain words."""

from jitsilab.protocols.jitmeet import (
    Colibri,
    Conference,
    Moderation,
    Presence,
    Service,
    colibri,
    conference,
    json_message,
    metadata,
    moderation,
    offers,
    presence,
    properties,
    services,
    source_info,
)
from jitsilab.protocols.stanza import (
    BIND,
    BOSH,
    CAPS,
    CLIENT,
    COLIBRI,
    COLIBRI2,
    DISCO_INFO,
    DISCO_ITEMS,
    EXTDISCO,
    FOCUS,
    FRAMING,
    JINGLE,
    JITMEET,
    MUC,
    MUC_USER,
    NICK,
    PING,
    SASL,
    SESSION,
    SM,
    STANZA_NAMES,
    STANZAS,
    STREAM,
    STREAMS,
    TLS,
    XBOSH,
    Body,
    Disco,
    Features,
    Management,
    Sasl,
    Stanza,
    StanzaError,
    StreamHeader,
    bare,
    body,
    bound,
    child,
    disco,
    error,
    features,
    header,
    is_answer,
    management,
    parse,
    resource,
    sasl,
)
from jitsilab.protocols.xml import local

__all__ = [
    "BIND",
    "BOSH",
    "CAPS",
    "CLIENT",
    "COLIBRI",
    "COLIBRI2",
    "DISCO_INFO",
    "DISCO_ITEMS",
    "EXTDISCO",
    "FOCUS",
    "FRAMING",
    "JINGLE",
    "JITMEET",
    "MUC",
    "MUC_USER",
    "NICK",
    "PING",
    "SASL",
    "SESSION",
    "SM",
    "STANZAS",
    "STANZA_NAMES",
    "STREAM",
    "STREAMS",
    "TLS",
    "XBOSH",
    "Body",
    "Colibri",
    "Conference",
    "Disco",
    "Features",
    "Management",
    "Moderation",
    "Presence",
    "Sasl",
    "Service",
    "Stanza",
    "StanzaError",
    "StreamHeader",
    "bare",
    "body",
    "bound",
    "child",
    "colibri",
    "conference",
    "disco",
    "error",
    "features",
    "header",
    "is_answer",
    "json_message",
    "management",
    "metadata",
    "moderation",
    "offers",
    "parse",
    "presence",
    "properties",
    "purpose",
    "resource",
    "sasl",
    "services",
    "source_info",
]  # fmt: skip

_SASL = {
    "challenge": "the server asks for the next step of the login",
    "response": "the client takes the next step of the login",
    "success": "the login succeeded; the stream starts again",
    "abort": "the client gives the login up",
}
_MANAGEMENT = {
    "enable": "the client asks for stream management: acknowledgements",
    "enabled": "the server agrees to stream management",
    "r": "asks how many stanzas have arrived",
    "a": "tells how many stanzas have arrived",
    "resume": "the client asks to go on with an earlier stream",
    "resumed": "the server goes on with the earlier stream",
    "failed": "stream management or resumption is refused",
}
_JINGLE = {
    "session-initiate": "offers a media session",
    "session-accept": "accepts the media session: the answer to the offer",
    "session-terminate": "ends the media session",
    "session-info": "tells about the media session",
    "transport-info": "names more ICE candidates",
    "transport-replace": "offers another transport: an ICE restart",
    "transport-accept": "accepts the other transport",
    "transport-reject": "refuses the other transport",
    "source-add": "announces media sources",
    "source-remove": "withdraws media sources",
    "content-modify": "changes who sends what",
}
_ANSWERED = {
    BIND: "the server names the client's full JID",
    DISCO_INFO: "tells what it is and what it can",
    DISCO_ITEMS: "lists what belongs to it",
}
_ASKED = {
    BIND: "the client asks for a full JID",
    SESSION: "the client opens a session, as old servers ask",
    DISCO_INFO: "asks what the other is and can",
    DISCO_ITEMS: "asks what belongs to the other",
    PING: "asks whether the other is still there",
}


def purpose(stanza: Stanza) -> str:
    """What a stanza is for, in one line without names or secrets.

    >>> purpose(parse("<iq xmlns='jabber:client' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>"))
    'asks whether the other is still there'
    """
    if stanza.name == "presence":
        return _presence(stanza)
    if stanza.name == "iq":
        return _iq(stanza)
    if stanza.name == "message":
        return _message(stanza)
    return _stream(stanza)


def _stream(stanza: Stanza) -> str:
    name, namespace = stanza.name, stanza.namespace
    login, managed, bosh = sasl(stanza), management(stanza), body(stanza)
    if name == "features" and (offer := features(stanza)):
        if offer.mechanisms:
            return f"the server offers logins: {', '.join(offer.mechanisms)[:200]}"
        return "the server offers what a logged-in client may use" if offer.bind else "the server offers no login"
    if login:
        if login.step == "auth":
            return f"the client logs in with {(login.mechanism or 'no mechanism')[:40]}"
        failed = f"the login is refused: {login.condition or 'no reason given'}"
        return failed if login.step == "failure" else _SASL.get(login.step, "a step of the login")
    if managed:
        return _MANAGEMENT.get(managed.step, "stream management")
    if bosh:
        if bosh.type:
            return f"ends the BOSH session{': ' + bosh.condition if bosh.condition else ''}"
        if bosh.creates:
            return "opens a BOSH session" if bosh.rid is not None else "the server opens the BOSH session"
        return "starts the stream again after the login"
    if name == "error" and (why := error(stanza)):
        return f"closes the stream: {why.condition or 'no reason given'}"
    if namespace == TLS:
        return {"starttls": "the client asks for TLS", "proceed": "the server agrees to TLS"}.get(
            name, "TLS is refused"
        )
    if name in ("open", "stream"):
        return "opens a stream" if stanza.id is None else "the server opens its stream"
    return "closes the stream" if name == "close" else f"{name}, whose purpose is not known here"


def _presence(stanza: Stanza) -> str:
    announced = presence(stanza)
    assert announced is not None
    if announced.type == "error":
        return f"the room refuses: {announced.condition or 'no reason given'}"
    if announced.type == "unavailable":
        return "tells that an occupant left" if stanza.sender else "leaves"
    if announced.joins:
        return "asks to enter the room"
    if announced.bridge_not_available:
        return "the focus tells that no bridge is available"
    if announced.bridges is not None:
        return f"the focus tells how many bridges the conference uses: {announced.bridges}"
    if 110 in announced.codes:
        return "the room confirms the client's own presence"
    if announced.occupant == "focus":
        return "tells that the focus is in the room"
    sources = "and its sources" if announced.sources else "without sources"
    return f"tells of an occupant {sources}" if stanza.sender else "tells the room of changes of its own"


def _iq(stanza: Stanza) -> str:
    if stanza.type == "error":
        why = error(stanza)
        return f"refuses a request: {(why.condition if why else None) or 'no reason given'}"
    answer = stanza.type == "result"
    jingle, request = child(stanza, JINGLE, name="jingle"), conference(stanza)
    if jingle is not None:
        return _JINGLE.get(jingle.get("action") or "", "Jingle, with an action that is not known here")
    if request is not None:
        if not answer:
            return "asks the focus for a conference"
        return "the focus is ready: the client may enter the room" if request.ready else "the focus is not ready yet"
    if child(stanza, *EXTDISCO) is not None:
        return f"names {len(services(stanza))} STUN and TURN services" if answer else "asks for STUN and TURN services"
    bridge = colibri(stanza)
    if bridge is not None:
        return "the bridge tells its part of the conference" if answer else "the focus asks the bridge for a conference"
    if stanza.child is None:
        return "confirms a request" if answer else "asks for nothing"
    known = _ANSWERED if answer else _ASKED
    return known.get(stanza.child_namespace or "", f"{'answers' if answer else 'asks'} with {stanza.child}")


def _message(stanza: Stanza) -> str:
    if stanza.type == "error":
        why = error(stanza)
        return f"a message came back: {(why.condition if why else None) or 'no reason given'}"
    if moderation(stanza):
        return "moderation of audio or video"
    if metadata(stanza) is not None:
        listed = ", TURN credentials among it" if services(stanza) else ""
        return f"tells metadata of the room{listed}"
    if (kind := json_message(stanza).get("type")) is not None:
        return f"a message of a Jitsi component: {str(kind)[:40]}"
    held = [local(inner) for inner in stanza.element]
    if "body" in held:
        return "chat"
    if "subject" in held:
        return "the subject of the room"
    return f"a message with {held[0]}" if held else "an empty message"
