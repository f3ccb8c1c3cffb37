"""What is read of a long capture in pieces is what all of it at once shows; parts of tables are what the tables say."""

import numpy as np
import pandas as pd
import pytest

import jitsilab as jl
from jitsilab.inputs.packets import PacketTables
from jitsilab.tables import PARTS, part
from jitsilab.wire import flows, streams
from jitsilab.wire.decrypt.records import Record, Records


def opened(name: str) -> PacketTables:
    return jl.load(name, point="eth0").packets[0]


def test_labels_and_streams_do_not_depend_on_how_many_flows_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, pieces = opened("jvb-3"), opened("jvb-3")
    assert whole.wire is not None
    assert pieces.wire is not None
    media = whole.table("media")
    monkeypatch.setattr(flows, "TOGETHER", 300)
    wanted = pieces.wire.flows.of_frame >= 0
    ranges = list(pieces.wire.flows.ranges(wanted))
    assert len(ranges) > 3
    assert [low for low, _, _ in ranges[1:]] == [high for _, high, _ in ranges[:-1]]
    assert (ranges[0][0], ranges[-1][1]) == (0, len(pieces.wire.flows))
    assert np.sort(np.concatenate([rows for _, _, rows in ranges])).tolist() == np.flatnonzero(wanted).tolist()
    assert (pieces.wire.labels == whole.wire.labels).all()
    assert (pieces.wire.flows.retransmitted == whole.wire.flows.retransmitted).all()
    for flow, other in zip(pieces.wire.flows, whole.wire.flows, strict=True):
        for up in (True, False):
            assert flow.stream(up).pieces == other.stream(up).pieces
    pd.testing.assert_frame_equal(pieces.table("media"), media)


def test_a_stream_that_was_let_go_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEPT", 0)
    wire = opened("jvb-3").wire
    assert wire is not None
    first = {(flow.number, up): flow.stream(up).pieces for flow in wire.flows for up in (True, False)}
    held = next(iter(wire.flows)).stream(True)._recent._held
    assert len(held) <= 2
    assert sum(len(piece.data) for pieces in first.values() for piece in pieces) > 10_000
    for (number, up), pieces in first.items():
        assert wire.flows.stream(number, up).pieces == pieces


def test_records_are_the_same_as_objects_and_as_columns() -> None:
    wire = opened("jvb-3").wire
    assert wire is not None
    session = max(wire.sessions.values(), key=lambda one: len(one.records))
    records = session.records
    every = list(records)
    assert isinstance(records, Records)
    assert len(every) == len(records) > 20
    assert all(isinstance(one, Record) for one in every)
    assert [records[place] for place in range(len(records))] == every
    assert records[-1] == every[-1]
    assert records[2:5] == every[2:5]
    assert any(one.messages for one in every)
    assert [one.frame for one in every] == records.headers["frame"].tolist()
    with pytest.raises(IndexError):
        records[len(records)]


@pytest.mark.parametrize("name", sorted(PARTS))
def test_a_part_says_what_its_table_says(name: str) -> None:
    source = opened("jvb-3")
    some, whole = part(source, name), source.table(PARTS[name])
    assert some is not None
    assert whole is not None
    frames = whole
    if name == "icmp":
        whole = whole[whole["protocol"].isin(["ICMP", "ICMPv6"])].reset_index(drop=True)
    if name == "bounds":
        whole = whole.iloc[[0, -1]].reset_index(drop=True)
    if name == "cut":
        whole = whole[whole["captured_length"] < whole["length"]].reset_index(drop=True)
    if name == "ends":
        some, whole = (
            one[["src", "dst"]].drop_duplicates().sort_values(["src", "dst"], ignore_index=True)
            for one in (some, whole)
        )
    assert len(some) == len(whole)
    for column in some:
        mine, theirs = some[column], whole[column]
        assert mine.isna().tolist() == theirs.isna().tolist()
        assert mine.dropna().tolist() == theirs.dropna().tolist(), column
    assert part({PARTS[name]: frames}, name) is frames  # of a print, or of several captures
    assert part({}, name) is None
