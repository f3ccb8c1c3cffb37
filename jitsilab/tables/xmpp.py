"""Signalling as tables: HTTP exchanges (``http``), stanzas (``xmpp``), messages of the bridge channel (``bridge``)."""

import base64
import binascii
import json
import re
import weakref
from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from jitsilab.errors import ParseError, Problem
from jitsilab.protocols import xmpp as stanzas
from jitsilab.tables import COMMON, Schema, Table, frame_from, parsed
from jitsilab.wire import Wire
from jitsilab.wire.carriers import Exchange, Message, Stanza, merge

SCHEMAS: dict[str, Schema] = {
    "http": COMMON
    | {
        "first_frame": ("int64", "first frame of the request; of the response where the request was not captured"),
        "up": ("bool", "the request went from the flow's client"),
        "method": ("str", "method of the request"),
        "target": ("str", "target of the request, secrets replaced by ***"),
        "status": ("Int64", "status of the response"),
        "content_type": ("str", "content type of the response"),
        "version": ("str", "HTTP version: 1.0, 1.1, 2"),
        "host": ("str", "host asked for"),
        "user_agent": ("str", "what the client calls itself"),
        "origin": ("str", "page that asked"),
        "clear": ("bool", "in clear on the wire, not decrypted"),
        "response_frame": ("Int64", "last frame of the response"),
        "upgrade": ("str", "protocol that the connection changed to"),
        "asked_upgrade": ("str", "protocol that the request asks to change to"),
        "subprotocol": ("str", "WebSocket subprotocol that the server chose"),
        "server": ("str", "what the server calls itself"),
        "allow_origin": ("str", "pages that may read the response"),
        "forwarded_for": ("str", "client that a proxy names"),
        "token": ("str", "what a JWT in the target says of itself: algorithm, lifetime in s, room (named or *)"),
        "connection": ("Int64", "XMPP connection that the exchange carried stanzas for (BOSH)"),
        "rid": ("Int64", "request number, XEP-0124 section 14"),
        "room": ("str", "room of a conference request to the focus over HTTP"),
        "ready": ("boolean", "whether the focus answered it with ready"),
    },
    "xmpp": COMMON
    | {
        "first_frame": ("int64", "first frame of the stanza"),
        "up": ("bool", "from the flow's client"),
        "direction": ("str", "c2s from the client of the XMPP connection, s2c to it"),
        "name": ("str", "iq, message, presence, or a stream element; </stream:stream> is close, as RFC 7395 has it"),
        "namespace": ("str", "its namespace"),
        "from": ("str", "sender"),
        "to": ("str", "receiver"),
        "type": ("str", "its type: get, set, result, error, unavailable, ..."),
        "id": ("str", "id that pairs request and answer"),
        "child": ("str", "name of the first element that it holds"),
        "child_namespace": ("str", "namespace of that element"),
        "carrier": ("str", "ws, bosh or tcp"),
        "clear": ("bool", "in clear on the wire, not decrypted"),
        "connection": ("int64", "XMPP connection, from 0; one number on both sides of a proxy"),
        "request_frame": ("Int64", "frame of the stanza that this one answers, RFC 6120 section 8.1.3"),
        "copies": ("str", "frames in which a proxy passed the same stanza on"),
        "xml": ("str", "the whole of it, well-formed by itself"),
    },
    "bridge": COMMON
    | {
        "first_frame": ("int64", "first frame of the message"),
        "up": ("bool", "from the flow's client"),
        "from_client": ("bool", "from the participant to the bridge"),
        "colibri_class": ("str", "kind of the message: ServerHello, VideoSourcesMap, EndpointStats, ..."),
        "endpoint": ("str", "endpoint id of the participant whose channel it is"),
        "clear": ("bool", "in clear on the wire, not decrypted"),
        "connection": ("int64", "WebSocket connection; the first one where a proxy shows it again"),
        "copies": ("str", "frames in which a proxy passed the same message on"),
        "json": ("str", "the whole message"),
    },
}

SECRET = re.compile(
    r"pwd|passw?(or)?d?|passphrase|.*token|jwt|auth(orization)?|(api_?)?key|(client_)?secret|s(ess(ion)?_?)?id|session"
    r"|sig(nature)?|credentials?|code"
)
_JWT = re.compile(r"eyJ[\w-]{1,4096}\.([\w-]{1,8192})\.[\w-]{0,4096}")
_USER = re.compile(r"(?<=//)[^/?#\s]*@")
_PARAMETER = re.compile(r"([?&;#])([^=&;#?]{1,64})=([^&;#]*)")
_ENDPOINT = re.compile(r"/colibri-ws/[^/?#]+/[^/?#]+/([^/?#]+)")


def redacted(target: str) -> str:
    """A request target with the values of secret parameters, tokens and user names replaced by ***.

    >>> redacted("/colibri-ws/default-id/63303b56/5a21c27c?pwd=Lwng7mzcss")
    '/colibri-ws/default-id/63303b56/5a21c27c?pwd=***'
    """

    def hide(match: re.Match[str]) -> str:
        name = unquote(match[2]).strip().lower().replace("-", "_")
        return f"{match[1]}{match[2]}=***" if SECRET.fullmatch(name) else match[0]

    return _PARAMETER.sub(hide, _JWT.sub("***", _USER.sub("***@", target)))


def token(target: str) -> str | None:
    """What a JWT in a target says of itself (RFC 7519 section 4.1), nothing of whom it names; None without a JWT."""
    match = _JWT.search(unquote(target))
    if not match:
        return None
    head, claims = _decoded(match[0].partition(".")[0]), _decoded(match[1])
    issued, expires = claims.get("iat", claims.get("nbf")), claims.get("exp")
    lifetime = "unlimited" if expires is None else "unknown"
    if isinstance(issued, int) and isinstance(expires, int):
        lifetime = str(expires - issued)
    room = "*" if claims.get("room") == "*" else "named" if claims.get("room") else "none"
    algorithm = re.sub(r"[^\w-]", "", str(head.get("alg")))[:16]
    return f"alg={algorithm} lifetime={lifetime} room={room}"


def _decoded(part: str) -> dict[str, Any]:
    try:
        return _object(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error):
        return {}


def _common(wire: Wire, frame: int, flow: int, up: bool) -> tuple[Any, ...]:
    """The common columns of something that went one way on a flow."""
    ends = wire.flows[flow]
    source, target = (ends.client, ends.server) if up else (ends.server, ends.client)
    return frame, wire.time(frame), wire.seconds(frame), flow, *source, *target


def http(wire: Wire) -> Table:
    """One row an exchange, at the last frame of its request (of its response where that is all there is)."""
    carried = wire.carried
    polls = {poll.exchange: poll for poll in carried.polls}
    rows = []
    for number, exchange in enumerate(carried.http):
        request, response, poll = exchange.request, exchange.response, polls.get(number)
        asked, answered = request.fields if request else {}, response.fields if response else {}
        frames = request.frames if request else response.frames if response else (0, 0)
        target = request.target if request else None
        rows.append(
            (
                *_common(wire, frames[1], exchange.flow, exchange.up if request else not exchange.up),
                frames[0],
                exchange.up,
                request.method if request else None,
                redacted(target) if target is not None else None,
                response.status if response else None,
                answered.get("content-type"),
                exchange.version,
                asked.get("host"),
                asked.get("user-agent"),
                asked.get("origin"),
                exchange.clear,
                response.frames[1] if response else None,
                _upgraded(exchange),
                asked.get("upgrade"),
                answered.get("sec-websocket-protocol"),
                answered.get("server"),
                answered.get("access-control-allow-origin"),
                asked.get("x-forwarded-for") or asked.get("x-real-ip"),
                token(target) if target else None,
                poll.connection if poll else None,
                poll.rid if poll else None,
                *_conference(exchange),
            )
        )
    rows.sort(key=lambda row: row[0])
    return Table(frame_from(rows, SCHEMAS["http"]), _problems(wire, "HTTP", "HTTP2", "WebSocket"))


def _conference(exchange: Exchange) -> tuple[str | None, bool | None]:
    """Room and readiness of a request for a conference over HTTP, as Jicofo takes it at /conference-request/v1."""
    request = exchange.request
    if request is None or not (request.target or "").partition("?")[0].endswith("/conference-request/v1"):
        return None, None
    asked, answered = _object(exchange.sent.data), _object(exchange.received.data)
    room, ready = asked.get("room"), answered.get("ready")
    return room if isinstance(room, str) else None, ready if isinstance(ready, bool) else None


def _object(data: bytes) -> dict[str, Any]:
    """A JSON object; empty for all else."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _upgraded(exchange: Exchange) -> str | None:
    """The protocol after 101 (RFC 9110 section 7.8)."""
    return exchange.response.fields.get("upgrade") if exchange.response and exchange.response.status == 101 else None


def _problems(wire: Wire, *protocols: str) -> list[Problem]:
    return [problem for problem in wire.carried.problems if problem.protocol in protocols]


def _key(stanza: stanzas.Stanza, number: int, from_client: bool) -> tuple[int, bool, str | None]:
    return number, from_client, stanza.id


_MADE: "weakref.WeakKeyDictionary[Wire, Table]" = weakref.WeakKeyDictionary()


def xmpp(wire: Wire) -> Table:
    """One row a stanza or stream element, in the order of their last frames; made once, since Jingle is read from it.

    A stanza that a proxy passed on is one row: the one nearest to the client, with the frames of the others in
    ``copies``. An answer is paired with the latest stanza of the other side of its connection that has its id.
    """
    if wire not in _MADE:
        _MADE[wire] = _xmpp(wire)
    return _MADE[wire]


def _xmpp(wire: Wire) -> Table:
    problems = _problems(wire, "XMPP", "BOSH")
    asked: dict[tuple[int, bool, str | None], int] = {}
    rows: list[tuple[Any, ...]] = []
    read: list[stanzas.Stanza | None] = []
    for carried in wire.carried.stanzas:
        try:
            stanza = stanzas.parse(carried.xml)
        except ParseError as error:
            problems.append(Problem(carried.frame, "XMPP", error.offset, str(error)))
            continue
        request = None
        if stanza.name in stanzas.STANZA_NAMES and stanza.id is not None:
            if stanzas.is_answer(stanza):
                request = asked.get(_key(stanza, carried.connection, not carried.from_client))
            else:
                asked[_key(stanza, carried.connection, carried.from_client)] = carried.frame
        rows.append(_stanza(wire, carried, stanza, request))
        read.append(stanza)
    return Table(parsed.remember(frame_from(rows, SCHEMAS["xmpp"]), read), problems)


def _stanza(wire: Wire, carried: Stanza, stanza: stanzas.Stanza, request: int | None) -> tuple[Any, ...]:
    return (
        *_common(wire, carried.frame, carried.flow, carried.up),
        carried.first_frame,
        carried.up,
        "c2s" if carried.from_client else "s2c",
        stanza.name,
        stanza.namespace,
        stanza.sender,
        stanza.recipient,
        stanza.type,
        stanza.id,
        stanza.child,
        stanza.child_namespace,
        carried.carrier,
        carried.clear,
        carried.connection,
        request,
        _frames(carried.copies),
        carried.xml,
    )


def _frames(numbers: Iterable[int]) -> str | None:
    return " ".join(map(str, sorted(numbers))) or None


def bridge(wire: Wire) -> Table:
    """One row a message of the bridge channel (a JSON object with a colibriClass), once for both sides of a proxy."""
    channels: dict[object, dict[int, list[tuple[Message, str]]]] = defaultdict(lambda: defaultdict(list))
    problems: list[Problem] = []
    for message in wire.carried.messages:
        if message.opcode != 1 or message.data.lstrip()[:1] != b"{":
            continue
        try:
            value = json.loads(message.data)
        except (ValueError, RecursionError):
            problems.append(Problem(message.frame, "WebSocket", message.offset, "a text message that is not JSON"))
            continue
        kind = value.get("colibriClass") if isinstance(value, dict) else None
        if isinstance(kind, str):
            name = message.key or message.connection
            channels[name][message.connection].append((message, kind))
    rows = []
    for seen in channels.values():
        number = min(seen)
        for message, kind, copies in _once(list(seen.values())):
            rows.append(
                (
                    *_common(wire, message.frame, message.flow, message.up),
                    message.first_frame,
                    message.up,
                    message.from_client,
                    kind,
                    _endpoint(message.target),
                    message.clear,
                    number,
                    _frames(copies),
                    message.data.decode("utf-8", "replace"),
                )
            )
    rows.sort(key=lambda row: row[0])
    return Table(frame_from(rows, SCHEMAS["bridge"]), problems)


def _once(sides: list[list[tuple[Message, str]]]) -> list[tuple[Message, str, list[int]]]:
    """The messages of one channel, seen in several connections, once: as the connection that began first has them."""
    first, *others = sorted(sides, key=lambda side: side[0][0].connection)
    kept: list[tuple[Message, str, list[int]]] = [(message, kind, []) for message, kind in first]
    for side in others:
        for from_client in (True, False):
            ours = [row for row in kept if row[0].from_client == from_client]
            theirs = [row for row in side if row[0].from_client == from_client]
            pairs = merge.align([row[0].data for row in ours], [row[0].data for row in theirs])
            for i, j in pairs:
                ours[i][2].append(theirs[j][0].frame)
            shared = {j for _, j in pairs}
            kept += [(message, kind, []) for j, (message, kind) in enumerate(theirs) if j not in shared]
    return kept


def _endpoint(target: str | None) -> str | None:
    """Endpoint id in the target of a bridge channel: /colibri-ws/SERVER/CONFERENCE/ENDPOINT."""
    match = _ENDPOINT.search(target or "")
    return unquote(match[1]) if match else None


BUILD = {"http": http, "xmpp": xmpp, "bridge": bridge}
