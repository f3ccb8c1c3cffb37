"""What Jitsi Meet says in XMPP: presence in a room, the focus, services, moderation, COLIBRI, as dataclasses.

Each function takes a stanza as `jitsilab.protocols.stanza.read` gives it and returns a dataclass, or None (an empty
tuple) where the stanza is about something else.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from xml.etree.ElementTree import Element

from jitsilab.protocols.stanza import (
    CAPS,
    COLIBRI,
    COLIBRI2,
    EXTDISCO,
    FOCUS,
    JITMEET,
    MUC,
    MUC_USER,
    NICK,
    Attributes,
    Stanza,
    bare,
    child,
    error,
    number,
    resource,
)
from jitsilab.protocols.xml import split as names


@dataclass(frozen=True, slots=True)
class Presence:
    """Presence in a room (XEP-0045 section 7), with what Jitsi Meet adds to it."""

    room: str | None
    occupant: str | None  # resource in the room: the endpoint id, or focus
    type: str | None  # None is available
    joins: bool  # asks to enter (XEP-0045 section 7.2)
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
    focus_properties = properties(stanza)
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
            if (code := number(status.get("code"))) is not None
        ),
        role=item.get("role") if item is not None else None,
        affiliation=item.get("affiliation") if item is not None else None,
        jid=item.get("jid") if item is not None else None,
        nick=_text(e, f"{{{NICK}}}nick"),
        email=_text(e, f"{{{stanza.namespace}}}email"),
        stats_id=_text(e, f"{{{stanza.namespace}}}stats-id"),
        region=next((inner.get("id") for inner in e if names(inner.tag)[1] == "region"), None),
        user_agent=next((inner.text for inner in e if names(inner.tag)[1] == "user-agent"), None),
        codecs=tuple(name for name in (codecs or "").split(",") if name),
        caps_node=caps.get("node") if caps is not None else None,
        caps_version=caps.get("ver") if caps is not None else None,
        sources=source_info(stanza),
        properties=focus_properties,
        bridges=number(focus_properties.get("bridge-count")),
        bridge_not_available=e.find(f"{{{FOCUS}}}bridgeNotAvailable") is not None,
        condition=refusal.condition if refusal else None,
    )


def source_info(stanza: Stanza) -> Mapping[str, Any]:
    """Source name to its properties (muted, videoType, ...), of the JSON in the presence's SourceInfo."""
    text = next((inner.text for inner in stanza.element if names(inner.tag)[1] == "SourceInfo"), None)
    return _json(text)


def properties(stanza: Stanza) -> Attributes:
    """Properties that the focus says of its conference: in presence (key) or in its answer (name)."""
    values: dict[str, str] = {}
    for element in stanza.element.iter(f"{{{FOCUS}}}property"):
        key = element.get("key") or element.get("name")
        if key:
            values[key] = element.get("value") or ""
    return MappingProxyType(values)


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
    element = child(stanza, FOCUS, name="conference")
    if element is None:
        return None
    refusal = error(stanza)
    ready = element.get("ready")
    return Conference(
        room=element.get("room"),
        ready=None if stanza.type == "set" else ready == "true",
        focus=element.get("focusjid"),
        node=element.get("vnode"),
        properties=properties(stanza),
        identity=element.get("identity"),
        condition=refusal.condition if refusal else None,
        application=refusal.application if refusal else None,
    )


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
    element = child(stanza, *EXTDISCO)
    if element is not None:
        return tuple(_service(inner.attrib) for inner in element if names(inner.tag)[1] == "service")
    listed = (metadata(stanza) or {}).get("services")
    return tuple(_service(entry) for entry in listed if isinstance(entry, dict)) if isinstance(listed, list) else ()


def offers(stanza: Stanza) -> bool:
    """Whether this is an answer that lists services, be the list empty."""
    return stanza.type in ("result", "set") and child(stanza, *EXTDISCO, name="services") is not None


def _service(attributes: Mapping[str, Any]) -> Service:
    def text(key: str) -> str | None:
        return None if attributes.get(key) is None else str(attributes[key])

    restricted = text("restricted") in ("1", "true", "True")
    port = number(text("port"))
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


def json_message(stanza: Stanza) -> Mapping[str, Any]:
    """The JSON of a message of Jitsi's components (room metadata, av-moderation, ...); empty where there is none."""
    element = child(stanza, JITMEET, name="json-message")
    return _json(element.text if element is not None else None)


def metadata(stanza: Stanza) -> Mapping[str, Any] | None:
    """Metadata of the room, or None where the stanza holds none."""
    message = json_message(stanza)
    content = message.get("metadata") if message.get("type") == "room_metadata" else None
    return content if isinstance(content, dict) else None


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
    message = json_message(stanza)
    if message.get("type") != "av_moderation":
        return None
    texts = {key: str(message[key]) if message.get(key) is not None else None for key in ("mediaType", "room", "actor")}
    enabled = message.get("enabled")
    return Moderation(enabled if isinstance(enabled, bool) else None, texts["mediaType"], texts["room"], texts["actor"])


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
    element = child(stanza, COLIBRI2)
    refusal = error(stanza)
    condition = refusal.condition if refusal else None
    if element is not None:
        ends = [
            (endpoint.get("id") or "", endpoint.get("expire") == "true")
            for endpoint in element.iterfind(f"{{{COLIBRI2}}}endpoint")
        ]
        meeting, create = element.get("meeting-id"), element.get("create") == "true"
        here, gone = tuple(i for i, left in ends if not left), tuple(i for i, left in ends if left)
        return Colibri(2, names(element.tag)[1], element.get("name"), meeting, create, here, gone, condition)
    element = child(stanza, COLIBRI, name="conference")
    if element is None:
        return None
    listed = dict.fromkeys(channel.get("endpoint") or "" for channel in element.iter(f"{{{COLIBRI}}}channel"))
    listed.pop("", None)
    create = stanza.type in ("get", "set") and element.get("id") is None
    return Colibri(1, "conference", element.get("name"), element.get("id"), create, tuple(listed), (), condition)


def _text(tree: Element, path: str) -> str | None:
    element = tree.find(path)
    return element.text if element is not None else None


def _json(text: str | None) -> Mapping[str, Any]:
    """A JSON object; empty for all else."""
    try:
        value = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return MappingProxyType({})
    return MappingProxyType(value) if isinstance(value, dict) else MappingProxyType({})
