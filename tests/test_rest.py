# ruff: noqa: E501 - lines of programs stay whole
"""Answers of bridge and focus, of 2026 and of June 2021, from the recordings; and pasted descriptions."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest
from made_delivery import Memory, best, from_file, tables

from jitsilab.inputs import browser, pasted, rest

RECORDINGS = Path(os.environ.get("JITSILAB_DATA", "/nowhere")) / "recordings"
needs = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="JITSILAB_DATA names no folder with recordings")
KINDS = (*browser.KINDS, *rest.KINDS, *pasted.KINDS)
ALARM = {"health-failed", "login-missing", "room-missing", "ice-failed", "channel-missing", "relay-failed", "bridge-lost",
         "http-unanswered"}  # fmt: skip


def shown(path: Path) -> pd.DataFrame:
    """Events of an answer, under a name that tells nothing."""
    delivery = from_file(path)
    delivery.input = "x"
    kind = best(KINDS, delivery)
    assert kind == rest.KINDS[0], path
    return tables(kind, delivery)[0]["events"]


@needs
@pytest.mark.parametrize("name", ["world-ok", "two-bridges", "2021-world-ok", "token-ok"])
def test_answers_of_healthy_servers_are_quiet(name: str) -> None:
    said: set[str] = set()
    for path in sorted((RECORDINGS / name / "rest").iterdir()):
        if b"HTTP ERROR 404" in path.read_bytes():
            assert best(KINDS, from_file(path)) is None
            continue
        rows = shown(path)
        assert not ALARM & set(rows["event"]), path
        assert not ((rows["event"] == "sources-announced") & (rows["value"] == "0")).any()
        assert not ((rows["event"] == "bridges-counted") & (rows["detail"] == "0")).any()
        said |= set(rows["event"])
    assert name == "token-ok" or said >= {
        "health-passed",
        "bridges-counted",
        "ice-connected",
        "dtls-done",
        "channel-opened",
    }


SHOWN = [
    ("bridge-unhealthy", "jvb-about-health.txt", "health-failed", "No valid IP addresses available for harvesting."),
    ("bridge-unhealthy", "jvb-debug-full.json", "health-failed", "No valid IP addresses available for harvesting."),
    ("bridge-unhealthy", "jvb-colibri-stats.json", "health-failed", ""),
    ("bridge-unhealthy", "jicofo-stats.json", "bridges-counted", "1"),
    ("bridge-login", "jvb-colibri-stats.json", "login-missing", "0 of 1"),
    ("bridge-login", "jvb-metrics.txt", "login-missing", "0 of 1"),
    ("2021-bridge-login", "jvb-colibri-stats.json", "login-missing", "0 of 1"),
    ("bridge-login", "jicofo-debug-full.json", "bridges-counted", "0"),
    ("bridge-stopped", "index.txt", "http-unanswered", ""),
    ("focus-pkix", "jicofo-debug-full.json", "login-missing", ""),
    ("no-mic", "jicofo-debug-full.json", "sources-announced", "0"),
    ("colibri-403", "jvb-debug-full.json", "channel-missing", ""),
    ("2021-colibri-403", "jvb-debug-full.json", "channel-missing", ""),
    ("addr-stale", "jvb-debug-full.json", "ice-checking", ""),
    ("two-bridges", "jvb2-debug-full.json", "relay-connected", "lab-jvb-1"),
]


@needs
@pytest.mark.parametrize(("name", "file", "event", "value"), SHOWN)
def test_an_answer_shows_what_was_done(name: str, file: str, event: str, value: str) -> None:
    rows = shown(RECORDINGS / name / "rest" / file)
    assert ((rows["event"] == event) & (rows["value"] == value)).any(), rows


@needs
def test_an_answer_cut_short_or_behind_a_command_is_read() -> None:
    data = (RECORDINGS / "bridge-login" / "rest" / "jvb-colibri-stats.json").read_bytes()
    for made in (data[:-300], b"$ curl -s http://127.0.0.1:8080/colibri/stats\n" + data + b"\n$ \n"):
        delivery = Memory(made)
        assert best(KINDS, delivery) == rest.KINDS[0]
        tables(rest.KINDS[0], delivery)


@pytest.mark.parametrize("data", [b'{"focus_manager": 3, "bridge_selector": []}', b'{"conferences": {"a": 1}, "health": 4, "time": "x"}',
                                  b'{"muc_clients_configured": "1", "conferences": {}}', b"jitsi_jvb_healthy x\njitsi_jvb_healthy NaN\n",
                                  b'{"conferences": {"a": {"endpoints": {"b": {"ice_transport": 1}}}}, "load-management": {}}'])  # fmt: skip
def test_hostile_answers(data: bytes) -> None:
    delivery = Memory(data)
    if rest.recognise(delivery):
        tables(rest.KINDS[0], delivery)


@needs
def test_pasted_jingle_and_sdp_say_where_the_bridge_was_offered() -> None:
    folder = RECORDINGS / "addr-container"
    stanzas = [json.loads(line)["xml"] for line in (folder / "stanzas-laptop-a.jsonl").read_text().splitlines()]
    initiate = next(each for each in stanzas if "session-initiate" in each)
    descriptions = [json.loads(line) for line in (folder / "sdp-laptop-a.jsonl").read_text().splitlines()]
    offer = next(each["sdp"] for each in descriptions if each["side"] == "remote" and each["type"] == "offer")
    cut = initiate[: initiate.rindex("<candidate")]
    for text in (initiate, offer, offer.replace("\r\n", "\n"), cut):
        delivery = Memory(text)
        assert best(KINDS, delivery) == pasted.KINDS[0]
        rows = tables(pasted.KINDS[0], delivery)[0]["events"]
        assert "172.18.0.1" in set(rows["value"][rows["event"] == "candidate-offered"])
        assert "candidate-gathered" not in set(rows["event"])


def test_pasted_xml_of_colibri_and_hostile_pastes() -> None:
    text = "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'><candidate ip='10.0.0.5' port='10000' type='host' protocol='udp'/>"
    rows = tables(pasted.KINDS[0], Memory(text))[0]["events"]
    assert rows[["event", "value", "detail"]].to_numpy().tolist() == [["candidate-offered", "10.0.0.5", "10000 host"]]
    for hostile in ("<jingle " * 50_000, "v=0\n" * 20_000, "<candidate ip='" * 10_000, "a=candidate:\n" * 9000):
        tables(pasted.KINDS[0], Memory(hostile))
