"""What was negotiated: contents, codecs, header extensions, candidates and sources, a row each.

Made from the stanzas of the table ``xmpp``; sources also from presence and from the bridge channel's source maps.
JSON-encoded sources make the same rows as those of XEP-0339.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import pandas as pd

from jitsilab.errors import ParseError, Problem
from jitsilab.protocols import jitsi_sources
from jitsilab.protocols.description import Content, Jingle, Source, SourceGroup, resource
from jitsilab.protocols.jingle import decode, decode_element
from jitsilab.protocols.stanza import JINGLE, child
from jitsilab.tables import COMMON, Schema, Table, frame_from
from jitsilab.tables.occupants import FOCUS, Occupants, key, text
from jitsilab.tables.parsed import stanzas_of
from jitsilab.wire import Wire

STANZA: Schema = COMMON | {
    "stanza": ("Int64", "row of the table xmpp, from 0"),
    "from": ("str", "sender as the stanza names it; empty where a client leaves it to its server"),
    "to": ("str", "receiver as the stanza names it"),
    "action": ("str", "Jingle action (XEP-0166 section 7.2), or what else told the row"),
    "sid": ("str", "session id"),
    "session": ("str", "jvb: with the bridge, led by the focus; p2p: between two occupants"),
    "endpoint": ("str", "whose description it is: the occupant that sent it, jvb for the focus; empty if unknown"),
}
CONTENT: Schema = STANZA | {
    "content": ("str", "name of the content"),
    "media": ("str", "audio, video, application"),
}

SCHEMAS: dict[str, Schema] = {
    "jingle": CONTENT
    | {
        "initiator": ("str", "who opened the session; the focus and its client write it differently"),
        "responder": ("str", "who answered"),
        "senders": ("str", "both, initiator, responder, none, rejected"),
        "ufrag": ("str", "ICE user fragment of the sender"),
        "pwd": ("str", "ICE password of the sender: the key of checks sent to it"),
        "ice_generation": ("Int64", "number of an ICE restart in place (Jitsi)"),
        "fingerprint_hash": ("str", "hash of the certificate's fingerprint; several with spaces"),
        "fingerprint": ("str", "the certificate's fingerprint, AA:BB; several with spaces, in the same order"),
        "setup": ("str", "DTLS role: actpass, active, passive; several with spaces"),
        "required": ("boolean", "whether a fingerprint is marked as required (XEP-0320)"),
        "rtcp_mux": ("boolean", "RTCP on the port of RTP"),
        "bundle": ("str", "contents that share one transport, with spaces"),
        "web_socket": ("str", "address of the bridge channel; it holds a password"),
        "sctp_port": ("Int64", "port of the data channel's association"),
        "bridge_session": ("str", "Jicofo's id of the bridge session"),
        "region": ("str", "region of the bridge"),
        "restart": ("str", "restart or ice-restart where one is asked for"),
        "reason": ("str", "why a session ended"),
        "text": ("str", "the reason in words"),
        "info": ("str", "payloads without a column: ringing, source-frame-height maxHeight=..., parted by ;"),
    },
    "payload_types": CONTENT
    | {
        "id": ("Int64", "RTP payload type; empty for feedback of the whole content"),
        "name": ("str", "codec"),
        "clock_rate": ("Int64", "Hz"),
        "channels": ("Int64", "audio channels"),
        "parameters": ("str", "format parameters as fmtp writes them, parted by ;"),
        "feedback": ("str", "RTCP feedback, parted by ;: nack;nack pli;trr-int 100"),
    },
    "header_extensions": CONTENT
    | {
        "id": ("Int64", "number in the RTP packets"),
        "uri": ("str", "what the extension is"),
        "senders": ("str", "both, initiator, responder, none"),
        "parameters": ("str", "parted by ;"),
    },
    "candidates": CONTENT
    | {
        "ufrag": ("str", "ICE user fragment it belongs to"),
        "foundation": ("str", "same for candidates of one kind, base and server"),
        "component": ("Int64", "1 RTP, 2 RTCP"),
        "protocol": ("str", "udp, tcp"),
        "priority": ("Int64", "RFC 8445 section 5.1.2"),
        "address": ("str", "IP address or mDNS name"),
        "port": ("Int64", "port"),
        "type": ("str", "host, srflx, prflx, relay"),
        "related_address": ("str", "base of a reflexive candidate, mapped address of a relayed one"),
        "related_port": ("Int64", "its port"),
        "generation": ("Int64", "number of ICE restarts before"),
        "tcptype": ("str", "active, passive, so"),
        "resolved": ("str", "addresses that multicast DNS gave here for a name in .local, with spaces between"),
    },
    "sources": STANZA
    | {
        "ssrc": ("Int64", "stream in the RTP packets; empty where presence names a source only"),
        "owner": ("str", "endpoint that the media come from, jvb for the bridge's own probes"),
        "kind": ("str", "audio, video"),
        "name": ("str", "Jitsi's name of the source; one source has several SSRCs"),
        "group": ("str", "groups it is in: SIM:1,2,3 FID:1,4, with spaces"),
        "origin": ("str", "jingle, presence, or bridge: the source map of a receiver whose SSRCs are rewritten"),
        "receiver": ("str", "endpoint for which a source map holds; empty for jingle and presence"),
        "video_type": ("str", "camera, desktop"),
        "msid": ("str", "stream and track of the sender (RFC 8830)"),
        "muted": ("boolean", "as presence says it"),
    },
}


class Rows(NamedTuple):
    """The five tables and what could not be read."""

    jingle: pd.DataFrame
    payload_types: pd.DataFrame
    header_extensions: pd.DataFrame
    candidates: pd.DataFrame
    sources: pd.DataFrame
    problems: list[Problem]


class _Message(NamedTuple):
    common: tuple[Any, ...]  # the columns of COMMON
    row: int
    endpoint: str
    jingle: Jingle


def jingle_rows(xmpp: pd.DataFrame, bridge: pd.DataFrame | None = None) -> Rows:
    """The tables of a call, from its stanzas and, where it is seen, its bridge channel."""
    if not xmpp.index.equals(pd.RangeIndex(len(xmpp))):
        xmpp = xmpp.reset_index(drop=True)
    problems: list[Problem] = []
    occupants = Occupants(xmpp)
    messages = list(_messages(xmpp, occupants, problems))
    sessions: dict[str, str] = {}
    for message in messages:
        if sessions.get(message.jingle.sid) != "jvb":
            sessions[message.jingle.sid] = message.jingle.session
    tables: dict[str, list[tuple[Any, ...]]] = {name: [] for name in SCHEMAS}
    for message in messages:
        jingle = message.jingle
        head = (*message.common, message.row, jingle.sender, jingle.receiver, jingle.action, jingle.sid)
        head = (*head, sessions[jingle.sid] if jingle.sid else jingle.session, message.endpoint)
        for content in jingle.contents or (None,):
            tables["jingle"].append((*head, *_content(jingle, content)))
            if content is not None:
                named = (*head, content.name, content.media or _media(jingle, content))
                tables["payload_types"] += [(*named, *rest) for rest in _payload_types(content)]
                tables["header_extensions"] += [(*named, *rest) for rest in _extensions(content)]
                tables["candidates"] += [(*named, *rest) for rest in _candidates(content)]
                tables["sources"] += [(*head, *rest) for rest in _sources(message, content)]
    tables["sources"] += _announced(xmpp, occupants, problems)
    if bridge is not None:
        tables["sources"] += _mapped(bridge, problems)
    made = {name: frame_from(map(_missing, rows), SCHEMAS[name]) for name, rows in tables.items()}
    made["sources"] = made["sources"].sort_values("frame", kind="stable", ignore_index=True)
    return Rows(**made, problems=problems)


def _missing(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """What was not said is missing, not empty."""
    return tuple(None if value == "" else value for value in row)


def _commons(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    """The columns of COMMON of each row."""
    return list(zip(*(table[name].tolist() for name in COMMON), strict=True))


def _messages(xmpp: pd.DataFrame, occupants: Occupants, problems: list[Problem]) -> Iterator[_Message]:
    read = stanzas_of(xmpp)
    held = [
        n for n, stanza in enumerate(read)
        if (child(stanza, JINGLE, name="jingle") is not None if stanza is not None
            else JINGLE in text(xmpp["xml"].iloc[n]))
    ]  # fmt: skip
    rows = xmpp[[*COMMON, "type", "connection"]].iloc[held]
    for common, row, kind, connection in zip(_commons(rows), rows.index, rows["type"], rows["connection"], strict=True):
        if kind in ("error", "result"):
            continue  # an error gives the request back
        try:
            stanza = read[row]
            jingle = decode_element(stanza.element) if stanza is not None else decode(str(xmpp["xml"].iloc[row]))
        except ParseError as error:
            problems.append(Problem(int(common[0]), "jingle", error.offset, str(error)))
            continue
        problems += [Problem(int(common[0]), "jingle", 0, problem) for problem in jingle.problems]
        yield _Message(common, int(row), _endpoint(jingle, occupants, key(connection), int(row)), jingle)


def _endpoint(jingle: Jingle, occupants: Occupants, connection: Any, row: int) -> str:
    """Who describes itself in a message: by its from, else by its connection, else by its sources' names."""
    if FOCUS in (resource(jingle.sender), jingle.sender.partition("@")[0]):
        return "jvb"
    if jingle.sender:
        return occupants.occupant(jingle.sender) or resource(jingle.sender) or jingle.sender
    owners = {source.owner for content in jingle.contents for source in content.sources if source.owner}
    return occupants.on(connection, row) or (owners.pop() if len(owners) == 1 else "")


def _media(jingle: Jingle, content: Content) -> str:
    return content.name if content.name in ("audio", "video") else ""


def _content(jingle: Jingle, content: Content | None) -> tuple[Any, ...]:
    transport = content.transport if content else None
    prints = transport.fingerprints if transport else ()
    bundles = [group.contents for group in jingle.groups if group.semantics == "BUNDLE"]
    info = (*jingle.info, *(content.info if content else ()))
    return (
        content.name if content else None,
        (content.media or _media(jingle, content)) if content else None,
        jingle.initiator,
        jingle.responder,
        content.senders if content else None,
        transport.ufrag if transport else None,
        transport.pwd if transport else None,
        transport.generation if transport else None,
        " ".join(f.hash for f in prints),
        " ".join(f.value for f in prints),
        " ".join(f.setup for f in prints if f.setup),
        any(f.required for f in prints) if prints else None,
        content.rtcp_mux if content and content.media else None,
        " ".join(bundles[0]) if bundles else "",
        transport.web_socket if transport else None,
        transport.sctp.port if transport and transport.sctp else None,
        jingle.bridge_session,
        jingle.region,
        jingle.restart,
        jingle.reason,
        jingle.text,
        "; ".join(map(str, info)),
    )


def _payload_types(content: Content) -> Iterator[tuple[Any, ...]]:
    for payload in content.payload_types:
        parameters = ";".join(part.strip() for part in payload.format.split(";") if part.strip())
        feedback = ";".join(map(str, payload.feedback))
        yield payload.id, payload.name, payload.clock_rate, payload.channels, parameters, feedback
    if content.feedback:
        yield None, "*", None, None, "", ";".join(map(str, content.feedback))


def _extensions(content: Content) -> Iterator[tuple[Any, ...]]:
    for extension in content.header_extensions:
        parameters = ";".join(f"{name}={value}" for name, value in extension.parameters)
        yield extension.id, extension.uri, extension.senders or "both", parameters


def _candidates(content: Content) -> Iterator[tuple[Any, ...]]:
    if content.transport:
        for c in content.transport.candidates:
            where = (c.foundation, c.component, c.protocol, c.priority, c.address, c.port, c.type)
            yield content.transport.ufrag, *where, c.related_address, c.related_port, c.generation, c.tcp_type, None


def _grouped(sources: Iterable[Source], groups: Iterable[SourceGroup]) -> Iterator[tuple[Source, str]]:
    groups_of: dict[int, list[str]] = {}
    for group in groups:
        words = f"{group.semantics}:{','.join(map(str, group.ssrcs))}"
        for ssrc in dict.fromkeys(group.ssrcs):
            groups_of.setdefault(ssrc, []).append(words)
    for source in sources:
        yield source, " ".join(groups_of.get(source.ssrc, []) if source.ssrc is not None else [])


def _sources(message: _Message, content: Content) -> Iterator[tuple[Any, ...]]:
    kind = content.media or _media(message.jingle, content)
    for source, group in _grouped(content.sources, content.groups):
        owner = resource(source.owner) or source.owner
        owner = owner or (message.endpoint if message.endpoint != "jvb" else "")
        yield _source(source, owner, kind, group, "jingle", "")


def _source(source: Source, owner: str, kind: str, group: str, origin: str, receiver: str) -> tuple[Any, ...]:
    camera = "camera" if kind == "video" and owner != "jvb" else ""  # what Jitsi's client takes where nothing is said
    msid = next((value for name, value in source.parameters if name == "msid"), "")
    return source.ssrc, owner, kind, source.name, group, origin, receiver, source.video_type or camera, msid, None


def _announced(xmpp: pd.DataFrame, occupants: Occupants, problems: list[Problem]) -> Iterator[tuple[Any, ...]]:
    announcing = [seen for seen in occupants.seen if seen.presence.sources]
    rows = xmpp.loc[[seen.row for seen in announcing], [*COMMON, "from", "to"]]
    for common, sender, receiver, seen in zip(_commons(rows), rows["from"], rows["to"], announcing, strict=True):
        head = (*common, seen.row, text(sender), text(receiver), "presence", "", "", seen.presence.occupant)
        try:
            sources = jitsi_sources.announced(seen.presence.sources)
        except ParseError as error:
            problems.append(Problem(seen.frame, "xmpp", error.offset, str(error)))
            continue
        for name, owner, kind, video_type, muted in sources:
            owner, camera = owner or seen.presence.occupant or "", "camera" if kind == "video" else ""
            yield (*head, None, owner, kind, name, "", "presence", "", video_type or camera, "", muted)


def _mapped(bridge: pd.DataFrame, problems: list[Problem]) -> Iterator[tuple[Any, ...]]:
    rows = bridge[bridge["colibri_class"].isin(["AudioSourcesMap", "VideoSourcesMap"])]
    for common, endpoint, action, content in zip(
        _commons(rows), rows["endpoint"], rows["colibri_class"], rows["json"], strict=True
    ):
        try:
            maps = jitsi_sources.mapped(text(content))
        except ParseError as error:
            problems.append(Problem(int(common[0]), "colibri", error.offset, str(error)))
            continue
        head = (*common, None, "jvb", text(endpoint), action, "", "jvb", "jvb")
        for kind, sources, groups in maps:
            for source, group in _grouped(sources, groups):
                yield (*head, *_source(source, source.owner, kind, group, "bridge", text(endpoint)))


_MADE: "weakref.WeakKeyDictionary[Wire, Rows]" = weakref.WeakKeyDictionary()


def _rows(wire: Wire) -> Rows:
    """The five tables of a wire, made once."""
    if wire not in _MADE:
        from jitsilab.tables import xmpp

        _MADE[wire] = jingle_rows(xmpp.BUILD["xmpp"](wire).rows, xmpp.BUILD["bridge"](wire).rows)
    return _MADE[wire]


def _build(name: str) -> Callable[[Wire], Table]:
    def build(wire: Wire) -> Table:
        rows = _rows(wire)
        return Table(getattr(rows, name), rows.problems if name == "jingle" else [])

    return build


BUILD: dict[str, Callable[[Wire], Table]] = {name: _build(name) for name in SCHEMAS}
