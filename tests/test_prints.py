"""Prints of every kind: what tshark and tcpdump print of a recording, and what people do to such prints."""

import contextlib
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from by_night import thinned
from hypothesis import given, settings
from hypothesis import strategies as st

from jitsilab.call import load
from jitsilab.errors import CaptureError
from jitsilab.inputs import prints
from jitsilab.inputs.prints import details, forms, lines, objects, tcpdump, times

COUNT = 700
COLUMNS = {
    "ports around": '"No.","%m","T","%t","S","%s","sp","%uS","D","%d","dp","%uD","P","%p","L","%L","I","%i"',
    "ports behind": '"No.","%m","T","%t","S","%s","D","%d","P","%p","L","%L","sp","%uS","dp","%uD","I","%i"',
    "ports before": '"No.","%m","T","%t","d","%Tt","S","%s","D","%d","sp","%uS","dp","%uD","P","%p","L","%L","I","%i"',
    "cumulative bytes": '"No.","%m","T","%t","S","%s","D","%d","P","%p","C","%B","L","%L","I","%i"',
}  # fmt: skip
FIELDS = ["frame.number", "frame.time", "_ws.col.Source", "_ws.col.Destination", "_ws.col.Protocol", "frame.len",
          "_ws.col.Info"]  # fmt: skip
TSHARK = {
    **{f"-t {form}": ["-t", form] for form in ("r", "a", "ad", "adoy", "d", "dd", "e", "u", "ud", "udoy")},
    "tabs": ["-T", "tabs"], "json": ["-T", "json"], "ek": ["-T", "ek"], "-V": ["-V"], "-PV": ["-P", "-V"],
    **{name: ["-o", f"gui.column.format:{columns}"] for name, columns in COLUMNS.items()},
    "fields": ["-T", "fields", *(word for name in FIELDS for word in ("-e", name))],
    "fields, named": ["-T", "fields", "-E", "header=y", *(word for name in FIELDS for word in ("-e", name))],
    "fields, commas": ["-T", "fields", "-E", "header=y", "-E", "separator=,",
                       *(word for name in FIELDS for word in ("-e", name))],
}  # fmt: skip
TCPDUMP = ["", "-n", "-nn -tttt", "-nn -v", "-nn -e", "-nn -e -vvv", "-nn -q", "-nn -tt", "-nn -ttt", "-nn -ttttt",
           "-#", "-nn -X", "-nn -A"]  # fmt: skip


@pytest.fixture(scope="module")
def captured(recording: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The first frames of a recording at the server's card, and of another on all its devices."""
    found = {}
    for name, point in (("jvb-ipv6", "eth0"), ("turn-refused", "any")):
        found[name] = tmp_path_factory.mktemp("cut") / f"{name}.pcapng"
        argv = ["tshark", "-r", recording(name) / f"capture-{point}.pcapng", "-c", str(COUNT), "-w", found[name]]
        subprocess.run(argv, check=True, capture_output=True)
    return found


def ran(*argv: object) -> str:
    done = subprocess.run([str(word) for word in argv], check=True, capture_output=True)
    return done.stdout.decode("utf-8", "replace")


def read(text: str | bytes) -> dict[str, pd.DataFrame]:
    content = text if isinstance(text, bytes) else text.encode()
    return prints.load(io.BytesIO(content), name="the print")


@pytest.mark.tool("tshark")
@pytest.mark.parametrize(
    ("name", "form"),
    thinned(
        [("jvb-ipv6", form) for form in TSHARK]
        + [("turn-refused", form) for form in ("-t ud", "-t dd", "json", "-V", "fields")]
    ),
)
def test_every_form_of_tshark_gives_its_frames(form: str, name: str, captured: dict[str, Path]) -> None:
    text = ran("tshark", "-r", captured[name], *TSHARK[form])
    assert prints.recognise(text.encode()[: 1 << 16]) >= 0.5
    frames, real = read(text)["frames"], load(captured[name]).frames
    assert len(frames) == COUNT
    assert frames["length"].tolist() == real["length"].tolist()
    assert (frames["seconds"] - real["seconds"]).abs().max() < 1e-6
    shown = frames["src"].notna() & real["src"].notna() & real["protocol"].ne("ARP")
    assert shown.sum() > COUNT * 0.9
    assert frames.loc[shown, "src"].tolist() == real.loc[shown, "src"].tolist()
    ported = frames["src_port"].notna()
    assert ported.sum() > 200
    assert frames.loc[ported, "dst_port"].tolist() == real.loc[ported, "dst_port"].tolist()
    if form in ("-t e", "json", "ek", "-V"):
        assert frames["time"].tolist() == real["time"].tolist()


@pytest.mark.tool("tcpdump")
@pytest.mark.parametrize(("name", "form"), [(name, form) for name in ("jvb-ipv6", "turn-refused") for form in TCPDUMP])
def test_every_form_of_tcpdump_gives_its_frames(form: str, name: str, captured: dict[str, Path]) -> None:
    text = ran("tcpdump", "-r", captured[name], *form.split())
    tables, real = read(text), load(captured[name]).frames
    frames = tables["frames"]
    assert len(frames) == COUNT
    assert (frames["seconds"] - real["seconds"]).abs().max() < 1e-3
    assert set(tables) <= {"frames", "flows", "tcp", "arp", "errors"}  # what it does not name, it does not deny
    lengths = frames["length"].notna()
    ethernet = name == "jvb-ipv6" or "-e" in form or form in ("", "-n", "-#", "-nn -tt")
    if ethernet and name == "jvb-ipv6":
        assert frames.loc[lengths, "length"].tolist() == real.loc[lengths, "length"].tolist()
    if "-n" in form:
        ported = real["src_port"].notna() & frames["src_port"].notna()
        assert ported.sum() == real["src_port"].notna().sum()
        for column in ("src", "src_port", "dst", "dst_port"):
            assert frames.loc[ported, column].tolist() == real.loc[ported, column].tolist()


@pytest.mark.tool("tshark")
def test_a_filtered_print_shows_what_it_holds_and_denies_nothing(recording: Callable[[str], Path]) -> None:
    capture = recording("p2p-2") / "capture-eth0.pcapng"
    real = load(capture).stun
    real = real[real["transport"].eq("udp") & real["depth"].eq(0)]
    for extra in ([], ["-T", "json"], ["-V"], ["-t", "d"], ["-t", "e"]):
        tables = read(ran("tshark", "-r", capture, "-Y", "stun && !icmp", *extra))
        assert sorted(set(tables["stun"]["frame"])) == sorted(set(real["frame"]))
        assert not {"tls", "tcp", "dtls", "rtcp", "arp"} & set(tables)
    fields = ["frame.number", "frame.time_epoch", "ip.src", "ip.dst", "udp.srcport", "udp.dstport", "frame.len"]
    fields += [f"stun.{name}" for name in ("type", "id", "att.username", "att.type", "att.ipv4", "att.port")]
    asked = [word for field in fields for word in ("-e", field)]
    text = ran("tshark", "-r", capture, "-Y", "stun && !icmp", "-T", "fields", "-E", "header=y", *asked)
    rows = read(text)["stun"].merge(real, on="frame", suffixes=("", "_real"))
    for column in (
        "message_class",
        "method",
        "transaction_id",
        "attributes",
        "username",
        "mapped_address",
        "mapped_port",
    ):
        pairs = rows[[column, f"{column}_real"]].astype(object).fillna("")
        assert (pairs[column] == pairs[f"{column}_real"]).all(), column


@pytest.mark.tool("tshark")
@pytest.mark.parametrize("form", ["json", "ek", "-V"])
def test_records_of_a_print_with_fields_are_those_of_the_capture(form: str, captured: dict[str, Path]) -> None:
    rows = read(ran("tshark", "-r", captured["jvb-ipv6"], *TSHARK[form]))["tls"]
    real = load(captured["jvb-ipv6"]).tls
    assert len(rows) > 50
    assert rows["frame"].tolist() == real["frame"].tolist()
    for column in ("length", "record_type", "handshake", "version", "sni"):
        assert rows[column].fillna("").tolist() == real[column].fillna("").tolist(), column


TEXT = """\
    1 0.000000000 10.0.0.1 → 10.0.0.2 TCP 74 50000 → 443 [SYN] Seq=0 Win=64240 Len=0 MSS=1460 SACK_PERM WS=128
    2 0.001000000 10.0.0.2 → 10.0.0.1 TCP 74 443 → 50000 [SYN, ACK] Seq=0 Ack=1 Win=65160 Len=0
    3 0.003000000 10.0.0.1 → 10.0.0.2 TLSv1 266 Client Hello
    4 0.004000000 10.0.0.3 → 10.0.0.2 STUN 150 Binding Request user: abcd:efgh
"""
WAYS: dict[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 without a mark": lambda text: text.replace("→", "->").encode("utf-16-le"),
    "read as code page 437": lambda text: text.encode().decode("cp437").encode(),
    "read as Windows-1252": lambda text: text.replace("→", "â†’").encode(),
    "an arrow lost": lambda text: text.replace("→", "?").encode(),
    "ASCII": lambda text: text.replace("→", "->").encode(),
    "lines of Windows": lambda text: text.replace("\n", "\r\n").encode(),
    "grep -n": lambda text: "".join(f"{n}:{line}\n" for n, line in enumerate(text.splitlines(), 1)).encode(),
    "grep -H": lambda text: "".join(f"dir/print.txt:{line}\n" for line in text.splitlines()).encode(),
    "quoted": lambda text: "".join(f"> {line}\n" for line in text.splitlines()).encode(),
    "coloured": lambda text: "".join(f"\x1b[48;5;1m{line}\x1b[0m\n" for line in text.splitlines()).encode(),
    "between prompts": lambda text: f"me@host:~$ tshark -r x\n{text}^C\nme@host:~$ \n".encode(),
    "Wireshark's text": lambda text: "".join(
        f"No.     Time           Source                Destination           Protocol Length Info\n"
        f"{line.replace(' → ', '            ', 1)}\n\n"
        for line in text.splitlines()
    ).encode(),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_print_is_read_whatever_happened_to_it(way: str) -> None:
    content = WAYS[way](TEXT)
    assert prints.recognise(content) > 0.5
    tables = read(content)
    assert tables["frames"]["length"].tolist() == [74, 74, 266, 150]
    assert tables["frames"]["dst"].tolist() == ["10.0.0.2", "10.0.0.1", "10.0.0.2", "10.0.0.2"]
    assert tables["tcp"]["flags"].tolist() == ["SYN", "SYN,ACK"]
    assert tables["stun"]["username"].tolist() == ["abcd:efgh"]
    assert tables["errors"]["message"].str.contains("not a summary line").sum() == (
        3 if way == "between prompts" else 0
    )


def test_samples_of_faults(data: Path) -> None:
    event = prints.load(data / "faults" / "rtp-event.txt")["frames"]
    assert set(event["dst"]) == {"172.25.105.40"}
    assert set(event["protocol"]) == {"RTP", "RTP EVENT"}
    epoch = prints.load(data / "faults" / "time-epoch.txt")["frames"]
    assert epoch["seconds"].tolist()[:3] == [0.0, 0.043685, 10.044206]
    assert epoch["time"].iloc[0] == pd.Timestamp("2013-08-22T22:38:35.029606Z")
    stun = load(data / "faults" / "stun-only.txt")
    assert stun.table("flows") is None
    assert len(stun.diagnosis.participants) == 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("IP 10.0.0.1.5000 > 10.0.0.2.443: tcp 0\n" * 3, "tcpdump with -t prints no time of a packet"),
        ('<?xml version="1.0"?>\n<?xml-stylesheet href="a"?>\n<pdml version="0">\n', "-T pdml, which is not read here"),
        ('<?xml version="1.0"?>\n<psml version="0">\n', "-T psml, which is not read here"),
        ("%!PS-Adobe-2.0\n", "PostScript"),
        ("0000  4e 01 d9 45 d8 06 66 39   N..E\n0010  00 3c ec b3 40 00 3d 06   .<..\n", "hex dump"),
        ("Dear all,\nthe call has no video.\n", "is a text file, not a capture"),
        ('{"a": 1}\n', "is a text file, not a capture"),
        ("2020-10-19 19:47:27 INFO jicofo: hello\n" * 5, "is a text file, not a capture"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(content: str, sentence: str) -> None:
    with pytest.raises(CaptureError, match=sentence) as error:
        read(content)
    assert "\n" not in str(error.value)
    if "text file" in sentence:
        assert prints.recognise(content.encode()) < 0.5


@pytest.mark.parametrize(
    ("stamps", "seconds"),
    [
        (["0.5", "0.7", "0.9"], [0.5, 0.7, 0.9]),
        (["0.000000", "0.300000", "0.100000", "0.200000"], [0, 0.3, 0.4, 0.6]),
        (["1377211115.029606", "1377211115.129606"], [0, 0.1]),
        (["23:59:59.900", "00:00:00.100"], [0, 0.2]),
        (["2020-10-19 23:59:59.5", "2020-10-20 00:00:00.5"], [0, 1]),
        (["2020/293 23:59:59.5", "2020/294 00:00:00.5"], [0, 1]),
        (["Oct 19, 2020 23:59:59.5 UTC", "Oct 20, 2020 00:00:00.5 UTC"], [0, 1]),
        (["00:00:00.000000", "00:00:00.000021", "00:00:00.000002"], [0, 0.000021, 0.000023]),
        (["0,5", "0,75"], [0.5, 0.75]),
    ],
)
def test_times(stamps: list[str], seconds: list[float]) -> None:
    found, _ = times.resolve([stamp for text in stamps if (stamp := times.stamp(text))])
    assert [line.seconds for line in found] == pytest.approx(seconds, abs=1e-9)
    utc = "UTC" in stamps[0] or stamps[0].startswith("1377")
    assert all((line.time is not None) == utc for line in found)


def test_arp_and_names_of_tcpdump() -> None:
    tables = read(
        "12:00:00.000001 ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28\n"
        "12:00:00.000002 ARP, Reply 10.0.0.2 is-at 02:00:00:00:00:02, length 28\n"
        "12:00:00.000003 IP meet.example.org.https > 10.0.0.1.50000: Flags [S.], seq 1, ack 2, win 3, length 0\n"
        "12:00:00.000004 IP 10.0.0.1.40000 > 10.0.0.2.domain: 4711+ A? example.org. (29)\n"
        "12:00:00.000005 IP 10.0.0.1 > 10.0.0.2: ip-proto-17\n"
    )
    assert tables["arp"][["sender_ip", "target_ip", "operation"]].fillna("").to_numpy().tolist() == [
        ["10.0.0.1", "10.0.0.2", 1], ["10.0.0.2", "", 2],
    ]  # fmt: skip
    frames = tables["frames"]
    assert frames["src"].tolist()[2:] == ["meet.example.org", "10.0.0.1", "10.0.0.1"]
    assert frames["protocol"].tolist()[:4] == ["ARP", "ARP", "TCP", "DNS"]
    assert frames["dst_port"].fillna(-1).tolist()[2:] == [50000, 53, -1]


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=200) | st.sampled_from([
    *TEXT.splitlines(),
    "12:34:56.123456 IP 10.0.0.1.5000 > 10.0.0.2.443: Flags [S], seq 1, win 2, options [mss 1460], length 0",
    "Frame 1: 74 bytes on wire (592 bits), 74 bytes captured", "    Message Type: 0x0001 (Binding Request)",
    json.dumps({"_source": {"layers": {"frame": {"frame.number": "1", "frame.len": "x"}}}}),
]).flatmap(lambda line: st.integers(0, len(line)).map(lambda at: line[:at] + "\u2192" + line[at + 1 :])))  # fmt: skip
def test_any_text_is_a_print_or_refused_in_one_sentence(text: str) -> None:
    for some in (text, f"{text}\n{TEXT}", f"Frame 1: 74 bytes on wire (592 bits), 74 bytes captured\n    {text}\n"):
        with contextlib.suppress(CaptureError):
            assert len(read(some)["frames"]) > 0
    prints.recognise(text.encode("utf-8", "replace"))
    list(objects.frames(text))
    list(details.frames([text]))
    list(tcpdump.frames([text]))
    forms.refusal(text)
    lines.settle([])
