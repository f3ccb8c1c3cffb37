"""Security checks at their limits: tables of a few rows, where one value more or less turns the answer."""

from typing import Any

import pandas as pd
import pytest
from test_findings import result_of

from jitsilab.call import Call

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
