"""What gives people and machines away is found, with its place; what is clean passes."""

import gzip
import json
import zlib
from pathlib import Path

import pytest
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import IP, TCP, UDP

from jitsilab import cli
from jitsilab.pcap.containers import Interface
from jitsilab.pcap.writing import Writer
from jitsilab.sharing import leaks


def told(path: Path) -> set[tuple[str, str]]:
    return {(one.kind, one.what) for one in leaks.scan([path])}


def test_the_published_tables_of_the_study_tell_what_they_tell(data: Path) -> None:
    assert told(data / "project3-2020") == {
        ("gateway", "172.31.32.1"),
        ("hardware address", "06:1f:58:9e:a7:34"),
        ("hardware address", "06:0b:6a:3a:90:9a"),
        ("uptime", "clocks of machines in TSval"),
        ("clock", "ufrag 38n621el16dv6e was made 2020-10-19 19:47:27+00:00"),
        ("clock", "ufrag 5bala1el16f6sl was made 2020-10-19 19:48:07+00:00"),
    }


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("connected to 93.184.216.34:443", "public address"),
        ("[2a00:1450:4001::8a]:443", "public address"),
        ("eth0 link/ether 00:1b:21:aa:bb:cc brd ff:ff:ff:ff:ff:ff", "hardware address"),
        ("mail me at ann.smith@acme.org", "name"),
        ("GET wss://meet.acme.org/xmpp-websocket", "name"),
        ("username='1796052946' password='x'", "TURN user"),
        ("?token=eyJhbGciOiJIUzI1NiJ9.eyJyb29tIjoiKiJ9.c2ln", "token"),
        ("-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49", "key"),
        ("CLIENT_RANDOM " + "ab" * 32 + " " + "cd" * 48, "key"),
        ("-----BEGIN CERTIFICATE-----", "certificate"),
        ("static-auth-secret=north-wind", "secret"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("code", ["utf-8", "utf-16"])
def test_a_text_that_tells_is_found(text: str, kind: str, code: str, tmp_path: Path) -> None:
    path = tmp_path / "some.log"
    path.write_text(text.replace("\n", " ") if "KEY" in text else text, encoding=code)
    assert kind in {one.kind for one in leaks.scan([path])}


@pytest.mark.parametrize(
    "text",
    [
        "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0.0.0 Safari/537.36",
        "IP A to IP B over 192.0.2.7, 10.0.0.1 and 203.0.113.9 at 15:35:43.026",
        "xmlns='http://jitsi.org/protocol/focus' denied-peer-ip=10.0.0.0-10.255.255.255",
        "std::string at a::b, version 4.5.0.7, password = null",
        "Binding Request user: v9uY:ekNJ",
    ],
)
def test_a_clean_text_passes(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "clean.txt").write_text(text)
    assert cli.main(["leaks", str(tmp_path)]) == 0, capsys.readouterr().out


CALL = {  # what captures tell, and in which frame
    "public address": "frame 3", "gateway": "frame 1", "hardware address": "frame 1", "uptime": "frame 4",
    "clock": "frame 3", "comment": "frame 2", "key": "file", "name": "frame 2", "TURN user": "frame 5",
}  # fmt: skip


@pytest.mark.parametrize("link", [1, 113, 276])
def test_a_capture_that_tells_is_found_with_the_frame(link: int, tmp_path: Path) -> None:
    mac = bytes.fromhex("001b21aabbcc")
    heads = {
        1: lambda kind: b"\x33\x33\0\0\0\1" + mac + kind.to_bytes(2),
        113: lambda kind: bytes.fromhex("000000010006") + mac + b"\0\0" + kind.to_bytes(2),
        276: lambda kind: kind.to_bytes(2) + bytes.fromhex("000000000002000100") + b"\6" + mac + b"\0\0",
    }
    arp = bytes.fromhex("0001080006040001") + mac + bytes([172, 31, 32, 1]) + bytes(6) + bytes([172, 31, 37, 118])
    username = b"38n621el16dv6e:AbCd"
    check = b"\0\1\0\x18\x21\x12\xa4\x42" + b"t" * 12 + b"\0\6\0\x13" + username + b"\0"
    realm = b"\0\6\0\x0a1796052946\0\0" + b"\0\x14\0\x0dmeet.acme.org\0\0\0"
    asked = b"\0\3" + len(realm).to_bytes(2) + b"\x21\x12\xa4\x42" + b"u" * 12 + realm
    ends = {"src": "10.0.0.1", "dst": "93.184.216.34"}
    stamp = [("Timestamp", (123456, 0))]
    query = DNS(qd=DNSQR(qname="meet.acme.org"))
    frames = [
        heads[link](0x0806) + arp,
        heads[link](0x0800) + bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=40000, dport=53) / query),
        heads[link](0x0800) + bytes(IP(**ends) / UDP(sport=5000, dport=10000) / check),
        heads[link](0x0800) + bytes(IP(**ends) / TCP(sport=5000, dport=80, flags="S", options=stamp)),
        heads[link](0x0800) + bytes(IP(**ends) / UDP(sport=5001, dport=3478) / asked),
    ]
    with Writer(tmp_path / "call.pcapng") as out:
        out.interface(Interface(link))
        out.secrets(b"CLIENT_RANDOM " + b"ab" * 32 + b" " + b"cd" * 48 + b"\n")
        for number, data in enumerate(frames):
            out.frame(0, number, data, len(data), "ann's laptop" if number == 1 else "")
    found = {one.kind: one.place for one in reversed(leaks.scan([tmp_path / "call.pcapng"]))}
    assert found == CALL


def test_what_is_packed_written_otherwise_or_no_text_is_read_too(tmp_path: Path) -> None:
    told = b"connected to 93.184.216.34:443 as ann.smith@acme.org"
    (tmp_path / "call.log.gz").write_bytes(gzip.compress(b"a\nb\n" + told))
    (tmp_path / "table.parquet").write_bytes(b"PAR1\0\1" + told + b"\0\0PAR1")
    (tmp_path / "long.json").write_bytes(b'{"a":"' + b"x" * (1 << 16) + told + b'"}\n')
    (tmp_path / "note.ipynb").write_bytes(b'{"text": ["https:\\/\\/meet.acme.org\\/x ann.smith%40acme.org"]}')
    page = zlib.compress(b"BT (" + told + b") Tj ET")
    (tmp_path / "page.pdf").write_bytes(b"%PDF-1.4\n1 0 obj\n<</Length 1>>stream\n" + page + b"\nendstream endobj\n")
    (tmp_path / "page.html").write_bytes(b"<!doctype html><p>ann.smith&#64;acme.org")
    found = {(Path(one.input).name, one.place) for one in leaks.scan([tmp_path]) if one.what == "ann.smith@acme.org"}
    assert {name for name, _ in found} == {
        "call.log.gz", "table.parquet", "long.json", "note.ipynb", "page.pdf", "page.html"
    }  # fmt: skip
    assert {("call.log.gz", "line 3"), ("table.parquet", "byte 6"), ("long.json", "line 1")} <= found


def test_a_finding_is_exit_1_and_its_secret_is_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "some.conf").write_text('static-auth-secret="north-wind-7"')
    assert cli.main(["leaks", str(tmp_path), "--json"]) == 1
    said = capsys.readouterr().out
    assert json.loads(said)["leaks"][0] | {"input": ""} == {
        "kind": "secret", "what": "a password", "input": "", "place": "line 1", "times": 1
    }  # fmt: skip
    assert "north" not in said


@pytest.mark.parametrize(("text", "code"), [("all is well", 0), ("mail ann.smith@acme.org", 2)])
def test_a_report_to_share_is_handed_over_only_where_it_tells_nothing(
    text: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(call: object, folder: Path, *more: object) -> list[str]:
        del call, more
        folder.mkdir()
        (folder / "report.md").write_text(text)
        return ["report.md"]

    monkeypatch.setattr("jitsilab.pages.casereport.write", write)
    (tmp_path / "jvb.log").write_text("JVB 2026-11-29 15:21:44.772 INFO: [16] x: to 93.184.216.34\n")
    out = tmp_path / "out"
    assert cli.main(["report", str(tmp_path / "jvb.log"), "--share", "-o", str(out)]) == code
    assert out.exists() == (code == 0)
    assert not [one for one in tmp_path.iterdir() if one.name.startswith("jitsilab-")]


def test_a_shared_pack_passes_and_says_what_the_original_says(recording: object, tmp_path: Path) -> None:
    where = recording("alone")  # type: ignore[operator]
    given = ["share", str(where / "capture-eth0.pcapng"), str(where / "keys.txt")]
    assert cli.main([*given, "--pack", "-o", str(tmp_path / "pack.zip")]) == 0
    assert leaks.scan([tmp_path / "pack.zip"]) == []
    before = {one.kind for one in leaks.scan([where / "capture-eth0.pcapng"])}
    assert {"name", "hardware address", "uptime"} <= before
    assert cli.main([*given, "-o", str(tmp_path / "case")]) == 0
    with (tmp_path / "case" / "more.txt").open("w") as file:  # which nobody vouched for
        file.write("mail ann.smith@acme.org")
    assert [one.kind for one in leaks.scan([tmp_path / "case"])] == ["name"]
