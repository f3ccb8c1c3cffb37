"""The tables of what was negotiated, from the clients' own logs and from a capture of the same call."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from captures import captured
from logged import bridge_table, lines, stanzas, xmpp_table

import jitsilab as jl
from jitsilab.tables import COMMON
from jitsilab.tables.jingle import BUILD, SCHEMAS, Rows, jingle_rows

NAMES = list(SCHEMAS)


@pytest.fixture(scope="module")
def rows(recording: Callable[[str], Path]) -> Callable[[str], Rows]:
    made: dict[str, Rows] = {}

    def get(name: str) -> Rows:
        if name not in made:
            folder = recording(name)
            made[name] = jingle_rows(xmpp_table(folder), bridge_table(folder))
        return made[name]

    return get


def test_a_row_a_content_with_the_documented_types(rows: Callable[[str], Rows]) -> None:
    made = rows("jvb-3")
    for name in NAMES:
        table = getattr(made, name)
        assert list(table.columns) == list(SCHEMAS[name])
        assert len(table)
        for column, (dtype, _) in SCHEMAS[name].items():
            assert str(table[column].dtype) == dtype, (name, column)
        words = table.select_dtypes("str")
        assert not (words == "").to_numpy().any()
    assert made.problems == []
    offers = made.jingle[made.jingle["action"] == "session-initiate"]
    assert list(offers["content"]) == ["audio", "video", "data"] * 3
    assert set(offers["session"]) == {"jvb"}
    assert set(offers["endpoint"]) == {"jvb"}
    assert set(offers["setup"]) == {"actpass"}
    assert offers["web_socket"].str.startswith("wss://").all()
    assert list(offers["sctp_port"].dropna()) == [5000] * 3


def test_the_answer_is_its_sender_s_although_it_names_none(rows: Callable[[str], Rows]) -> None:
    answers = rows("jvb-3").jingle.query("action == 'session-accept'")
    assert answers["from"].isna().all()
    assert answers.groupby("endpoint")["ufrag"].nunique().tolist() == [1, 1, 1]
    assert set(answers["endpoint"]) == set(answers["responder"].str[:8])  # a guest's JID begins with the endpoint id


def test_p2p_sessions_have_their_candidates(rows: Callable[[str], Rows], recording: Callable[[str], Path]) -> None:
    made = rows("jvb-p2p-3")
    assert set(made.jingle["session"]) == {"p2p", "jvb"}
    assert set(made.jingle[made.jingle["action"] == "session-terminate"]["session"]) == {"p2p"}
    logged = [text for _, _, text in stanzas(recording("jvb-p2p-3")) if "transport-info" in text]
    wanted = sorted(re.findall(r'<\S*candidate[^>]*\bip="([^"]+)"', " ".join(logged)))
    p2p = made.candidates[made.candidates["session"] == "p2p"]
    assert sorted(p2p["address"]) == wanted
    assert set(p2p["type"]) == {"host", "srflx", "relay"}
    assert set(p2p.loc[p2p["protocol"] == "tcp", "tcptype"]) == {"active"}
    bridge = made.candidates[made.candidates["session"] == "jvb"]
    assert set(bridge["endpoint"]) == {"jvb"}
    assert set(bridge["port"]) == {10000}


def test_the_sources_that_a_browser_sent_have_their_owner(
    rows: Callable[[str], Rows], recording: Callable[[str], Path]
) -> None:
    sources = rows("jvb-mute").sources
    owners = sources.dropna(subset=["ssrc"]).groupby("ssrc")["owner"].first()
    seen = 0
    for log in recording("jvb-mute").glob("stats-*.json"):
        for connection in json.loads(log.read_text())["connections"]:
            for stream in connection["rtp"]:
                if stream["dir"] == "outbound":
                    assert re.fullmatch("[0-9a-f]{8}", owners[stream["ssrc"]])
                    seen += 1
    assert seen >= 4


def test_a_source_map_names_what_the_receiver_gets(
    rows: Callable[[str], Rows], recording: Callable[[str], Path]
) -> None:
    told = rows("jvb-3").sources.query("origin == 'bridge'")
    wanted = set()
    for line in lines(recording("jvb-3"), "bridge", "json"):
        for entry in json.loads(line.text).get("mappedSources", []):
            wanted |= {(entry["ssrc"], entry["owner"], entry["source"])}
            wanted |= {(entry["rtx"], entry["owner"], entry["source"])} if "rtx" in entry else set()
    assert set(zip(told["ssrc"], told["owner"], told["name"], strict=True)) == wanted
    assert (told["receiver"] != told["owner"]).all()
    assert told.query("kind == 'video'")["group"].str.startswith("FID:").all()


def test_presence_names_sources_and_mutes_them(rows: Callable[[str], Rows]) -> None:
    told = rows("jvb-mute").sources.query("origin == 'presence'")
    assert told["ssrc"].isna().all()
    assert set(told.groupby("kind")["muted"].any().index) == {"audio", "video"}
    assert told["muted"].any()
    assert not told["muted"].all()


def test_groups_of_an_answer(rows: Callable[[str], Rows]) -> None:
    video = rows("jvb-3").sources.query("origin == 'jingle' and kind == 'video' and owner != 'jvb'")
    for _, one in video.groupby("owner"):
        assert one["group"].str.contains("SIM:").sum() == 3
        assert one["group"].str.contains("FID:").sum() == 6


@pytest.mark.parametrize("name", ["jvb-p2p-3", "jvb-bosh"])
def test_a_capture_gives_what_the_logs_give(
    recording: Callable[[str], Path], rows: Callable[[str], Rows], name: str
) -> None:
    folder = recording(name)
    call = captured(folder)
    for table in NAMES:
        ours, logged = call.table(table), getattr(rows(name), table)
        assert ours is not None
        skipped = {*COMMON, "stanza"}
        columns = [column for column in SCHEMAS[table] if column not in skipped]

        def said(frame: pd.DataFrame, columns: list[str] = columns) -> set[tuple[str, ...]]:
            return {tuple(map(str, row)) for row in frame[columns].itertuples(index=False)}

        # a page that closes misses its last frames
        assert said(logged) <= said(ours), table
    assert ours is not None
    assert ours["frame"].min() > 0


def test_a_row_of_the_table_xmpp_becomes_sdp(recording: Callable[[str], Path]) -> None:
    table = xmpp_table(recording("jvb-2"))
    offers = table[table["xml"].str.contains("session-initiate")]
    assert jl.jingle.to_sdp(offers.iloc[0]) == jl.jingle.to_sdp(offers["xml"].iloc[0])
    assert jl.jingle.to_sdp(next(offers.itertuples())).count("\r\nm=") == 3


def test_no_stanza_no_row() -> None:
    empty = xmpp_table(Path("nowhere"))
    columns = [*COMMON, "name", "from", "to", "type", "direction", "connection", "xml"]
    made = jingle_rows(pd.DataFrame(columns=columns) if empty.empty else empty)
    assert all(getattr(made, name).empty for name in NAMES)
    assert set(BUILD) == set(NAMES)


def test_what_cannot_be_read_is_a_problem_of_its_frame(recording: Callable[[str], Path]) -> None:
    table = xmpp_table(recording("jvb-2"))
    offer = table.index[table["xml"].str.contains("session-initiate")][0]
    table.loc[offer, "xml"] = table.loc[offer, "xml"].replace("{", "[", 1)
    answer = table.index[table["xml"].str.contains("session-accept")][0]
    table.loc[answer, "xml"] = "<!DOCTYPE iq><iq><jingle xmlns='urn:xmpp:jingle:1'/></iq>"
    problems = jingle_rows(table).problems
    assert [(p.frame, p.protocol) for p in problems] == [(offer + 1, "jingle"), (answer + 1, "jingle")]
    pwd = re.search(r'pwd="([^"]+)"', table.loc[offer, "xml"])
    assert pwd is not None
    assert not any(pwd[1] in p.message for p in problems)
