"""Steps S01 to S16 and S35 at their limits: tables of a few rows, where one value more or less turns the verdict."""

from typing import Any

import pandas as pd
import pytest
from made_scopes import (
    ANN,
    BESIDE,
    CONFORMS,
    DEVIATES,
    HIDDEN,
    PUBLIC,
    TALKING,
    UNOBSERVED,
    rows,
    said,
    scope,
    verdict,
    whole,
)

from jitsilab.analysis import limits
from jitsilab.case.legs import Leg
from jitsilab.case.signaling import Session, XmppStream
from jitsilab.judge import theory
from jitsilab.judge.checks import Certainty, Outcome
from jitsilab.judge.theory import entry, media, names, signaling
from jitsilab.protocols.jitmeet import Service

GUARD = limits.GUARD.value


# ---- S01: the name


def dns(*told: tuple[float, str, str | None], src: str = ANN, **more: Any) -> pd.DataFrame:
    """Queries (None), answers with addresses, with an rcode, or with nothing, by seconds and name."""
    made = []
    for seconds, name, answer in told:
        codes = answer if answer in names.FAILED else "NOERROR"
        addresses = answer if answer and answer not in names.FAILED else None
        made.append({
            "seconds": seconds, "name": name, "response": answer is not None, "rcode": codes, "addresses": addresses,
            "src": src if answer is None else "192.0.2.53", "dst": "192.0.2.53" if answer is None else src,
        })  # fmt: skip
    same = {"service": "dns", "opcode": "QUERY", "duplicate": False, "type": "A", "aliases": None, "hints": None,
            "targets": None, "truncated": False, "complete": True, "ech": False}  # fmt: skip
    return rows(*made, **same | more)


def opened(at: float = 2.0, server: str = PUBLIC, name: str = "meet.lab", last: float = 3.0) -> dict[str, pd.DataFrame]:
    """A connection that names its server; its first frame is 90."""
    flow = {"flow": 5, "server": server, "first_frame": 90, "first_seconds": at, "last_seconds": last,
            "handshake": True, "transport": "tcp", "server_port": 443}  # fmt: skip
    return {"tls": rows({"flow": 5, "sni": name}), "flows": rows(flow)}


def resolved(table: pd.DataFrame, connection: dict[str, pd.DataFrame], **more: Any) -> Outcome:
    return names.resolved(scope(own=ANN, tables={"dns": table, **connection}, **more))


def test_a_name_is_resolved_by_an_answer_that_came_before_the_connection() -> None:
    asked = dns((1.0, "meet.lab", None), (1.25, "Meet.lab", "192.0.2.9"), (2.0, "meet.lab", PUBLIC))
    found = resolved(asked, opened(2.0))
    assert verdict(found) == (CONFORMS, f"meet.lab is {PUBLIC}, answered 0.000 s before the connection")
    assert found.frames == (1, 3, 90)  # what was asked, the answer that has the address, the connection
    assert resolved(asked, opened(1.9)).verdict.value == HIDDEN  # told later: something else answered
    alias = dns((1.0, "meet.lab", None), (1.25, "meet.lab", PUBLIC), aliases="edge.lab")
    assert resolved(alias, opened(name="edge.lab")).verdict.value == CONFORMS
    inside = dns((1.0, "meet.lab", None), (1.25, "meet.lab", "192.0.2.1"))
    assert resolved(inside, opened(server="64:ff9b::c000:201")).verdict.value == CONFORMS  # RFC 6052 section 2.4
    assert resolved(inside, opened(server="64:ff9b::c000:202")).verdict.value == HIDDEN


def test_an_address_that_no_answer_has_is_one_of_a_hosts_file() -> None:
    asked = dns((1.0, "meet.lab", None), (1.25, "meet.lab", "192.0.2.9"))
    found = resolved(asked, opened())
    assert (found.verdict.value, found.certainty, found.frames) == (DEVIATES, Certainty.INFERRED, (2, 90))
    assert f"meet.lab was answered with 192.0.2.9, and the connection for it went to {PUBLIC}" in found.note
    at_once = dns((1.0, "meet.lab", None), (2.0, "meet.lab", "192.0.2.9"))
    assert resolved(at_once, opened(2.0)).verdict.value == DEVIATES  # the answer was there when it connected
    assert resolved(asked, opened(), lossy=True).verdict.value == HIDDEN
    assert resolved(asked.assign(truncated=True), opened()).verdict.value == HIDDEN
    assert resolved(asked, opened(server="2001:db8::1")).verdict.value == HIDDEN  # of its kind nothing was answered
    other = dns((1.0, "meet.lab", None), (1.25, "meet.lab", "192.0.2.9"), (5.0, "meet.lab", PUBLIC))
    assert resolved(other, opened()).verdict.value == HIDDEN  # one of the service's, told in another turn
    begun_before = opened()
    begun_before["flows"] = begun_before["flows"].assign(handshake=None)
    assert resolved(asked, begun_before).verdict.value == HIDDEN
    older = opened()
    older["flows"] = pd.concat([older["flows"], older["flows"].assign(flow=4, first_seconds=0.5)])
    assert resolved(asked, older).verdict.value == HIDDEN  # the client knew the address before it asked


@pytest.mark.parametrize(("after", "found"), [(GUARD, DEVIATES), (GUARD - 0.01, HIDDEN)])
def test_a_name_fails_where_nothing_followed_for_long_enough(after: float, found: str) -> None:
    asked = dns((1.0, "turn.lab", None), (2.0, "turn.lab", "NXDOMAIN"), (2.0, "meet.lab", ""))
    stream = XmppStream(0, services=(Service("turn", "TURN.lab.", 3478, "udp", None, None, None, False),))
    outcome = resolved(asked, opened(0.5), end=2.0 + after, stream=stream)
    assert outcome.verdict.value == found
    if found == DEVIATES:
        assert outcome.note.startswith("the name turn.lab does not exist (NXDOMAIN), and no connection followed")
        assert outcome.frames == (1, 2)


@pytest.mark.parametrize(
    ("told", "end", "found"),
    [
        ([(1.0, None), (2.0, None)], 1.0 + GUARD, "2 queries for turn.lab and no answer"),
        ([(1.0, None), (2.0, None)], 0.99 + GUARD, ""),
        ([(1.0, None)], 60.0, ""),  # one that got lost is asked again
        ([(1.0, None), (2.0, None), (3.0, "")], 60.0, ""),  # an answer without addresses is one
        ([(1.0, None), (2.0, None), (3.0, "SERVFAIL")], 60.0, "the name turn.lab could not be looked up (SERVFAIL)"),
        ([(1.0, None), (2.0, "SERVFAIL"), (3.0, PUBLIC)], 60.0, ""),
    ],
)
def test_where_no_call_is_a_name_looked_up_in_vain_is_told(
    told: list[tuple[float, str | None]], end: float, found: str
) -> None:
    table = dns(*((at, "turn.lab", answer) for at, answer in told))
    flows = rows({"transport": "udp", "server_port": 53, "first_seconds": 0.5, "last_seconds": end})
    assert names.unresolved({"dns": table, "flows": flows})[0].startswith(found)
    if found:
        assert names.unresolved({"dns": table, "flows": flows})[0]


@pytest.mark.parametrize(
    ("port", "transport", "told"),
    [(443, "tcp", False), (80, "tcp", False), (81, "tcp", True), (443, "udp", True), (79, "tcp", True)],
)
def test_a_page_that_opened_afterwards_heals_a_name(port: int, transport: str, told: bool) -> None:
    table = dns((1.0, "meet.lab", None), (2.0, "meet.lab", "NXDOMAIN"))
    flows = rows({"transport": transport, "server_port": port, "first_seconds": 3.0, "last_seconds": 30.0})
    assert bool(names.unresolved({"dns": table, "flows": flows})[0]) is told


@pytest.mark.parametrize("name", ["printer", "_turn._udp.meet.lab", "9.2.0.192.in-addr.arpa", "ann.local"])
def test_names_that_hosts_try_by_themselves_are_left_out(name: str) -> None:
    table = dns((1.0, name, None), (2.0, name, "NXDOMAIN"))
    flows = rows({"transport": "udp", "server_port": 53, "first_seconds": 0.5, "last_seconds": 30.0})
    assert names.unresolved({"dns": table, "flows": flows}) == ("", [])
    other = dns((1.0, "meet.lab", None), (2.0, "meet.lab", "NXDOMAIN"))
    assert names.unresolved({"dns": other, "flows": flows})[1] == [1, 2]


# ---- S02: the page


def handshakes(**more: Any) -> pd.DataFrame:
    hello = {"handshake": "client_hello", "up": True, "sni": "meet.lab", "certificate_until": None}
    answer = {"handshake": "server_hello certificate", "up": False, "version": "TLS 1.2", "resumed": False,
              "certificate_from": "2026-01-01T00:00:00Z", "certificate_until": "2027-01-01T00:00:00Z",
              "certificate_names": "meet.lab", "certificate_self_signed": False,
              "time": pd.Timestamp("2026-11-01T12:00:00Z")}  # fmt: skip
    return rows(hello, answer | more, flow=5)


@pytest.mark.parametrize(
    ("time", "found"),
    [("2026-01-01T00:00:00Z", CONFORMS), ("2027-01-01T00:00:00Z", CONFORMS), ("2027-01-01T00:00:01Z", DEVIATES),
     ("2025-12-31T23:59:59Z", DEVIATES), ("2000-01-01T00:00:00Z", DEVIATES), ("1999-12-31T00:00:00Z", CONFORMS)],
)  # fmt: skip
def test_a_certificate_is_valid_from_its_first_to_its_last_second(time: str, found: str) -> None:
    assert names.page(handshakes(time=pd.Timestamp(time)), scope()).verdict.value == found


@pytest.mark.parametrize(
    ("names_of", "listed"), [("a.lab b.lab c.lab", "a.lab, b.lab, c.lab, and"), ("a b c d", "a, b, c and more, and")]
)
def test_a_certificate_for_others_names_a_few(names_of: str, listed: str) -> None:
    one = names.page(handshakes(certificate_names=names_of), scope())
    assert verdict(one) == (DEVIATES, f"the certificate is for {listed} meet.lab was asked for")
    own = names.page(handshakes(certificate_names=names_of, certificate_self_signed=True), scope())
    assert own.note.endswith("valid until 2027-01-01, not for meet.lab, signed by itself")


def test_the_handshake_with_a_relay_is_none_with_the_page() -> None:
    assert names.page(handshakes(version="TLS 1.1"), scope()).verdict.value == DEVIATES
    assert names.page(handshakes(version="TLS 1.1"), scope(flows={5: "turn"})).verdict.value == UNOBSERVED
    assert names.page(handshakes(version=None), scope()).verdict.value == UNOBSERVED


def test_whoever_has_no_session_is_judged_by_what_there_is() -> None:
    (step,) = [one for one in theory.STEPS if one.id == "S02"]

    def found(name: str, **more: Any) -> str:
        made = scope(tables={"tls": handshakes()}, **more)
        made.name = name
        ((_, outcome),) = theory._judged([step], made)
        return outcome.verdict.value

    assert found("") == CONFORMS
    assert found("-") == HIDDEN  # whether it had one is not to be seen
    assert found("-", legs=[Leg(1, "udp", ANN)]) == CONFORMS
    assert found("-", stream=whole()) == CONFORMS


def test_what_was_fetched_before_the_first_stanza() -> None:
    got = [{"method": "GET", "status": 200, "response_frame": frame, "target": target}
           for frame, target in ((3, "/"), (5, "/config.js"), (9, "/late.js"))]  # fmt: skip
    tables = {"http": rows(*got), "xmpp": rows({"frame": 9})}
    found = names.page(handshakes(), scope(tables=tables))
    assert found.note.endswith("2 fetched before the first stanza")  # not what came with it
    assert found.frames == (1, 2, 3, 5)
    tables["http"] = rows(*got[:1], {"method": "POST", "status": 200, "response_frame": 4, "target": "/config.js"})
    assert "1 fetched before the first stanza, config.js and" in names.page(handshakes(), scope(tables=tables)).note


# ---- S03 to S16 and S35: signaling

JOIN = (
    "c2s",
    "<presence xmlns='jabber:client' to='r@muc.lab/ab12'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
)
PING = ("c2s", "<iq xmlns='jabber:client' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
READY = ("s2c", "<iq xmlns='jabber:client' from='focus.lab' type='result'>"
         "<conference xmlns='http://jitsi.org/protocol/focus' ready='true'/></iq>")  # fmt: skip
REFUSED = ("s2c", "<iq xmlns='jabber:client' from='focus.lab' type='error'><error type='cancel'>"
           "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")  # fmt: skip


def focused(*texts: tuple[str, str], http: pd.DataFrame | None = None, **stream: Any) -> Outcome:
    tables = {"xmpp": said(*texts)} | ({"http": http} if http is not None else {})
    one = whole(**stream)
    return entry.conferred(scope(stream=one, tables=tables), one)


def test_the_focus_is_ready_before_the_room() -> None:
    good = focused(READY, JOIN, asked=1, ready=1)
    assert (good.verdict.value, good.frames, good.variant) == (CONFORMS, (1, 2), "xmpp")
    again = focused(READY, JOIN, JOIN, asked=1, ready=1)
    assert again.frames == (1, 2)  # the first entry tells
    assert focused(JOIN, READY, asked=1, ready=2).verdict.value == DEVIATES
    assert focused(JOIN, READY, asked=1, ready=2, opened=0).verdict.value == CONFORMS
    assert focused(JOIN, asked=1).verdict.value == UNOBSERVED
    assert focused(JOIN, bound=5).verdict.value == UNOBSERVED
    assert focused(JOIN).verdict.value == BESIDE
    assert verdict(focused(REFUSED, asked=1)) == (DEVIATES, "the focus refused: no reason given")
    foreign = ("s2c", REFUSED[1].replace("focus.lab", "other.lab"))
    assert focused(foreign, READY, JOIN, asked=2, ready=2).verdict.value == CONFORMS
    posted = rows({"ready": True, "response_frame": 1, "frame": 1})
    assert focused(JOIN, JOIN, http=posted).variant == "http"
    assert focused(JOIN, http=posted.assign(response_frame=2)).verdict.value == DEVIATES


@pytest.mark.parametrize(("waited", "found"), [(GUARD, "the room did not answer"), (GUARD - 0.01, "no answer in the")])
def test_a_room_that_does_not_answer(waited: float, found: str) -> None:
    stream = whole()
    table = said(PING, JOIN).assign(seconds=[0.5, 1.0])
    one = entry.entered(scope(stream=stream, end=1.0 + waited, tables={"xmpp": table}), stream)
    assert one.note.startswith(found)
    assert one.frames == (2,)


def presence(code: int, **more: str) -> tuple[str, str]:
    given = "".join(f" {name}='{value}'" for name, value in more.items())
    return ("s2c", f"<presence xmlns='jabber:client' from='r@muc.lab/ab12'{given}>"
            f"<x xmlns='http://jabber.org/protocol/muc#user'><status code='{code}'/></x></presence>")  # fmt: skip


def test_the_room_confirms_the_own_presence() -> None:
    stream = whole(joined=2, focus=3, others={"cd34": (1.0, 2.0)})
    one = entry.entered(scope(stream=stream, tables={"xmpp": said(JOIN, presence(110))}), stream)
    assert (verdict(one), one.frames) == ((CONFORMS, "own presence confirmed (110); 1 others came by"), (1, 2, 3))
    assert one.variant == "made by the focus"
    refused = entry.entered(scope(stream=stream, tables={"xmpp": said(JOIN, presence(110, type="error"))}), stream)
    assert (verdict(refused), refused.frames) == ((DEVIATES, "the room refused: no reason given"), (2,))
    nobody = whole()
    assert entry.entered(scope(stream=nobody, tables={"xmpp": said(presence(110))}), nobody).verdict.value == BESIDE


def bosh(*rids: int, **more: Any) -> Outcome:
    http = rows(*({"rid": rid} for rid in rids), connection=0, target="/http-bind", status=200)
    stream = whole(**more)
    made = scope(stream=stream, tables={"http": http, "xmpp": said(JOIN, carrier="bosh")})
    return entry.carried(made)


def test_request_numbers_rise_by_one() -> None:
    assert verdict(bosh(7, 8, 9)) == (CONFORMS, "3 requests, numbered one by one")
    assert verdict(bosh(7, 9, 12)) == (DEVIATES, "request numbers jump to 9")
    assert verdict(bosh(7, 9, opened=0)) == (CONFORMS, "2 requests")
    assert verdict(bosh(7, 7)) == (CONFORMS, "1 requests, numbered one by one")


@pytest.mark.parametrize(("status", "found"), [(101, CONFORMS), (399, CONFORMS), (400, DEVIATES), (403, DEVIATES)])
def test_a_socket_that_was_refused(status: int, found: str) -> None:
    stream = whole(flows={5})
    http = rows({"target": "/xmpp-websocket?room=r", "status": status, "flow": 5, "subprotocol": "xmpp"})
    opening = ("c2s", "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='lab'/>")
    table = said(PING, opening, PING)
    one = entry.carried(scope(stream=stream, tables={"http": http, "xmpp": table}))
    assert one.verdict.value == found
    if found == CONFORMS:
        assert (one.note, one.frames) == ("101 with subprotocol xmpp, then <open/>; 2 pings", (1, 2))
    other = http.assign(flow=6, status=101)
    assert entry.carried(scope(stream=stream, tables={"http": other, "xmpp": table})).note == "<open/>; 2 pings"
    assert entry.carried(scope(stream=stream, tables={"xmpp": table})).note == "<open/>; 2 pings"


def login(*texts: tuple[str, str], clear: bool = False, src: str = ANN, **stream: Any) -> tuple[str, str]:
    one = whole(**{"offered": 1, "mechanisms": {"ANONYMOUS"}} | stream)
    table = said(*((way, f"<{xml} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>") for way, xml in texts), clear=clear)
    return verdict(entry.logged_in(scope(stream=one, tables={"xmpp": table.assign(src=src)}), one))


def test_a_login_takes_what_was_offered() -> None:
    asked, won = ("c2s", "auth mechanism='ANONYMOUS'"), ("s2c", "success")
    assert login(asked, won) == (CONFORMS, "ANONYMOUS, 1 exchange and success")
    assert login(asked, won, mechanisms={"PLAIN"}) == (DEVIATES, "ANONYMOUS was not offered")
    assert login(asked, won, mechanisms={"PLAIN"}, opened=0)[0] == CONFORMS
    assert login(asked, won, mechanisms=set())[0] == CONFORMS
    assert login(asked, ("s2c", "failure")) == (DEVIATES, "the server refused the login: no reason given")
    plain = ("c2s", "auth mechanism='PLAIN'")
    assert login(plain, won, mechanisms={"PLAIN"}, clear=True) == (DEVIATES, "a password in clear: PLAIN without TLS")
    assert login(plain, won, mechanisms={"PLAIN"})[0] == CONFORMS
    assert login(plain, won, mechanisms={"PLAIN"}, clear=True, src="127.0.0.1")[0] == CONFORMS
    assert login(asked, won, clear=True)[0] == CONFORMS
    assert login(asked)[0] == UNOBSERVED


def test_whoever_leaves_before_a_login_was_not_let_in() -> None:
    note = "the server offers ANONYMOUS, and the client left without a login: guests are not let in"
    assert login(closed=9) == (DEVIATES, note)
    for more in ({"closed": 1}, {"closed": 0}, {"closed": 9, "offered": 0}, {"closed": 9, "opened": 0}):
        assert login(**more)[0] == UNOBSERVED, more


def served(*texts: tuple[str, str], **stream: Any) -> tuple[str, str]:
    one = whole(**stream)
    return verdict(entry.served(scope(stream=one, tables={"xmpp": said(*texts)}), one))


def test_services_come_before_the_invitation_with_credentials_that_last() -> None:
    def listed(inside: str = "") -> tuple[str, str]:
        return ("s2c", "<iq xmlns='jabber:client' type='result'><services xmlns='urn:xmpp:extdisco:2'>"
                f"{inside}</services></iq>")  # fmt: skip

    asked = ("c2s", "<iq xmlns='jabber:client' type='get'><services xmlns='urn:xmpp:extdisco:2'/></iq>")
    turns = "<service type='turn' transport='udp' username='{}'/>"
    assert served(asked, listed()) == (CONFORMS, "an empty list: no TURN is offered")
    stream = whole()
    between = entry.served(scope(stream=stream, tables={"xmpp": said(PING, asked, PING, listed())}), stream)
    assert (between.frames, between.variant) == ((2, 4), "extdisco:2")
    assert served(asked, listed(turns.format("ann"))) == (CONFORMS, "turn/udp")
    now = int(pd.Timestamp("2026-11-01T12:00:00Z").timestamp())
    assert served(asked, listed(turns.format(now)))[0] == CONFORMS
    assert served(asked, listed(turns.format(f"{now - 1}:ann"))) == (
        DEVIATES, "the credentials ended at 2026-11-01 11:59 UTC"
    )  # fmt: skip
    assert served(asked, listed(turns.format("12345678")))[0] == CONFORMS  # a number, and no time
    for at, found in ((1, CONFORMS), (2, DEVIATES), (3, CONFORMS)):
        session = Session("s", "jvb", offered=at)
        assert served(asked, ("s2c", "<r xmlns='urn:xmpp:sm:3'/>"), listed(), sessions={"s": session})[0] == found
    peers = {"s": Session("s", "p2p", offered=2)}
    assert served(asked, ("s2c", "<r xmlns='urn:xmpp:sm:3'/>"), listed(), sessions=peers)[0] == CONFORMS
    assert served(asked)[0] == UNOBSERVED


def test_a_stream_has_one_resource() -> None:
    def found(*texts: tuple[str, str], **stream: Any) -> tuple[str, str]:
        one = whole(**stream)
        return verdict(entry.bound(scope(stream=one, tables={"xmpp": said(*texts)}), one))

    def named(jid: str) -> tuple[str, str]:
        return ("s2c", "<iq xmlns='jabber:client' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                f"<jid>{jid}</jid></bind></iq>")  # fmt: skip

    success = ("s2c", "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
    assert found(named("a@lab/1")) == (CONFORMS, "one full JID, without stream management")
    assert found(named("a@lab/1"), ("s2c", "<enabled xmlns='urn:xmpp:sm:3'/>"))[1].endswith("with stream management")
    assert found(named("a@lab/1"), named("a@lab/2")) == (DEVIATES, "2 resources on one stream")
    assert found(named("a@lab/1"), named("a@lab/1"))[0] == CONFORMS
    assert found()[0] == BESIDE
    assert found(opened=0)[0] == UNOBSERVED
    assert found(success)[0] == UNOBSERVED
    assert found(success, ("s2c", "<resumed xmlns='urn:xmpp:sm:3' previd='x' h='1'/>"))[0] == BESIDE
    refused = ("s2c", "<iq xmlns='jabber:client' type='error'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
    assert found(success, refused)[0] == DEVIATES


def test_a_stream_is_taken_up_again_or_not() -> None:
    def found(*steps: tuple[str, str]) -> tuple[str, str]:
        one = whole()
        texts = [(way, f"<{step} xmlns='urn:xmpp:sm:3'/>") for way, step in steps]
        return verdict(entry.resumed(scope(stream=one, tables={"xmpp": said(*texts)}), one))

    assert found(("c2s", "enable"))[0] == BESIDE
    assert found(("c2s", "resume"), ("s2c", "resumed")) == (CONFORMS, "the stream goes on")
    assert found(("c2s", "resume"))[0] == UNOBSERVED
    lost = "the server no longer knew the stream, and the client has to come in anew"
    assert found(("c2s", "resume"), ("s2c", "failed")) == (DEVIATES, lost)
    assert found(("s2c", "failed"), ("c2s", "resume"))[0] == UNOBSERVED  # what failed before was something else
    assert found(("c2s", "resume"), ("s2c", "failed"), ("c2s", "resume"), ("s2c", "resumed"))[0] == CONFORMS


OFFER = {"action": "session-initiate", "content": "audio", "ufrag": "u" * 4, "pwd": "p" * 22, "fingerprint": "AB",
         "setup": "actpass", "bundle": "audio video", "stanza": None, "web_socket": None,
         "sctp_port": None}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({}, ""),
        ({"ufrag": "u" * 3}, "a ufrag of less than 4 or a password of less than 22 characters"),
        ({"pwd": "p" * 21}, "a ufrag of less than 4 or a password of less than 22 characters"),
        ({"ufrag": None}, "no ufrag or password"),
        ({"pwd": None}, "no ufrag or password"),
        ({"fingerprint": None}, "no fingerprint"),
        ({"fingerprint": None, "ufrag": None}, "no transport is described"),
        ({"setup": "active"}, "setup active in an offer"),
        ({"setup": None}, ""),
    ],
)
def test_what_an_offer_needs(changed: dict[str, Any], fault: str) -> None:
    some = rows({"action": "session-initiate"})
    made = scope(TALKING, tables={"jingle": rows(OFFER | changed), "candidates": some})
    one = signaling.invited(pd.DataFrame(), made)
    assert verdict(one) == (DEVIATES, fault) if fault else one.verdict.value == CONFORMS
    assert one.frames == (3,)


def test_one_bundle_has_one_transport_and_a_bridge_s_offer_candidates() -> None:
    def found(
        other: str, bundle: str | None = "audio video", kind: str = "jvb", action: str = "session-initiate"
    ) -> str:
        jingle = rows(OFFER | {"bundle": bundle}, OFFER | {"ufrag": other, "bundle": bundle})
        tables = {"jingle": jingle, "candidates": rows({"action": action})}
        return signaling.invited(pd.DataFrame(), scope(TALKING, kind=kind, tables=tables)).note

    assert found("u" * 4).startswith("offers audio")
    assert found("v" * 4) == "2 ufrags in one bundle"
    assert found("v" * 4, bundle=None).startswith("offers audio")
    assert found("u" * 4, action="transport-info") == "no candidate"
    assert found("u" * 4, action="transport-info", kind="p2p").startswith("offers audio")


REPLY_WAIT = limits.ALLOCATION_REPLY.value


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, DEVIATES),
        ({"others": {"cd34": (1.0, 0.99 + REPLY_WAIT)}}, UNOBSERVED),
        ({"others": {"cd34": (1.0, 1.0 + REPLY_WAIT)}}, DEVIATES),
        ({"others": {}}, BESIDE),
        ({"focus": 0}, UNOBSERVED),
        ({"joined": 0}, BESIDE),
        ({"joined": 0, "opened": 0}, UNOBSERVED),
        ({"opened": 0}, UNOBSERVED),
        ({"bridge_missing": [44], "opened": 0}, DEVIATES),
    ],
)
def test_two_in_a_room_are_invited(changed: dict[str, Any], found: str) -> None:
    stream = whole(**{"joined": 2, "joined_at": 1.0, "focus": 3, "others": {"cd34": (1.0, 50.0)}} | changed)
    one = signaling.invited(pd.DataFrame(), scope(kind="", stream=stream))
    assert one.verdict.value == found
    if "bridge_missing" in changed:
        assert verdict(one) == (DEVIATES, "the focus has no bridge")


@pytest.mark.parametrize(
    ("changed", "found", "note"),
    [({}, CONFORMS, "setup active, 1.50 s after the offer"), ({"setup": "passive"}, CONFORMS, "setup passive, 1.50 s"),
     ({"setup": "actpass"}, DEVIATES, "the answer says setup actpass"), ({"setup": None}, CONFORMS, "setup not given"),
     ({"fingerprint": None}, DEVIATES, "no fingerprint in the answer"), ({"seconds": 8.0}, CONFORMS, "setup active"),
     ({"action": "session-info"}, UNOBSERVED, "no answer in the capture")],
)  # fmt: skip
def test_what_an_answer_needs(changed: dict[str, Any], found: str, note: str) -> None:
    answer = {"action": "session-accept", "setup": "active", "fingerprint": "AB", "seconds": 10.5}
    one = signaling.accepted(rows(answer | changed), scope=scope(TALKING))
    assert one.verdict.value == found
    assert one.note.startswith(note)


def test_no_candidates_come_from_whoever_ended_the_session() -> None:
    def found(*told: tuple[str, bool], kind: str = "p2p") -> tuple[str, str]:
        jingle = rows(*({"action": action, "outgoing": out} for action, out in told))
        return verdict(signaling.trickled(jingle, scope=scope(TALKING, kind=kind)))

    assert found(("transport-info", True), ("transport-info", False))[1] == "1 transport-info out, 1 in"
    assert found(("session-terminate", True), ("transport-info", True))[0] == DEVIATES
    assert found(("session-terminate", True), ("transport-info", False))[0] == CONFORMS  # it was under way
    assert found(("transport-info", True), ("session-terminate", True))[0] == CONFORMS
    assert found(("session-accept", True))[0] == UNOBSERVED
    assert found(("session-accept", True), kind="jvb") == (CONFORMS, "no candidates but those of the offer")
    assert found(("transport-info", True), kind="jvb") == (CONFORMS, "1 transport-info")


def test_what_is_sent_was_announced() -> None:
    def found(ssrc: int = 1, down: int = 2, action: str = "session-accept", **more: Any) -> tuple[str, str]:
        streams = rows(
            {"outgoing": True, "ssrc": ssrc, "first_frame": 30}, {"outgoing": False, "ssrc": down, "first_frame": 31}
        )
        sources = rows(
            {"origin": "jingle", "owner": "ab12", "ssrc": 1}, {"origin": "bridge", "owner": "cd34", "ssrc": 2}
        )
        stream = whole(TALKING, **{"endpoint": "ab12"} | more)
        made = scope(TALKING, stream=stream, tables={"jingle": rows({"action": action})})
        return verdict(signaling.announced(streams.astype({"outgoing": bool}), sources, scope=made))

    assert found() == (CONFORMS, "1 streams sent, all announced")
    assert found(ssrc=9) == (DEVIATES, "SSRC 9 was never announced")
    assert found(ssrc=2)[0] == DEVIATES  # another's
    assert found(ssrc=9, opened=0)[0] == CONFORMS
    assert found(ssrc=9, action="content-modify")[0] == CONFORMS
    assert found(down=5)[1].endswith("; 1 streams of the bridge that nothing names")
    assert found(endpoint="cd34")[0] == UNOBSERVED


@pytest.mark.parametrize(
    ("own", "peer", "outgoing", "found"),
    [("aa", "bb", True, CONFORMS), ("aa", "bb", False, DEVIATES), ("bb", "aa", True, DEVIATES),
     ("bb", "aa", False, CONFORMS), ("", "bb", True, UNOBSERVED), ("aa", "", True, UNOBSERVED)],
)  # fmt: skip
def test_the_smaller_id_offers_to_the_larger(own: str, peer: str, outgoing: bool, found: str) -> None:
    session = Session("s", "p2p", offered=3, accepted=4, peer=peer)
    jingle = rows({"action": "session-initiate", "outgoing": outgoing})
    made = scope(session, kind="p2p", stream=whole(session, endpoint=own))
    assert signaling.peer_to_peer(jingle, scope=made).verdict.value == found


def test_nothing_is_said_to_a_room_after_leaving_it() -> None:
    speech = ("c2s", "<message xmlns='jabber:client' to='r@muc.lab' type='groupchat'/>")
    gone = ("c2s", "<presence xmlns='jabber:client' to='r@muc.lab/ab12' type='unavailable'/>")

    def found(*texts: tuple[str, str], **more: Any) -> tuple[str, str]:
        stream = whole(**{"left": 2, "room": "r@muc.lab"} | more)
        return verdict(media.gone(scope(stream=stream, tables={"xmpp": said(*texts)}), stream))

    assert found(speech, gone) == (CONFORMS, "unavailable")
    assert found(speech, gone, closed=3) == (CONFORMS, "unavailable, and the stream is closed")
    assert found(speech, gone, speech) == (DEVIATES, "it speaks to the room after leaving it")
    assert found(speech, gone, ("s2c", speech[1]))[0] == CONFORMS
    assert found(speech, gone, (speech[0], speech[1].replace("r@", "s@")))[0] == CONFORMS
    assert found(speech, gone, gone)[0] == CONFORMS
    assert found(speech, gone, JOIN, speech)[0] == CONFORMS  # it came back
    assert found(speech, gone, speech, JOIN)[0] == DEVIATES
    assert found(speech, left=0)[0] == BESIDE
    assert found(speech, left=0, opened=0)[0] == UNOBSERVED
