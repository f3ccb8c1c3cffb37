"""Printed tables: the study's, tshark's own output of a recording, other exports, and files that are neither."""

import contextlib
import csv
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from calls import named
from hypothesis import given, settings
from hypothesis import strategies as st

from jitsilab.call import load
from jitsilab.errors import CaptureError, ParseError
from jitsilab.inputs import prints as published
from jitsilab.inputs import registry
from jitsilab.inputs.prints import lines, summaries

Recording = Callable[[str], Path]
TEXT = """\
    1 0.000000000 10.0.0.1 → 10.0.0.2 TCP 74 50000 → 443 [SYN] Seq=0 Win=64240 Len=0 MSS=1460 SACK_PERM=1 WS=128
    2 0.001000000 10.0.0.2 → 10.0.0.1 TCP 74 443 → 50000 [SYN, ACK] Seq=0 Ack=1 Win=65160 Len=0 SACK_PERM WS=128
    3 0.002000000 10.0.0.1 → 10.0.0.2 TCP 66 50000 → 443 [ACK] Seq=1 Ack=1 Win=64256 Len=0 TSval=8 TSecr=9
    4 0.003000000 10.0.0.1 → 10.0.0.2 TLSv1 266 Client Hello
    5 0.004000000 10.0.0.3 → 10.0.0.2 STUN 150 Binding Request user: abcd:efgh
"""
EXPORT = """\
0.000000000,10.0.0.1,10.0.0.2,6,50000,443,,,74
0.001000000,10.0.0.2,10.0.0.1,6,443,50000,,,74
0.002000000,10.0.0.1,10.0.0.2,6,50000,443,,,66
0.003000000,10.0.0.1,10.0.0.2,6,50000,443,,,266
0.004000000,10.0.0.3,10.0.0.2,17,,,6000,10000,150
"""
HEADER = "frame.time_relative,ip.src,ip.dst,ip.proto,tcp.srcport,tcp.dstport,udp.srcport,udp.dstport,frame.len\n"
SPREADSHEET = (
    "Relative Time (s),src IP,dst IP,IP protocol,TCP src port,TCP dst port,UDP src port,UDP dst port,Frame Length\n"
)


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., list[Path]]:
    def write(*texts: str) -> list[Path]:
        paths = [tmp_path / f"printed-{number}.csv" for number in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text, encoding="utf-8")
        return paths

    return write


def test_the_published_files_give_the_embedded_tables_cell_for_cell(data: Path) -> None:
    folder = data / "project3-2020"
    loaded = published.load(folder / "tshark_output.csv", folder / "tshark_output.txt")
    embedded = published.load_tables(registry.find(registry.STUDY).folder)
    assert set(loaded) == set(embedded)
    for name, rows in loaded.items():
        pd.testing.assert_frame_equal(rows, embedded[name], obj=name)
    assert loaded["errors"].empty
    by_folder = published.load_tables(folder)
    pd.testing.assert_frame_equal(by_folder["stun"], loaded["stun"])


def test_each_number_of_the_text_is_in_a_column(data: Path) -> None:
    """Read the lines again without this package's patterns: whatever number they print is in the tables."""
    study = named("project3-2020")
    tcp, frames = study.tcp.set_index("frame"), study.frames.set_index("frame")
    words = {
        "Seq": "seq",
        "Ack": "ack",
        "Win": "window",
        "Len": "length",
        "TSval": "tsval",
        "TSecr": "tsecr",
        "MSS": "mss",
    }
    lines = (data / "project3-2020" / "tshark_output.txt").read_text().splitlines()
    assert len(lines) == len(frames)
    seen = 0
    for line in lines:
        number, seconds = line.split()[:2]
        assert frames.loc[int(number), "seconds"] == float(seconds)
        if " TCP " not in line or "Seq=" not in line:
            continue
        for word in line.split():
            key, _, value = word.partition("=")
            if key in words:
                assert tcp.loc[int(number), words[key]] == int(value), line
                seen += 1
    assert seen > 4000


@pytest.mark.parametrize("name", ["jvb-3", "jvb-p2p", "p2p-relay-only"])
@pytest.mark.tool("tshark")
def test_what_tshark_prints_of_a_recording_is_read_as_the_capture_is(
    name: str, recording: Recording, tmp_path: Path
) -> None:
    capture = recording(name) / "capture-eth0.pcapng"
    fields = HEADER.strip().split(",")
    export = subprocess.run(
        ["tshark", "-r", capture, "-T", "fields", *(word for name in fields for word in ("-e", name)),
         "-E", "header=y", "-E", "separator=,", "-E", "occurrence=f"], capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    text = subprocess.run(["tshark", "-r", capture], capture_output=True, text=True, check=True).stdout
    (tmp_path / "a.csv").write_text(export)
    (tmp_path / "a.txt").write_text(text)
    printed, real = published.load(tmp_path / "a.csv", tmp_path / "a.txt"), load(capture)
    lost = printed["errors"]["message"].str.contains("no reader for the summaries of")
    assert lost.all(), printed["errors"][~lost]["message"].tolist()[:5]
    frames = printed["frames"]
    for column in ("length", "src", "dst", "src_port", "dst_port", "ip_protocol"):
        pd.testing.assert_series_equal(
            frames.loc[frames["ip_protocol"].notna(), column].astype(object),
            real.frames.loc[frames["ip_protocol"].notna(), column].astype(object), check_dtype=False,
        )  # fmt: skip
    columns = [
        "frame",
        "message_class",
        "method",
        "username",
        "mapped_address",
        "mapped_port",
        "peer_port",
        "error_code",
    ]
    clear = real.stun[
        (real.stun["depth"] == 0) & (real.stun["transport"] == "udp") & (real.stun["method"] != "ChannelData")
    ]
    mine = printed["stun"][printed["stun"]["transport"] == "udp"]
    both = mine[columns].merge(clear[columns], on="frame", suffixes=("", "_real"))
    assert len(both) == len(clear) > 30
    for column in columns[1:]:
        pairs = both[[column, f"{column}_real"]].astype(object).fillna("")
        assert (pairs[column] == pairs[f"{column}_real"]).all(), column
    known = printed["tls"].dropna(subset=["length"])
    whole = real.tls[real.tls["first_frame"] == real.tls["frame"]]
    lengths = whole.groupby("frame")["length"].apply(list)
    assert len(known) > 100
    for frame, length in zip(known["frame"], known["length"], strict=True):
        assert length in lengths[frame], frame


@pytest.mark.parametrize(
    "export",
    [
        EXPORT,
        HEADER + EXPORT,
        '"' + HEADER.strip().replace(",", '","') + '"\n' + EXPORT.replace("10.0.0.1", '"10.0.0.1"'),
        (HEADER + EXPORT).replace(",", "\t"),
        (HEADER + EXPORT).replace("\n", "\r\n"),
        (HEADER + EXPORT).rstrip("\n"),
        SPREADSHEET + EXPORT,
    ],
    ids=["bare", "header", "quoted", "tabs", "crlf", "no newline", "spreadsheet"],
)  # fmt: skip
def test_an_export_is_read_whatever_it_looks_like(export: str, files: Callable[..., list[Path]]) -> None:
    for some in ([export], [export, TEXT], [TEXT, export]):
        tables = published.load(*files(*some))
        assert tables["frames"]["length"].tolist() == [74, 74, 66, 266, 150]
        assert tables["frames"]["src_port"].tolist() == [50000, 443, 50000, 50000, 6000]
        flow = tables["flows"].iloc[0]
        assert (flow["client"], flow["server_port"], flow["packets_up"]) == ("10.0.0.1", 443, 3)
        assert ("stun" in tables) == (len(some) == 2)
    assert tables["tls"][["length", "handshake", "certainty"]].to_numpy().tolist() == [[195, "client_hello", "deduced"]]
    assert tables["stun"]["size"].tolist() == [108]


def test_a_text_alone_has_no_ports_where_tshark_prints_none(files: Callable[..., list[Path]]) -> None:
    tables = published.load(*files(TEXT))
    assert tables["frames"]["src_port"].isna().tolist() == [False, False, False, True, True]
    assert tables["stun"]["username"].tolist() == ["abcd:efgh"]


def test_several_occurrences_and_ipv6_columns(files: Callable[..., list[Path]]) -> None:
    head = "frame.number\tframe.time_relative\tip.src\tip.dst\tipv6.src\tipv6.dst\tip.proto\tipv6.nxt\ttcp.srcport\t" \
        "tcp.dstport\tudp.srcport\tudp.dstport\tframe.len\n"  # fmt: skip
    rows = "7\t0.5\t10.0.0.1,10.9.9.9\t10.0.0.2,10.8.8.8\t\t\t1,17\t\t\t\t6000\t7000\t90\n" \
        "8\t0.6\t\t\t2001:db8::1\t2001:db8::2\t\t17\t\t\t6000\t10000\t120\n"  # fmt: skip
    frames = published.load(*files(head + rows))["frames"]
    assert frames[["frame", "src", "dst", "ip_version", "ip_protocol"]].to_numpy().tolist() == [
        [7, "10.0.0.1", "10.0.0.2", 4, 1], [8, "2001:db8::1", "2001:db8::2", 6, 17],
    ]  # fmt: skip


def test_a_line_that_is_not_understood_becomes_a_row_with_its_number(files: Callable[..., list[Path]]) -> None:
    broken = TEXT.replace("Len=0 SACK_PERM WS", "Len=0 NEW=1 WS") + "    6 0.0050"
    errors = published.load(*files(broken))["errors"]
    assert len(errors) == 2
    assert errors["message"].str.extract(r"line (\d+)")[0].tolist() == ["6", "2"]


PICTURE = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"  \n\n", "is empty"),
        (PICTURE, "neither a capture nor text"),
        (b"name,age\nada,36\n", "not a field export that is known"),
        (b"frame.len,ip.ttl\n66,64\n", r"has no column for: seconds, src, dst.*-e frame\.time_relative"),
        ((HEADER + EXPORT)[:-25].encode(), r"line 6: \d columns where the first line has 9; the file was cut"),
        ((HEADER + EXPORT).replace("266", "26x").encode(), r"line 5: '26x' is not a number"),
        ((HEADER + EXPORT).replace(",266", ",").encode(), "line 5: a frame without time or length"),
        (b"hello world\n", "is a text file, not a capture"),
        (b'a,"b\n' * 3, "printed"),
    ],
)
def test_what_is_no_table_is_refused_in_one_sentence(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "printed.csv"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=sentence) as error:
        published.load(path)
    assert "\n" not in str(error.value)


def test_files_of_two_captures_are_not_joined(files: Callable[..., list[Path]]) -> None:
    with pytest.raises(CaptureError, match="not the same frames"):
        published.load(*files(TEXT, HEADER + EXPORT.split("\n")[0]))
    with pytest.raises(CaptureError, match="one text of summaries, one field export"):
        published.load(*files(TEXT, TEXT))
    with pytest.raises(CaptureError, match="Cannot read"):
        published.load("/nowhere/at-all.csv")


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"holds no frames\.csv"):
        published.load_tables(tmp_path)
    (tmp_path / "frames.csv").write_text("frame,seconds,flavour\n1,0.0,sweet\n")
    with pytest.raises(CaptureError, match="has no column 'flavour'"):
        published.load_tables(tmp_path)
    (tmp_path / "frames.csv").write_text("frame,seconds\none,0.0\n")
    with pytest.raises(CaptureError, match="does not hold what the table frames holds"):
        published.load_tables(tmp_path)


def test_tables_survive_being_saved(tmp_path: Path, files: Callable[..., list[Path]]) -> None:
    tables = published.load(*files(TEXT, EXPORT))
    published.save_tables(tables, tmp_path / "saved")
    again = published.load_tables(tmp_path / "saved")
    for name, rows in again.items():
        pd.testing.assert_frame_equal(rows, tables[name], obj=name)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=120) | st.sampled_from(TEXT.splitlines()).flatmap(
    lambda line: st.integers(0, len(line)).map(lambda size: line[:size] + "?" + line[size + 1 :])))  # fmt: skip
def test_any_line_is_split_or_refused(line: str) -> None:
    readers = {"TCP": summaries.tcp, "STUN": summaries.stun, "TLSv1": summaries.records, "UDP": summaries.udp}
    with contextlib.suppress(ParseError):
        found = lines.parse(line)
        readers.get(found.protocol, summaries.ssh)(found.info)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(HEADER + EXPORT)), st.characters(codec="utf-8"))
def test_any_damage_to_an_export_is_one_sentence_or_a_table(
    tmp_path_factory: pytest.TempPathFactory, at: int, new: str
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "printed.csv"
    text = HEADER + EXPORT
    path.write_text(text[:at] + new + text[at + 1 :], encoding="utf-8", newline="")
    with contextlib.suppress(CaptureError):
        assert "frames" in published.load(path)


def test_the_study_names_every_nonempty_cell_of_the_export(data: Path) -> None:
    """The nine columns of the export against the joined table, row by row."""
    frames = named("project3-2020").frames
    with (data / "project3-2020" / "tshark_output.csv").open(newline="") as lines:
        rows = list(csv.reader(lines))[1:]
    assert len(rows) == len(frames)
    for row, frame in zip(rows, frames.itertuples(), strict=True):
        ports = [row[4] or row[6], row[5] or row[7]]
        said = [row[1], row[2], row[3], *ports, row[8]]
        mine = [frame.src, frame.dst, frame.ip_protocol, frame.src_port, frame.dst_port, frame.length]
        assert said == ["" if pd.isna(value) else str(value) for value in mine]
