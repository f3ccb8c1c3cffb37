"""What keeps somebody from entering: certificates, the proxy before Prosody, logins and tokens."""

import re
from collections.abc import Iterator

from jitsilab.judge.causes.statement import Case, Rule, Statement, named, stated
from jitsilab.judge.causes.trail import Trail


def _inputs(case: Case, *names: str) -> Iterator[Trail]:
    for input in dict.fromkeys(event.input for event in case.trail.select(*names)):
        yield Trail([event for event in case.trail if event.input == input])


def certificate(case: Case) -> Iterator[Statement]:
    """The browser refuses the certificate of the page or of signaling; TURN's is another cause."""
    for trail in _inputs(case, "tls-refused"):
        refused = [event for event in trail.select("tls-refused") if event.detail != "turn"]
        opened = trail.select("signaling-opened", "logged-in", "participant-joined")
        still = [event for event in refused if not any(other.order > event.order for other in opened)]
        if still:
            reasons = {event.value for event in still if event.value}
            yield stated("tls-refused", still, reasons.pop() if len(reasons) == 1 else None, participants=named(still))


def signaling(case: Case) -> Iterator[Statement]:
    """The way to Prosody was answered, and not opened, to the end."""
    for trail in _inputs(case, "signaling-refused", "signaling-failed"):
        failed = trail.run_at_end(
            ("signaling-refused", "signaling-failed"), ("signaling-opened", "logged-in", "participant-joined")
        )
        refused = [event for event in failed if event.event == "signaling-refused"]
        if refused:
            last = refused[-1]
            reason = "no-upgrade" if last.detail == "no-upgrade" else f"http-{last.status}" if last.status else None
            where = f"at {last.value}" if last.value else ""
            sure = "inferred" if reason == "no-upgrade" and last.by != "field" else "measured"
            yield stated(
                "signaling-refused", refused, reason, participants=named(refused), detail=where, certainty=sure
            )
        elif failed and not [event for event in trail.select("tls-refused") if event.detail != "turn"]:
            yield stated("signaling-refused", failed, participants=named(failed), certainty="inferred",
                         detail="no status is known: an answer other than 101, the network or a proxy")  # fmt: skip


UPSTREAM = re.compile(r"(?:xmpp-websocket|http-bind|:528[01]\b)")


def upstream(case: Case) -> Iterator[Statement]:
    """A proxy's error log alone: what stands behind the way to Prosody is not reached."""
    if case.trail.select("signaling-refused", "signaling-opened"):
        return
    failed = [
        event for event in case.trail.select("upstream-failed") if UPSTREAM.search(f"{event.value} {event.detail}")
    ]
    codes = {"refused": "http-502", "no-route": "http-502", "reset": "http-502", "timeout": "http-504"}
    if failed:
        kind = next((word for word in codes if word in failed[-1].detail), "")
        yield stated("signaling-refused", failed, codes.get(kind), certainty="deduced",
                     detail=f"the proxy does not reach {failed[-1].value}")  # fmt: skip


def token_reason(text: str) -> str:
    """Which reason a refused token's words stand for, in the words of Prosody's modules and of luajwtjitsi."""
    text = text.lower()
    if re.search(r"acceptable by exp|expired\b|\bexp claim", text):
        return "token-expired"
    if re.search(r"acceptable by nbf|not (?:yet )?valid|before\b.*\bnbf|\bnbf claim", text):
        return "token-not-yet-valid"
    return "token-invalid"


def token(case: Case) -> Iterator[Statement]:
    """Prosody, or the browser's own token, says why it is refused."""
    for trail in _inputs(case, "token-refused"):
        refused = trail.select("token-refused")
        reason = token_reason(refused[-1].value)
        yield stated("xmpp-auth-failed", refused, reason, participants=named(refused), detail=refused[-1].value)


def login(case: Case) -> Iterator[Statement]:
    """A browser's login is refused, to the end."""
    for trail in _inputs(case, "login-refused", "login-failed"):
        if not any(event.program == "browser" for event in trail):
            continue
        failed = Trail([event for event in trail if event.program == "browser"]).run_at_end(
            ("login-refused", "login-failed"), ("logged-in", "participant-joined")
        )
        if not failed:
            continue
        last = failed[-1]
        words = {"guest": "guest-refused", "password": "password-wrong"}
        reason = words.get(last.value)
        if last.value == "token" and last.detail:
            reason = token_reason(last.detail)
        yield stated("xmpp-auth-failed", failed, reason, participants=named(failed))


RULES: tuple[Rule, ...] = (
    Rule("tls-refused", ("browser",), certificate),
    Rule("signaling-refused", ("browser", "nginx"), signaling),
    Rule("signaling-refused", ("nginx",), upstream),
    Rule("xmpp-auth-failed", ("prosody", "browser"), token),
    Rule("xmpp-auth-failed", ("browser",), login),
)
