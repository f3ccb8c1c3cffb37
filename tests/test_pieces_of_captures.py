"""What is read of a long capture in pieces is what all of it at once shows; parts of tables are what the tables say."""

import errno
import gc
import io
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from by_night import thinned
from hypothesis import given
from hypothesis import strategies as st

import jitsilab as jl
from jitsilab import cli
from jitsilab.commands import table as table_command
from jitsilab.inputs import packets, registry
from jitsilab.inputs.packets import WIRE_TABLES, PacketTables
from jitsilab.pcap import columns, cores, duplicates, shelf
from jitsilab.protocols import rtp
from jitsilab.tables import PARTS, catalogue, media, part, rtp_extensions, stun, write_parquet
from jitsilab.tables import frames as tables_of_frames
from jitsilab.wire import decrypt, flows, streams, units
from jitsilab.wire.decrypt import records
from jitsilab.wire.decrypt.records import Record, Records


def opened(name: str) -> PacketTables:
    return jl.load(name, point="eth0").packets[0]


def test_labels_and_streams_do_not_depend_on_how_many_flows_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, pieces = opened("jvb-3"), opened("jvb-3")
    assert whole.wire is not None
    assert pieces.wire is not None
    media = whole.table("media")
    monkeypatch.setattr(flows, "TOGETHER", 300)
    wanted = (pieces.wire.packets.payload_length > 0) & (pieces.wire.flows.of_frame >= 0)
    ranges = list(pieces.wire.flows.ranges(lambda rows: wanted[rows]))
    assert len(ranges) > 3
    assert all((np.diff(rows) > 0).all() for _, _, rows in ranges), "not in order"
    assert [low for low, _, _ in ranges[1:]] == [high for _, high, _ in ranges[:-1]]
    assert (ranges[0][0], ranges[-1][1]) == (0, len(pieces.wire.flows))
    assert np.sort(np.concatenate([rows for _, _, rows in ranges])).tolist() == np.flatnonzero(wanted).tolist()
    assert (pieces.wire.labels == whole.wire.labels).all()
    assert (pieces.wire.flows.retransmitted == whole.wire.flows.retransmitted).all()
    for flow, other in zip(pieces.wire.flows, whole.wire.flows, strict=True):
        for up in (True, False):
            assert flow.stream(up).pieces == other.stream(up).pieces
    pd.testing.assert_frame_equal(pieces.table("media"), media)


def small(patch: pytest.MonkeyPatch) -> None:
    """As if a recording were a capture of millions of frames."""
    gc.collect()
    patch.setattr(columns, "MAPPED", len(columns._mapped) + 128)  # what other tests left mapped counts
    for module, name, value in (
        (columns, "SLICE", 97), (columns, "HELD", 500), (flows, "TOGETHER", 300), (duplicates, "_SORTED", 150),
        (columns, "_PART", 61), (columns, "_BUFFER", 300), (streams, "KEPT", 0), (streams, "FRAMES", 71),
        (media, "PART", 53), (units, "PART", 67), (records, "PART", 59), (stun, "PART", 73),
        (shelf, "HELD", 500), (decrypt, "WORTH", 0), (decrypt, "LARGE", 1 << 16), (decrypt, "processes", lambda: 3),
    ):  # fmt: skip
        patch.setattr(module, name, value)


CAPTURES = [(one.name, point) for one in registry.entries() for point in one.points]


@pytest.mark.parametrize(("name", "point"), thinned(CAPTURES, every=16))
def test_pieces_answer_as_the_whole(name: str, point: str) -> None:
    whole = answers(jl.load(name, point=point))
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        pieces = jl.load(name, point=point)
        assert isinstance(pieces.packets[0].wire.packets.time.base, memoryview)  # of a file
        assert_same(answers(pieces), whole)


def test_two_calls_in_one_capture_answer_in_pieces_as_in_whole(
    recording: Callable[[str], Path], tmp_path: Path
) -> None:
    sections = [recording(name) / "capture-any.pcapng" for name in ("jvb-3", "turn-refused")]
    both = tmp_path / "both.pcapng"
    both.write_bytes(b"".join(section.read_bytes() for section in sections))
    whole = answers(jl.load(both))
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        assert_same(answers(jl.load(both)), whole)


@pytest.mark.parametrize("name", thinned(["turn-refused", "udp-closed", "jvb-3", "symmetric"], every=4))
def test_what_is_shared_of_pieces_is_what_is_shared_of_the_whole(
    name: str, recording: Callable[[str], Path], tmp_path: Path
) -> None:
    where = recording(name)
    given = ["share", str(where / "capture-eth0.pcapng"), "--keylog", str(where / "keys.txt"), "--key", "k", "-o"]
    assert cli.main([*given, str(tmp_path / "whole.pcapng")]) == 0
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        assert cli.main([*given, str(tmp_path / "pieces.pcapng")]) == 0
    assert (tmp_path / "pieces.pcapng").read_bytes() == (tmp_path / "whole.pcapng").read_bytes()


def answers(call: jl.Call) -> dict[str, Any]:
    """Every table, and the answer; made when this is called, and not when the next one is compared."""
    return {**{table: call.packets[0].table(table) for table in WIRE_TABLES}, "diagnosis": call.diagnosis.to_json()}


def assert_same(pieces: dict[str, Any], whole: dict[str, Any]) -> None:
    for name, theirs in whole.items():
        if isinstance(theirs, pd.DataFrame):
            pd.testing.assert_frame_equal(pieces[name], theirs)
        else:
            assert pieces[name] == theirs


@pytest.mark.parametrize("full", ["no file", "at once", "later"])
def test_where_a_disk_has_no_room_columns_stay_in_memory(full: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "HELD", 80)
    written = []

    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            written.append(len(data))
            if full == "at once" or len(written) > 2:
                raise OSError(errno.ENOSPC, "no space left")
            return super().write(data)

    def opened(**_: Any) -> Full:
        if full == "no file":
            raise OSError(errno.EMFILE, "too many open files")
        return Full()

    monkeypatch.setattr(columns.tempfile, "TemporaryFile", opened)
    growing = columns.Growing()
    for low in range(0, 100, 7):
        growing.add({"number": np.arange(low, min(low + 7, 100), dtype=np.uint8 if low < 50 else np.int64)})
    assert growing.take("number", np.int64).tolist() == list(range(100))
    assert growing.take("number", np.int64).tolist() == []


@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_pieces_come_in_their_order_whichever_is_ready_first(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "available", lambda: 4)
    seen: set[int] = set()

    def work(piece: int) -> int:
        seen.add(threading.get_ident())
        time.sleep(0.002 * (piece % 3))
        return piece * piece

    assert list(cores.side_by_side(work, iter(range(count)))) == [piece * piece for piece in range(count)]
    assert len(seen) > 1 or count < 100
    assert (threading.get_ident() in seen) == (count == 1)


def test_whoever_is_one_of_many_works_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "available", lambda: 4)
    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(lambda: set(cores.side_by_side(lambda _: threading.get_ident(), range(20)))).result()
    assert len(seen) == 1


def test_what_goes_wrong_in_a_piece_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "available", lambda: 4)
    made = cores.side_by_side(lambda piece: 12 // (7 - piece), range(100))
    assert [next(made) for _ in range(7)] == [1, 2, 2, 3, 4, 6, 12]
    with pytest.raises(ZeroDivisionError):
        next(made)


def test_files_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "HELD", 80)
    before = len(columns._mapped)
    monkeypatch.setattr(columns, "MAPPED", before + 2)
    made = [columns.laid(np.arange(100)) for _ in range(5)]
    assert len(columns._mapped) == before + 2
    assert all(column.tolist() == list(range(100)) for column in made)
    assert [isinstance(column.base, memoryview) for column in made] == [True, True, False, False, False]


def test_a_column_widens_in_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "HELD", 80)
    growing = columns.Growing()
    for values in (list(range(100)), [], [1 << 40], list(range(5))):
        growing.add({"offset": np.array(values, np.int64 if max(values, default=0) > 255 else np.uint8)})
    taken = growing.take("offset", np.uint8)
    assert taken.tolist() == [*range(100), 1 << 40, *range(5)]
    taken[3] = 7
    columns.let_go()
    assert taken[:5].tolist() == [0, 1, 2, 7, 4]


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
        short = whole["captured_length"] < whole["length"]
        whole = whole[short & whole["protocol"].ne("RTP")].reset_index(drop=True)
    if name == "ends":
        some, whole = (
            one[["src", "dst"]].drop_duplicates().sort_values(["src", "dst"], ignore_index=True)
            for one in (some, whole)
        )
    if name == "extended":
        ways = ["flow", "up", "depth", "extensions", "duplicate"]
        assert some.groupby(ways).size().max() == media.FIRST
        whole = whole[whole["extensions"].notna()].groupby(ways).head(media.FIRST)
    if name == "datagrams":
        rows = []
        chosen = whole[whole["protocol"].isin(["UDP", "RTP", "SRTP"]) & whole["flow"].notna()]
        for _, group in chosen.groupby(["flow", "src"]):
            counted = {"last_frame": group["frame"].iloc[-1], "packets": len(group), "length": group["length"].sum()}
            rows.append({**group.iloc[0].to_dict(), **counted})
        whole = pd.DataFrame(rows).sort_values("frame", ignore_index=True)
        assert len(whole) > 3
        assert tables_of_frames.sent(frames)[list(some)].astype(object).equals(some.astype(object))
    if name == "spoken":
        assert some.pop("stands_for").sum() == len(whole) > 2 * len(some)
        left, rows = list(map(str, some.astype(object).to_numpy())), []
        for place, row in enumerate(map(str, whole.astype(object).to_numpy())):
            if left and row == left[0]:
                rows.append(place)
                del left[0]
            else:
                assert whole["method"][place] in ("ChannelData", "Send", "Data")
        whole = whole.iloc[rows].reset_index(drop=True)
    assert len(some) == len(whole)
    for column in some:
        mine, theirs = some[column], whole[column]
        assert mine.isna().tolist() == theirs.isna().tolist()
        assert mine.dropna().tolist() == theirs.dropna().tolist(), column
    assert part({PARTS[name]: frames}, name) is frames  # of a print, or of several captures
    assert part({}, name) is None


@pytest.mark.parametrize("name", sorted({**catalogue.LONG, **catalogue.CHUNKS}))
@pytest.mark.parametrize("recording", ["jvb-3", "turn-refused", "jvb-ipv6"])
def test_chunks_of_a_long_table_are_the_table(recording: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = opened(recording)
    whole, problems = opened(recording).table(name), []
    monkeypatch.setattr(packets, "CHUNK", 97)
    monkeypatch.setattr(stun, "PART", 13)
    chunks = list(source.chunks(name))
    assert len(chunks) > (3 if name == "stun" else 10)
    assert max(map(len, chunks)) <= 97 * (1 if name != "rtp" else 9)  # a frame of a relay may hold several
    pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), whole)
    assert not any(name in source._tables for name in (*catalogue.LONG, *catalogue.CHUNKS)), "kept"
    some = [*whole["frame"][::7], 10**9, 0]
    pd.testing.assert_frame_equal(source.of_frames(name, some), whole[whole["frame"].isin(some)].reset_index(drop=True))
    source.table(name)
    assert len(list(source.chunks(name))) == 1, "made twice"
    assert problems == []


def test_chunks_of_other_tables_are_one_and_of_none_nothing() -> None:
    source = jl.load("jvb-3", point="eth0", use_keylog=False)
    assert [len(rows) for rows in source.chunks("flows")] == [len(source.flows)]
    assert list(source.chunks("jingle")) == []
    assert [len(rows) for rows in source.chunks("steps")] == [len(source.steps)]
    assert source.packets[0].of_frames("jingle", [1]) is None
    both = jl.load(*(registry.find("jvb-3").path(point) for point in ("eth0", "any")))
    frames = pd.concat(both.chunks("frames"), ignore_index=True)
    pd.testing.assert_frame_equal(frames, both.frames)
    assert frames["input"].nunique() == 2


def test_a_table_is_written_in_chunks_as_it_is_written_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = opened("jvb-3").table("rtp")
    monkeypatch.setattr(packets, "CHUNK", 97)
    for form in ("csv", "json", "parquet"):
        assert cli.main(["table", "rtp", "jvb-3", "--point", "eth0", "--to", form, "-o", str(tmp_path / form)]) == 0
    assert len((tmp_path / "csv").read_text().splitlines()) == len(whole) + 1
    one = io.StringIO()
    table_command.write([whole], "csv", one)
    assert (tmp_path / "csv").read_text() == one.getvalue()
    rows = json.loads((tmp_path / "json").read_text())
    assert [row["frame"] for row in rows] == whole["frame"].tolist()
    write_parquet([whole], tmp_path / "whole")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "parquet"), pd.read_parquet(tmp_path / "whole"))
    assert cli.main(["table", "jingle", "jvb-3", "--point", "eth0", "--no-keylog", "--to", "json"]) == 0
    assert capsys.readouterr().out == "[]\n"


@given(st.lists(st.binary(max_size=28), max_size=20))
def test_ids_of_header_extensions_are_those_that_are_read_one_by_one(blocks: list[bytes]) -> None:
    matrix = np.frombuffer(b"".join(block.ljust(28, b"\x21") for block in blocks), np.uint8).reshape(-1, 28)
    ids = rtp_extensions.one_byte_ids(matrix, np.array([len(block) for block in blocks], np.int64))
    wanted = ["1" + "".join(f"{one.id:x}" for one in rtp.elements(rtp.ONE_BYTE, block)) for block in blocks]
    assert [f"{number:x}" for number in ids.tolist()] == wanted
