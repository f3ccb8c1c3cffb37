"""An HTTP archive (HAR 1.2) as browsers' network panels save it, with the WebSocket messages that Chrome adds."""

import re
from collections.abc import Iterator
from typing import Any

from jitsilab.errors import Problem
from jitsilab.inputs.browser import refusals, tokens
from jitsilab.inputs.browser.happening import Happening
from jitsilab.inputs.json_text import load, mapping, pointer, sequence, text_of
from jitsilab.inputs.moments import SECOND, from_epoch, from_iso
from jitsilab.inputs.source import Delivery, Kind, Opened, Rows

NAME = "har"
TABLES = frozenset({"requests", "events"})
_MARK = re.compile(rb'"log"\s*:\s*\{')
_PARTS = re.compile(rb'"(?:creator|entries|startedDateTime|browser|_webSocketMessages|_resourceType)"\s*:')
_FAILURE = re.compile(r"<failure\b[^>]*>(.{0,600}?)</failure>", re.DOTALL)
_CONDITION = re.compile(r"<(not-authorized|not-allowed|account-disabled|temporary-auth-failure|mechanism-too-weak)\b")
_TEXT = re.compile(r"<text\b[^>]*>([^<]{0,200})</text>")
_NO_FOCUS = re.compile(r"<iq\b[^>]*\btype=['\"]error['\"]")
_UNAVAILABLE = re.compile(r"<(service-unavailable|remote-server-not-found|remote-server-timeout|item-not-found)\b")
_ID = re.compile(r"\bid=['\"]([^'\"]{1,80})['\"]")
_INITIATE = re.compile(r"<jingle\b[^>]*\baction=['\"](session-initiate|session-accept|session-terminate)['\"]")
_CANDIDATE = re.compile(r"<candidate\b([^>]{1,600})>")
_ATTRIBUTE = re.compile(r"([\w-]+)=['\"]([^'\"]{0,200})['\"]")
_ENDPOINT = re.compile(r"/colibri-ws/[^/]+/([^/]+)/([^/?]+)")


def recognise(delivery: Delivery) -> float:
    """How sure it is that this is such an archive."""
    head = delivery.head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not head.startswith(b"{") or not _MARK.search(head[:4096]):
        return 0.0
    return 0.95 if _PARTS.search(head) else 0.0


def open_(delivery: Delivery) -> "Archive":
    """The archive."""
    return Archive(delivery)


class Archive(Opened):
    """A source of the tables requests and events."""

    kind = NAME
    tables = TABLES

    def __init__(self, delivery: Delivery) -> None:
        super().__init__(delivery)
        self._requested = ""  # id of the last stanza for the focus

    def rows(self, tables: frozenset[str]) -> Iterator[Rows]:
        """Rows of the archive."""
        whole = load(self.delivery)
        if whole.problem:
            self.problems.append(Problem(0, NAME, whole.offset, f"the archive {whole.problem}"))
        rows: list[tuple[Any, ...]] = []
        happenings: list[Happening] = []
        for number, raw in enumerate(sequence(mapping(mapping(whole.value).get("log")).get("entries"))):
            if not isinstance(raw, dict):
                self.problems.append(Problem(0, NAME, 0, f"entry {number} is no object"))
                continue
            where = pointer("log", "entries", number)
            rows.append(self._row(raw, where))
            happenings += self._events(raw, where)
        if "requests" in tables and rows:
            yield Rows("requests", rows)
        who = next(iter(self.identity.get("endpoint", ())), "")
        for happening in happenings:
            happening.participant = who
        if "events" in tables and happenings:
            yield Rows("events", [each.row(self.input) for each in happenings])

    def _row(self, raw: dict[str, Any], where: str) -> tuple[Any, ...]:
        request, response = mapping(raw.get("request")), mapping(raw.get("response"))
        _, path, _ = refusals.split(text_of(request.get("url"), 20_000))
        size = mapping(response.get("content")).get("size")
        return (
            from_iso(raw.get("startedDateTime")), text_of(request.get("method"), 20), path[:400], _status(response),
            size if isinstance(size, int) and 0 <= size < 1 << 60 else None, "",
            text_of(raw.get("serverIPAddress"), 60),
            text_of(response.get("_error"), 120), self.input, None, None, where,
        )  # fmt: skip

    def _events(self, raw: dict[str, Any], where: str) -> Iterator[Happening]:
        request, response = mapping(raw.get("request")), mapping(raw.get("response"))
        address = text_of(request.get("url"), 20_000)
        host, path, _ = refusals.split(address)
        role, status, error = refusals.role_of(path), _status(response), text_of(response.get("_error"), 120)
        time = from_iso(raw.get("startedDateTime"))
        page = role == "page" or (path.count("/") == 1 and text_of(raw.get("_resourceType"), 20) == "document")
        if role in {"xmpp", "channel", "page"} and host:
            self.identity.setdefault("host", set()).add(host)
        if (match := _ENDPOINT.search(path)) is not None:
            self.identity.setdefault("conference", set()).add(match[1][:200])
            self.identity.setdefault("endpoint", set()).add(match[2][:200])
        if (why := tokens.refusal(address, time)) is not None and role == "xmpp":
            yield Happening("token-refused", time=time, value=why[0], detail=why[1], pointer=where)
        if refused := refusals.certificate(error):
            place = "xmpp" if role == "xmpp" else "page" if page or role == "channel" else ""
            if place:
                yield Happening("tls-refused", time=time, value=refused, detail=place, pointer=where)
            return
        if role == "xmpp":
            yield from self._signaling(raw, path, status, time, where)
        elif role == "channel":
            if status is not None and status >= 400:
                yield Happening("channel-refused", time=time, status=status, pointer=where)
            elif status == 101:
                yield Happening("channel-opened", time=time, pointer=where)
        elif role == "focus" and status is not None and status >= 500:
            yield Happening("focus-unavailable", time=time, status=status, pointer=where)

    def _signaling(
        self, raw: dict[str, Any], path: str, status: int | None, time: int | None, where: str
    ) -> Iterator[Happening]:
        messages = raw.get("_webSocketMessages")
        if status is not None and status >= 400:
            yield Happening("signaling-refused", time=time, value=path[:200], status=status, pointer=where)
            return
        if status is None:
            if text_of(mapping(raw.get("response")).get("_error"), 120) and not isinstance(messages, list):
                yield Happening("signaling-failed", time=time, value=path[:200], pointer=where)
            return
        if isinstance(messages, list):
            received = [each for each in messages if mapping(each).get("type") == "receive"]
            sent = [each for each in messages if mapping(each).get("type") == "send"]
            if status == 101 and sent and not received:
                yield Happening("signaling-refused", time=time, value=path[:200], detail="no-upgrade", pointer=where)
                return
            yield Happening("signaling-opened", time=time, value=path[:200], pointer=where)
            for number, each in enumerate(messages):
                message = mapping(each)
                at = from_epoch(message.get("time"), SECOND) or time
                place = where + pointer("_webSocketMessages", number)
                yield from self._message(text_of(message.get("data"), 1 << 17), at, place)
            return
        if status == 200 or status == 101:
            yield Happening("signaling-opened", time=time, value=path[:200], pointer=where)
        body = text_of(mapping(mapping(raw.get("response")).get("content")).get("text"), 1 << 17)
        yield from self._message(body, time, where)

    def _message(self, text: str, time: int | None, where: str) -> Iterator[Happening]:
        if "<failure" in text and (failure := _FAILURE.search(text)) is not None:
            condition, words = _CONDITION.search(failure[1]), _TEXT.search(failure[1])
            if words is not None and condition is not None and condition[1] == "not-allowed":
                yield Happening("token-refused", time=time, value=words[1], pointer=where)
            elif condition is not None:
                value = {"not-authorized": "password"}.get(condition[1], condition[1])
                yield Happening("login-refused", time=time, value=value, pointer=where)
            else:
                yield Happening("login-failed", time=time, pointer=where)
        asked = "http://jitsi.org/protocol/focus" in text and "<conference" in text
        if asked and (match := _ID.search(text)) is not None:
            self._requested = match[1]
        refused = _UNAVAILABLE.search(text)
        if refused is not None and self._requested and self._requested in text and _NO_FOCUS.search(text):
            yield Happening("focus-unavailable", time=time, value=refused[1], pointer=where)
        for match in _INITIATE.finditer(text):
            event = {"session-initiate": "offer-sent", "session-accept": "answer-received"}.get(
                match[1], "session-ended"
            )
            yield Happening(event, time=time, pointer=where)
            if event == "session-ended":
                continue
            gathered = event == "answer-received"
            for candidate in list(_CANDIDATE.finditer(text))[:100]:
                attributes = dict(_ATTRIBUTE.findall(candidate[1]))
                if address := attributes.get("ip", ""):
                    self.identity.setdefault("address" if gathered else "offered", set()).add(address)
                    tcp = " tcp" if attributes.get("protocol") in {"tcp", "ssltcp"} else ""
                    place = f"{attributes.get('port', '')} {attributes.get('type', '')}{tcp}"
                    event = "candidate-gathered" if gathered else "candidate-offered"
                    yield Happening(event, time=time, value=address, detail=place, pointer=where)
            return


def _status(response: dict[str, Any]) -> int | None:
    status = response.get("status")
    return status if isinstance(status, int) and 100 <= status < 1000 else None


KIND = Kind(NAME, "archive of HTTP requests (HAR)", TABLES, recognise, open_)
