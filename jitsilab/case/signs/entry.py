"""What keeps somebody out of a call: TLS, the carrier of the signaling, the login, the focus."""

import re
from collections.abc import Iterable

import pandas as pd

from jitsilab.case.cast import Cast, Person
from jitsilab.case.signaling import XmppStream
from jitsilab.case.signs import certificates
from jitsilab.case.signs.sign import DEDUCED, INFERRED, MEASURED, Sign, frames_of
from jitsilab.ip import is_loopback
from jitsilab.tables import Tables, frame

CARRIERS = r"/(?:xmpp-websocket|http-bind)\b"  # paths of the signaling, whatever stands before them
_UNREACHABLE = ("service-unavailable", "remote-server-not-found", "remote-server-timeout", "recipient-unavailable")
_EXPIRED = re.compile(r"\bexp\b|\bexpired?\b", re.IGNORECASE)
_EARLY = re.compile(r"\bnbf\b|not (?:yet )?valid (?:yet|before)|not before", re.IGNORECASE)
_TOKEN = re.compile(r"token|signature|claim|\b(?:alg|algorithm|typ|kid|iss|aud|sub|jwt|key)\b", re.IGNORECASE)
_ROLES = ("web", "websocket", "signaling")


def tls_refused(person: Person, tables: Tables) -> Sign | None:
    """The participant's client does not take the certificate of the page, or of the signaling."""
    flows = [flow for flow, role in person.flows.items() if role in _ROLES]
    return certificates.refusal("tls-refused", list(certificates.handshakes(tables, flows).values()))


def turn_tls_refused(person: Person, tables: Tables) -> Sign | None:
    """The client does not take the certificate of TURN: of all TLS connections that ask for no protocol."""
    flows = [flow for flow, role in person.flows.items() if role == "turn"]
    sign = certificates.refusal("turn-tls-refused", list(certificates.handshakes(tables, flows).values()))
    return sign


def signaling_refused(person: Person, call: Cast, tables: Tables) -> Sign | None:
    """The carrier of the signaling, WebSocket or BOSH, is answered with an error, or given no way to be one."""
    if any(stream.opened or stream.bound for stream in person.xmpp_streams):
        if not any(stream.bound for stream in person.xmpp_streams):
            return _unanswered(person, tables)
        return None
    http = frame(tables, "http")
    if not len(http):
        return _behind_proxy(person, call, tables)
    own = http[http["flow"].isin(list(person.flows)) & http["target"].fillna("").str.contains(CARRIERS)]
    failed = own[own["status"].ge(400).fillna(False).astype(bool)]
    if len(failed):
        status = int(failed["status"].iloc[-1])
        return Sign("signaling-refused", frames_of(failed["frame"], failed["response_frame"]),
                    seconds=float(failed["seconds"].iloc[0]), reason=f"http-{status}", status=status,
                    note=f"the signaling was answered with {status}")  # fmt: skip
    opened = own[own["status"].eq(101).fillna(False).astype(bool)]
    if len(opened) == len(own) and len(own):
        return Sign("signaling-refused", frames_of(opened["frame"], opened["response_frame"]), INFERRED,
                    float(opened["seconds"].iloc[0]), status=101,
                    note="the WebSocket opened, and nothing came over it")  # fmt: skip
    return _behind_proxy(person, call, tables) if own.empty else None


def _unanswered(person: Person, tables: Tables) -> Sign | None:
    """A stream that the client opened and nobody answered: the handshake passed, and not one byte followed."""
    http, xmpp = frame(tables, "http"), frame(tables, "xmpp")
    xmpp_streams = {stream.connection for stream in person.xmpp_streams}
    if len(xmpp) and xmpp[xmpp["connection"].isin(xmpp_streams)]["direction"].eq("s2c").any():
        return None
    ends = frame(tables, "flows")
    flows = [flow for stream in person.xmpp_streams for flow in stream.flows]
    closed = ends[ends["flow"].isin(flows) & (ends["fins"].fillna(0).gt(0) | ends["resets"].fillna(0).gt(0))]
    if closed.empty or not len(http):
        return None
    rows = http[http["flow"].isin(flows) & http["target"].fillna("").str.contains(CARRIERS)]
    frames = frames_of(rows["frame"], rows["response_frame"], [stream.opened for stream in person.xmpp_streams])
    note = "the WebSocket opened and was closed before one stanza came: the proxy may not pass the upgrade on"
    return Sign("signaling-refused", frames, INFERRED, person.first_seen, status=101, note=note)


def _behind_proxy(person: Person, call: Cast, tables: Tables) -> Sign | None:
    """Seen behind the server's proxy, in clear: what its request became, in the time of the participant's connection.

    The proxy's own connection stands inside the span of the client's; where several clients' spans hold it, it is
    nobody's.
    """
    flows = frame(tables, "flows")
    if not len(flows):
        return None
    spans = {int(f): (float(a), float(b)) for f, a, b in
             zip(flows["flow"], flows["first_seconds"], flows["last_seconds"], strict=True)}  # fmt: skip
    outer = {flow: other for other in call.people for flow, role in other.flows.items() if role == "websocket"}
    inner = flows[flows["client"].map(is_loopback) & flows["transport"].eq("tcp")]
    http = frame(tables, "http")
    asked = http[http["flow"].isin(inner["flow"]) & http["target"].fillna("").str.contains(CARRIERS)] if len(http) \
        else http  # fmt: skip
    signs: list[Sign] = []
    for row in asked.itertuples() if len(asked) else ():
        if _owner(spans, outer, int(row.flow)) is not person:
            continue
        frames = frames_of(row.frame, row.response_frame)
        if not isinstance(row.asked_upgrade, str) and str(row.method) == "GET" and "websocket" in str(row.target):
            note = "the proxy passes the request on without Upgrade, so no WebSocket comes of it"
            signs.append(Sign("signaling-refused", frames, DEDUCED, float(row.seconds), "no-upgrade", note=note))
        elif pd.notna(row.status) and int(row.status) >= 400:
            status = int(row.status)
            note = f"the signaling was answered with {status}"
            signs.append(Sign("signaling-refused", frames, DEDUCED, float(row.seconds), f"http-{status}", status,
                              note=note))  # fmt: skip
    if signs:
        return signs[0]
    for row in inner[inner["packets_down"].gt(0) & ~inner["handshake"].fillna(False).astype(bool)].itertuples():
        refused = row.resets and row.payload_up == 0 and row.payload_down == 0
        if refused and _owner(spans, outer, int(row.flow)) is person:
            note = (f"the proxy finds nobody at port {row.server_port} while the participant's WebSocket waits: what "
                    "stood there is not to be seen")  # fmt: skip
            return Sign("signaling-refused", frames_of(row.first_frame, row.last_frame), INFERRED,
                        float(row.first_seconds), note=note, value=str(row.server_port))  # fmt: skip
    return None


def _owner(spans: dict[int, tuple[float, float]], outer: dict[int, Person], flow: int) -> Person | None:
    """Whose connection to the proxy holds one behind it, where only one person's does."""
    start, end = spans[flow]
    holders = [person for number, person in outer.items() if spans[number][0] <= start and end <= spans[number][1]]
    return holders[0] if holders and all(holder is holders[0] for holder in holders) else None


def login_refused(person: Person, tables: Tables) -> Sign | None:
    """The XMPP server does not let the participant in, with its reason where it gives one."""
    if any(stream.bound for stream in person.xmpp_streams):
        return None
    failures = [(stream, failure) for stream in person.xmpp_streams for failure in stream.failures]
    if failures:
        return _failure(failures, _has_token(person, tables))
    for stream in person.xmpp_streams:
        gave_up = stream.whole and stream.offered and not stream.tried and stream.closed > stream.offered
        if gave_up and stream.mechanisms and "ANONYMOUS" not in stream.mechanisms:
            offered = " and ".join(sorted(stream.mechanisms))
            return Sign("login-refused", frames_of(stream.offered, stream.closed), MEASURED, stream.start,
                        "guest-refused",
                        note=f"the server offers {offered}, and the client, a guest, left")  # fmt: skip
    return None


def _failure(failures: list[tuple[XmppStream, tuple[int, str, str]]], token: bool) -> Sign:
    stream, (_, condition, text) = failures[-1]
    frames = frames_of(*((each.tried, frame) for each, (frame, _, _) in failures))
    words = f"{condition}: {text}" if text else condition or "no reason given"
    anonymous = stream.mechanism in ("ANONYMOUS", "")
    reason = ""
    if token or (anonymous and _TOKEN.search(text)) or (anonymous and re.search(r"not acceptable by", text, re.I)):
        early, late = _EARLY.search(text), _EXPIRED.search(text)
        reason = "token-not-yet-valid" if early else "token-expired" if late else "token-invalid"
    elif not anonymous and condition in ("not-authorized", "credentials-expired", "account-disabled"):
        reason = "password-wrong" if condition == "not-authorized" else ""
    elif anonymous and condition in ("invalid-mechanism", "mechanism-too-weak"):
        reason = "guest-refused"
    return Sign("login-refused", frames, MEASURED, stream.start, reason, note=f"the server refused the login: {words}")


def _has_token(person: Person, tables: Tables) -> bool:
    """Whether the participant's signaling was asked for with a JWT."""
    http = frame(tables, "http")
    if not len(http):
        return False
    flows = {*person.flows, *(flow for stream in person.xmpp_streams for flow in stream.flows)}
    return bool((http["flow"].isin(list(flows)) & http["token"].notna()).any())


def focus_missing(person: Person, call: Cast, wait: float) -> Sign | None:
    """Nobody is there whom the participant could ask for a conference.

    ``wait``: s after which a request without an answer counts as one that nobody took.
    """
    asked = [stream for stream in person.xmpp_streams if stream.asked]
    if not asked or any(stream.ready or stream.joined or stream.sessions for stream in asked):
        return None
    errors = [
        (stream, frame) for stream in asked for frame, condition in stream.focus_errors if condition in _UNREACHABLE
    ]
    if errors:
        stream, frame = errors[-1]
        condition = next(c for f, c in stream.focus_errors if f == frame)
        return Sign("focus-missing", frames_of(stream.asked, [f for _, f in errors]), MEASURED, stream.asked_at,
                    note=f"the request for a conference comes back: {condition}")  # fmt: skip
    silent = [stream for stream in asked if stream.whole and not stream.focus_errors and _waited(stream, call) >= wait]
    if len(silent) == len(asked):
        note = "nobody answers the request for a conference"
        return Sign("focus-missing", frames_of([stream.asked for stream in silent]), INFERRED, silent[0].asked_at,
                    note=note)  # fmt: skip
    return None


def _waited(stream: XmppStream, call: Cast) -> float:
    return (stream.end if stream.closed else call.end) - stream.asked_at


def first(signs: Iterable[Sign | None]) -> Sign | None:
    """The first that there is."""
    return next((sign for sign in signs if sign is not None), None)
