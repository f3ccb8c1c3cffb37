"""What gives people and machines away is found, with its place; what is clean passes."""

from pathlib import Path

import pytest

from jitsilab import cli
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
