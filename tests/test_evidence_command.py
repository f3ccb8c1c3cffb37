"""Wireshark opens at the evidence: a pcapng of the frames that matter, with comments that say why, read by tshark."""

import subprocess
from functools import cache
from pathlib import Path

import pytest
from calls import named

import jitsilab as jl
from jitsilab import cli
from jitsilab.errors import ParameterError
from jitsilab.judge import proof

SECRETS = ("pwd=", "password")


@cache
def opened(*names: str) -> jl.Call:
    return jl.load(*names)


def tshark(path: Path, *fields: str, only: str = "") -> list[list[str]]:
    words = ["tshark", "-r", str(path), "-T", "fields", *(word for one in fields for word in ("-e", one))]
    words += ["-Y", only] if only else []
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.tool("tshark")
def test_a_cause_opens_in_wireshark_with_the_reason_beside_each_frame(tmp_path: Path) -> None:
    call = named("turn-refused")
    path = call.to_wireshark("turn-permission-refused", tmp_path / "refused.pcapng")
    rows = tshark(path, "frame.number", "frame.interface_name", "frame.time_epoch", "frame.comment", "frame.len")
    assert [row[0] for row in rows] == ["1", "2"]
    table = call.frames.set_index("frame")
    for row, frame in zip(rows, (601, 602), strict=True):
        assert row[1] == "capture-eth0.pcapng.zst: eth0"
        assert row[3].startswith(
            f"capture-eth0.pcapng.zst frame {frame}; STUN CreatePermission error 403 inside TLS; cem: "
        )
        assert "[turn-permission-refused, measured]" in row[3]
        assert int(row[4]) == table.loc[frame, "length"]
    assert b"CLIENT_" not in path.read_bytes()


@pytest.mark.tool("tshark")
def test_keys_go_with_it_only_if_asked_and_then_open_it(tmp_path: Path) -> None:
    call = named("turn-refused")
    without = call.to_wireshark("SEC-38", tmp_path / "a.pcapng")
    assert tshark(without, "frame.number", only="http or http2") == []
    assert len(tshark(without, "frame.number")) == 3
    with_keys = call.to_wireshark("SEC-38", tmp_path / "b.pcapng", with_keys=True)
    read = tshark(with_keys, "frame.comment", "http.request.uri", only="http.request.uri and frame.comment")
    assert len(read) == 3
    for comment, uri in read:
        assert "HTTP GET /colibri-ws/default-id/" in comment
        assert "pwd=" in uri
        assert not any(word in comment.split("SEC-38")[0] for word in SECRETS)


@pytest.mark.tool("tshark")
def test_several_captures_are_one_file_in_order_of_time(tmp_path: Path) -> None:
    names = [str(Path(named("turn-refused").packets[0].input)), str(Path(named("turn-off").packets[0].input))]
    call = jl.load(*names)
    wanted = proof.Proof("made")
    for input, frames in zip((one.input for one in call.packets), ((5, 9), (7,)), strict=True):
        wanted.add([proof.Place(input, frame) for frame in frames], "because")
    made = proof.write(call, wanted, tmp_path / "both.pcapng")
    assert (made.frames, made.captures, made.unwritten) == (3, 2, ())
    rows = tshark(tmp_path / "both.pcapng", "frame.time_epoch", "frame.comment", "frame.interface_id")
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert {row[2] for row in rows} == {"0", "1"}
    assert all(row[1].endswith("because") for row in rows)


def test_steps_and_checks_and_what_nothing_shows(tmp_path: Path) -> None:
    call = named("turn-refused")
    table = call.steps
    step = next(row for row in table.itertuples() if len(row.frames))
    found = proof.gather(call, step=step.step)
    assert set(step.frames) <= set(next(iter(found.reasons.values())))
    assert any(step.verdict in said for reasons in found.reasons.values() for some in reasons.values() for said in some)
    with pytest.raises(ParameterError, match=r"does not show no-bridge\. It shows turn-permission-refused"):
        proof.gather(call, cause="no-bridge")
    with pytest.raises(ParameterError, match="Did you mean turn-permission-refused"):
        proof.gather(call, cause="turn-permision-refused")
    with pytest.raises(ParameterError, match="no step 'S99'"):
        proof.gather(call, step="S99")
    with pytest.raises(ParameterError, match="no check 'SEC-99'"):
        proof.gather(call, check="SEC-99")
    with pytest.raises(ParameterError, match="Name one of"):
        proof.gather(call)
    with pytest.raises(ParameterError, match=r"no bytes|no frame|does not show"):
        named("project3-2020").to_wireshark("turn-permission-refused", tmp_path / "no.pcapng")
    assert not (tmp_path / "no.pcapng").exists()


def test_the_command_prints_filters_and_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "w.pcapng"
    assert cli.main(["evidence", "ws-404", "--cause", "signaling-refused/http-404", "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "capture-eth0.pcapng.zst: frame.number in {58, 60, 122, 123}" in said
    assert "access.log:3: " in said
    assert "4 frames are in" in said
    assert cli.main(["evidence", "ws-404", "--cause", "signaling-refused", "-o", str(tmp_path / "w.txt")]) == 0
    assert '"GET /xmpp-websocket?room=' in (tmp_path / "w.txt").read_text()
    capsys.readouterr()
    assert (
        cli.main(["evidence", "turn-refused", "--cause", "turn-permission-refused", "-o", str(tmp_path / "n.txt")]) == 2
    )
    assert "No line bears it out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "hidden"),
    [
        ('127.0.0.1 "GET /colibri-ws/default-id/a1/b2?pwd=hunter2hunter HTTP/1.1" 101', "hunter2hunter"),
        ("JVB_AUTH_PASSWORD=s3cr3tpw", "s3cr3tpw"),
        ('  static-auth-secret="abcdefgh12345"', "abcdefgh12345"),
        ("<auth mechanism='PLAIN' xmlns='urn:x'>AGFubgBwdw==</auth>", "AGFubgBwdw"),
        ("GET /room?jwt=eyJhbGciOiJIUzI1NiJ9.eyJyb29tIjoiKiJ9.abcdefghijk HTTP/1.1", "eyJyb29tIjoiKiJ9"),
        ("a=ice-pwd:6a7b8c9d0e1f2a3b4c5d6e7f", "6a7b8c9d0e1f2a3b4c5d6e7f"),
    ],
)  # fmt: skip
def test_lines_tell_no_secrets(line: str, hidden: str) -> None:
    shown = proof.without_secrets(line)
    assert hidden not in shown
    assert "***" in shown
