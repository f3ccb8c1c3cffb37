"""Columns of the tables that come from lines: logs, consoles, dumps, answers of servers, and what they mean.

``time`` is what the source wrote, read as UTC where it names no zone; the clock of the input (`jitsilab.case.clocks`)
says what to add. Each row says where it stands: ``input`` and ``line`` (from 1), ``frame`` or ``pointer`` (RFC 6901).
"""

from typing import Final

from jitsilab.tables import TIME, Schema

PLACE: Schema = {
    "input": ("str", "the piece of evidence, as `inputs` names it"),
    "line": ("Int64", "line in it, from 1; of a record of several lines the first"),
    "frame": ("Int64", "frame in it, from 1"),
    "pointer": ("str", "JSON pointer in it, RFC 6901"),
}

#: what a line, a packet or an entry of a dump means: a closed set, in the order of a session. Each event says in
#: ``value`` what it is about; what that is stands behind the colon.
EVENTS: Final[dict[str, str]] = {
    # a program's life
    "program-started": "a program came up: its version",
    "program-ended": "a program stopped or left its main thread: the reason, where one is written",
    "out-of-memory": "a program ran out of memory or was killed for it: the program",
    "version-told": "a program said which version it is: the version",
    "http-unanswered": "a program's HTTP interface gave no answer at all: it is off or frozen, or the port is closed",
    "option-unknown": "the configuration names what this version does not know: the option or module",
    "overloaded": "the bridge or the focus acted on load (reduced it, skipped a bridge): what it did",
    # XMPP between the servers
    "xmpp-unreachable": "a program does not reach the XMPP server: address or name; detail refused, timeout, ...",
    "xmpp-connected": "a program's connection to the XMPP server stands: the address or name",
    "host-unknown": "the XMPP server does not serve this host: its name",
    "certificate-refused": "one side refuses the other's certificate: the reason",
    "login-refused": "a login was refused, and the reason is written: the condition, or guest, password, token",
    "login-failed": "a login failed, and no reason is written",
    "logged-in": "a login succeeded: the JID",
    "login-missing": "a program says of itself that it is not logged in: how many of how many logins stand",
    "room-missing": "a bridge says of itself that it is logged in and in no room: how many of how many rooms",
    "room-joined": "a bridge joined a room: the room's JID, or its local part",
    "room-refused": "a room could not be joined or made: the reason",
    "brewery-watched": "the focus looks for bridges in a room: the room's JID, or its local part",
    "bridge-joined": "the focus counts a bridge: its JID",
    "bridge-lost": "the focus counts a bridge no more, which did not leave by itself: its JID",
    "bridges-counted": "how many bridges the focus counts; detail how many of them it would use",
    "bridge-left": "a bridge said that it goes (shutdown): its JID",
    # the bridge's health and addresses
    "health-passed": "a bridge's check of itself passed",
    "health-failed": "a bridge's check of itself failed (or the focus's check of it): its message",
    "health-timeout": "the focus's check of a bridge was not answered: the bridge's JID",
    "port-taken": "a port could not be bound: address and port",
    "port-bound": "a port is listened on: address and port",
    "mapping": "the bridge replaces one address by another: local->public",
    "stun-failed": "the bridge asked STUN for its public address and got none: the reason",
    # entry
    "tls-refused": "one side refused TLS: expired, untrusted, name-mismatch; detail page, xmpp, turn or empty",
    "signaling-refused": "WebSocket or BOSH was answered, and not opened: the path; status; detail no-upgrade",
    "signaling-failed": "WebSocket or BOSH did not open, and no status is known: the path; detail refused, ...",
    "signaling-opened": "WebSocket or BOSH opened: the path",
    "signaling-closed": "an open one was lost: the reason",
    "upstream-failed": "a proxy does not reach its upstream: which; detail refused, timeout, reset, no-route",
    "token-refused": "a token was refused: the reason in the program's words",
    "conference-requested": "somebody asked the focus for a conference: the room",
    "focus-unavailable": "the focus did not answer a conference request: the condition",
    "conference-created": "a conference began: the room",
    "conference-ended": "a conference ended: the room",
    "participant-joined": "somebody entered a room: display name, where it is known",
    "participant-left": "somebody left a room: the reason",
    # Jingle and COLIBRI
    "bridge-chosen": "the focus chose a bridge for a participant: its JID",
    "bridge-unavailable": "the focus has no bridge for a participant or a conference: the reason",
    "allocation-failed": "a bridge did not give channels: the reason (timeout, error)",
    "offer-sent": "an offer (session-initiate) went to the participant",
    "answer-received": "its answer (session-accept) came",
    "session-ended": "a session was ended: the reason",
    "sources-announced": "the participant announced what it sends: how many sources, 0 for none",
    "media-denied": "the browser did not give microphone or camera: the error's name",
    # ICE
    "candidate-offered": "an address at which the bridge or the peer can be reached: address; detail port, type",
    "candidate-gathered": "an address of the participant: address; detail port, type",
    "check-received": "a check of the participant arrived: the address it came from",
    "check-succeeded": "a check was answered: the pair",
    "check-unanswered": "checks on a pair were never answered: the pair",
    "source-address": "an address from which the participant's packets come, that nobody signalled: address",
    "mapped-address": "an address of the bridge as the other end sees it: address",
    "pair-nominated": "ICE chose a pair: the pair; detail the local candidate's type, and the relay's protocol",
    "ice-checking": "ICE began",
    "ice-connected": "ICE found a way",
    "ice-failed": "ICE gave up",
    "ice-ended": "ICE was ended before it found a way",
    "ice-disconnected": "ICE lost the way it had",
    "relay-connected": "a relay between two bridges connected: the relay's id",
    "relay-failed": "a relay between two bridges failed: the relay's id",
    # TURN
    "allocation-made": "TURN gave a relayed address: address",
    "allocation-refused": "TURN refused to: the error; status",
    "turn-unreachable": "TURN did not answer: its address or URL; detail certificate, name-not-found, refused, timeout",
    "turn-credentials-refused": "TURN does not know these credentials",
    "peer-denied": "TURN refuses to relay to an address: the address; detail the range",
    # DTLS, channel, media
    "dtls-done": "the DTLS handshake finished",
    "dtls-failed": "it did not: the reason",
    "fingerprint-mismatch": "a certificate is not the one that was announced: the fingerprint",
    "channel-opened": "the bridge channel opened",
    "channel-refused": "the bridge channel was answered, and not opened; status",
    "channel-failed": "the bridge channel did not open, and no status is known: the code; detail as signaling-failed",
    "channel-closed": "an open one was lost: the code",
    "channel-missing": "none opened for long",
    "media-sent": "RTP goes out: packets; detail kind",
    "media-received": "RTP comes in: packets; detail kind",
    "media-stopped": "RTP came or went before, and no more: packets; detail kind",
    "endpoint-expired": "the bridge forgot a participant: the reason",
}

LOG: Schema = {
    "time": (TIME, "when it was written, as written; empty where the line has none"),
    "program": ("str", "jvb, jicofo, prosody, nginx, coturn, kernel, and those that are only recognised"),
    "level": ("str", "debug, info, warning, error, in one spelling for all programs and languages"),
    "place": ("str", "where in the program: class and method, module, worker"),
    "message": ("str", "the text, without what stands in other columns"),
    "conference": ("str", "id of the conference at the bridge, or its meeting id"),
    "room": ("str", "room, without domain"),
    "endpoint": ("str", "endpoint id: the occupant's name in the room"),
    **{name: PLACE[name] for name in ("input", "line")},
}  # fmt: skip

EVENT: Schema = {
    "time": (TIME, "when, as the source wrote it; empty where it does not say"),
    "event": ("str", "a word of `EVENTS`"),
    "program": ("str", "who says so: jvb, jicofo, prosody, nginx, coturn, browser, kernel, or packets"),
    "participant": ("str", "endpoint id, else what is known of the participant (JID, address); empty for a server"),
    "conference": ("str", "id of the conference at the bridge"),
    "room": ("str", "room, without domain"),
    "value": ("str", "what it is about, as `EVENTS` says; never a secret"),
    "status": ("Int64", "HTTP or STUN status"),
    "detail": ("str", "more, as `EVENTS` says"),
    "by": ("str", "how it was understood: place (class and text), words (text alone, older or other form), field"),
    **PLACE,
}  # fmt: skip

REQUEST: Schema = {
    "time": (TIME, "when: of a WebSocket in nginx's access log the time it ended"),
    "method": ("str", "GET, POST, ..."),
    "path": ("str", "path without query: a query holds tokens and passwords"),
    "status": ("Int64", "HTTP status; empty where none came"),
    "bytes": ("Int64", "bytes of the answer's body"),
    "client": ("str", "address that asked, as the server saw it"),
    "upstream": ("str", "what stood behind the proxy, without query"),
    "error": ("str", "what failed, in the program's words"),
    **PLACE,
}  # fmt: skip

CONSOLE: Schema = {
    "time": (TIME, "of the library's own stamp where it has one, else the browser's"),
    "level": ("str", "debug, info, warning, error"),
    "module": ("str", "logger of the library (xmpp:Moderator), browser for the browser's own lines"),
    "message": ("str", "the text"),
    **{name: PLACE[name] for name in ("input", "line")},
}  # fmt: skip

PEER_CONNECTION: Schema = {
    "id": ("str", "the connection's name in the dump"),
    "url": ("str", "page that made it, without query"),
    "kind": ("str", "jvb, p2p, or empty"),
    "state": ("str", "last connection state"),
    "ice_state": ("str", "last ICE connection state"),
    "selected_pair": ("str", "local -> remote of the last selected pair, with their types"),
    "first_time": (TIME, "first entry"),
    "last_time": (TIME, "last entry"),
    "truncated": ("boolean", "whether the dump lost the beginning of its series"),
    **{name: PLACE[name] for name in ("input", "pointer")},
}  # fmt: skip

PC_EVENT: Schema = {
    "time": (TIME, "when"),
    "connection": ("str", "the connection's id"),
    "type": ("str", "createOffer, setRemoteDescription, icecandidate, ..."),
    "value": ("str", "its argument, secrets of descriptions left in: asked for by name only"),
    **{name: PLACE[name] for name in ("input", "pointer")},
}  # fmt: skip

STAT: Schema = {
    "time": (TIME, "when"),
    "connection": ("str", "the connection's id"),
    "id": ("str", "the statistics object's id"),
    "type": ("str", "candidate-pair, local-candidate, outbound-rtp, ..."),
    "field": ("str", "name of the value, as the specification has it"),
    "value": ("str", "the value as text; units are the specification's (W3C webrtc-stats)"),
    **{name: PLACE[name] for name in ("input", "pointer")},
}  # fmt: skip

SCHEMAS: dict[str, Schema] = {
    "log": LOG, "events": EVENT, "console": CONSOLE, "requests": REQUEST,
    "peer_connections": PEER_CONNECTION, "pc_events": PC_EVENT, "stats": STAT,
}  # fmt: skip
