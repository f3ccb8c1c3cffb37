"""Security checks at their limits: tables of a few rows, where one value more or less turns the answer."""

import dataclasses
import datetime
from typing import Any

import pandas as pd
import pytest
from test_findings import result_of

from jitsilab.call import Call
from jitsilab.facts import Given, load
from jitsilab.judge import findings
from jitsilab.judge.findings import surface
from jitsilab.judge.findings.accepted import Accepted
from jitsilab.judge.findings.rule import View

PWD, UFRAG = "p" * 22, "u" * 4


def judged(check: str, **tables: pd.DataFrame) -> tuple[str, str]:
    result, outcome = result_of(check, Call("made", tables=tables), None)
    return result, outcome.note


def jingle(*rows: tuple[str, str, str], **more: Any) -> pd.DataFrame:
    """Rows of session, user fragment and password."""
    table = pd.DataFrame(rows, columns=["sid", "ufrag", "pwd"]).assign(**more)
    return table.assign(frame=range(1, len(table) + 1))


@pytest.mark.parametrize(
    ("rows", "result"),
    [
        ([("a", UFRAG, PWD)], "PASS"),  # RFC 8839 section 5.4: 4 and 22 characters at least
        ([("a", UFRAG, PWD[1:])], "FAIL"),
        ([("a", UFRAG[1:], PWD)], "FAIL"),
        ([("a", UFRAG, PWD), ("b", "other", PWD)], "FAIL"),
        ([("a", UFRAG, PWD), ("b", UFRAG, "q" * 22)], "FAIL"),
        ([("a", UFRAG, PWD), ("a", UFRAG, PWD)], "PASS"),
        ([("a", UFRAG, PWD), ("b", "other", "q" * 22)], "PASS"),
        ([("a", UFRAG, None)], "NOT_OBSERVABLE"),
    ],
)
def test_credentials_of_ice_are_long_and_of_one_session(rows: list[tuple[str, str, str]], result: str) -> None:
    assert judged("SEC-23", jingle=jingle(*rows))[0] == result


@pytest.mark.parametrize(
    ("names", "method", "result"),
    [(["uuuu:vvvv"], "Binding", "NOT_OBSERVABLE"), (["uuu:vvvv"], "Binding", "FAIL"), (["uuuu:vvv"], "Binding", "FAIL"),
     (["uuu:vvvv"], "Allocate", "NOT_OBSERVABLE"), ([None], "Binding", "NOT_OBSERVABLE")],
)  # fmt: skip
def test_without_signaling_user_fragments_alone_are_seen(names: list[str], method: str, result: str) -> None:
    stun = pd.DataFrame({"username": names, "method": method, "frame": 3})
    assert judged("SEC-23", stun=stun)[0] == result


@pytest.mark.parametrize(
    ("target", "url", "result", "severe"),
    [
        ("/colibri-ws/b/c/e?pwd=***", "wss://m.example/colibri-ws/b/c/e?pwd=" + PWD, "FAIL", True),
        ("/colibri-ws/b/c/e?pwd=***", "wss://m.example/colibri-ws/b/c/e?pwd=other", "FAIL", False),
        ("/colibri-ws/b/c/e?pwd=***", None, "FAIL", False),
        ("/colibri-ws/b/c/e", None, "PASS", False),
    ],
)
def test_the_password_of_a_channel_may_be_that_of_ice(target: str, url: str | None, result: str, severe: bool) -> None:
    http = pd.DataFrame({"target": [target], "frame": [9], "up": [True]})
    said, note = judged("SEC-38", http=http, jingle=jingle(("a", UFRAG, PWD), web_socket=[url]))
    assert (said, "it is the ICE password too" in note) == (result, severe)
    alone, note = judged("SEC-38", http=http)
    assert (alone, "ICE password" in note) == (result, False)


def xmpp(*texts: str) -> pd.DataFrame:
    """Stanzas from the server to a client."""
    count = len(texts)
    return pd.DataFrame(
        {"frame": range(1, count + 1), "seconds": 1.0, "connection": 0, "direction": "s2c", "carrier": "ws",
         "clear": False, "src": "203.0.113.10", "dst": "198.51.100.20", "xml": texts}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("identity", "result"),
    [("category='server' type='release' name='8719'", "INFO"), ("category='server' type='region' name='eu-1'", ""),
     ("category='server' type='release' name='stable'", "")],
)  # fmt: skip
def test_a_release_that_the_server_tells(identity: str, result: str) -> None:
    text = "<iq xmlns='jabber:client' type='result' from='m'><query xmlns='http://jabber.org/protocol/disco#info'>"
    said, note = judged("SEC-15", xmpp=xmpp(f"{text}<identity {identity}/></query></iq>"))
    assert (said == "INFO", "release 8719" in note) == (bool(result), bool(result))


@pytest.mark.parametrize(
    ("row", "result"),
    [({}, "FAIL"), ({"transport": "udp"}, "NOT_OBSERVABLE"), ({"handshake": False}, "NOT_OBSERVABLE"),
     ({"server_port": 5348}, "NOT_OBSERVABLE"), ({"client": "127.0.0.1"}, "NOT_OBSERVABLE"),
     ({"client": "172.31.0.5"}, "NOT_OBSERVABLE")],
)  # fmt: skip
def test_a_component_that_connects_from_outside(row: dict[str, Any], result: str) -> None:
    usual = {"flow": 1, "server_port": 5347, "client_port": 4000, "transport": "tcp", "handshake": True,
             "first_frame": 3, "client": "198.51.100.20", "server": "172.31.0.5"}  # fmt: skip
    assert judged("SEC-08", flows=pd.DataFrame([usual | row]))[0] == result


@pytest.mark.parametrize(
    ("path", "more", "result"),
    [("/http-bind?room=a", {}, "FAIL"), ("/sub/xmpp-websocket", {}, "FAIL"), ("/images/a.svg", {}, "NOT_OBSERVABLE"),
     ("/http-bind?room=a", {"clear": False}, "NOT_OBSERVABLE"), ("/http-bind", {"clear": None}, "NOT_OBSERVABLE"),
     ("/http-bind", {"src": "127.0.0.1", "dst": "127.0.0.1"}, "NOT_OBSERVABLE")],
)  # fmt: skip
def test_signaling_without_tls(path: str, more: dict[str, Any], result: str) -> None:
    row = {"target": path, "clear": True, "frame": 5, "src": "198.51.100.20", "dst": "203.0.113.10", "up": True}
    assert judged("SEC-07", http=pd.DataFrame([row | more]))[0] == result


def test_a_part_of_the_configuration_of_turn_is_not_its_default() -> None:
    peers = b"denied-peer-ip=10.0.0.0-10.255.255.255\n"
    result, outcome = result_of("SEC-16", None, load(Given("turn-extra.conf", peers)))
    assert (result, outcome.places) == ("NOT_OBSERVABLE", ("turn-extra.conf",))
    assert outcome.note.endswith("; turn-extra.conf is a piece of a configuration")
    assert result_of("SEC-16", None, load(Given("turnserver.conf", peers)))[0] == "FAIL"


def test_names_that_nginx_serves_are_asked_for_and_its_marks_are_none() -> None:
    site = b"server {\n listen 443 ssl;\n server_name _ *.example.org meet.example.org localhost;\n}\n"
    assert list(surface._names_asked(View(None, load(Given("nginx.conf", site))))) == ["meet.example.org"]


@pytest.mark.parametrize(
    ("asked", "begun", "result"),
    [(True, True, "INFO"), (False, True, "NOT_APPLICABLE"), (True, False, "NOT_APPLICABLE")],
)
def test_a_handshake_is_judged_where_checks_ran_and_its_beginning_was_seen(
    asked: bool, begun: bool, result: str
) -> None:
    dtls = pd.DataFrame(
        {
            "frame": [6, 7],
            "flow": 1,
            "depth": 0,
            "seconds": [6.0, 6.1],
            "handshake_type": ["client_hello", "server_hello"],
        }
    )
    stun = pd.DataFrame(
        {"frame": [3, 4], "flow": 1 if asked else 2, "depth": 0, "seconds": [5.0, 5.1], "method": "Binding",
         "message_class": ["request", "success"]}
    )  # fmt: skip
    flows = pd.DataFrame(
        {"flow": [1], "first_frame": [3 if begun else 1], "first_seconds": [5.0], "handshake": [False], "gaps": [0]}
    )
    assert judged("SEC-33", dtls=dtls, stun=stun, flows=flows)[0] == result


def test_a_risk_that_was_taken_is_told_so() -> None:
    found = findings.audit(None, load(Given("turnserver.conf", b"no-auth\n")))
    [one] = [one for one in found if one.result == "FAIL" and one.id == "SEC-16"]
    taken = findings.accept([one], [Accepted("SEC-16", datetime.date(2026, 11, 29), "it is a lab")])
    assert "SEC-16  FAIL (critical) taken" in findings.to_text(taken, verbose=True)
    assert "SEC-16  FAIL (critical)  " in findings.to_text([one], verbose=True)


@pytest.mark.parametrize(
    ("kind", "software", "told"),
    [("success", "restund 0.4.12", True), ("error", "restund 0.4.12", True),
     ("request", "ice4j-3.2.1", False), ("success", "None", False)],
)  # fmt: skip
def test_a_version_is_told_by_servers_not_by_those_who_ask(kind: str, software: str, told: bool) -> None:
    stun = pd.DataFrame({"message_class": [kind], "software": [software], "frame": [3]})
    _, note = judged("SEC-15", stun=stun)
    assert (software in note) is told


def test_how_sure_a_finding_is_is_said_unless_it_was_measured() -> None:
    found = findings.audit(None, load(Given("turnserver.conf", b"no-auth\n")))
    assert "; measured" not in findings.to_text(found, verbose=True)
    [one] = [one for one in found if one.id == "SEC-16"]
    doubted = dataclasses.replace(one, certainty="deduced")
    assert "turnserver.conf:1; deduced]" in findings.to_text([doubted], verbose=True)
