"""What comes as a file, a folder, an archive or a pipe is the same evidence; what is hostile is named and let be."""

import io
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from jitsilab.errors import CaptureError
from jitsilab.inputs import collect, delivery
from jitsilab.inputs.delivery import Delivery, gather

LOG = b"JVB 2026-11-29 15:29:07.863 INFO: [1] MainKt.main#82: Starting jitsi-videobridge version 2.3.SNAPSHOT\n"


def contents(found: list[Delivery]) -> dict[str, bytes]:
    result = {}
    for one in found:
        if not one.note:
            with one.open() as file:
                result[one.input.rsplit("/", 1)[-1]] = file.read()
    return result


def tar(members: dict[str, bytes], mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


PACKS = (
    tar, zipped, lambda m: tar(m, "w"), lambda m: tar(m, "w:xz"), lambda m: tar({"inner.zip": zipped(m)}),
    lambda m: zipped({"inner.tgz": tar(m)}),
)  # fmt: skip


@pytest.mark.parametrize("pack", PACKS)
def test_an_archive_is_what_it_holds(pack, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "case"
    path.write_bytes(pack({"logs/jvb.log": LOG, "logs/empty": b""}))
    assert contents(gather([path])) == {"jvb.log": LOG, "empty": b""}


def test_a_member_is_read_as_often_as_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "case.tgz"
    path.write_bytes(tar({"a": LOG * 9, "b": LOG}))
    one, other = gather([path])
    with one.open() as first, one.open() as second:
        assert first.read(10) == second.read(10) == LOG[:10]
        assert first.read(5) == LOG[10:15]
    assert one.head == LOG * 9
    assert other.sha256 != one.sha256


@pytest.mark.parametrize("pack", [tar, zipped])
def test_no_name_leads_out_of_an_archive(pack, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "case"
    path.write_bytes(pack({"../../etc/passwd": LOG, "/abs/jvb.log": LOG}))
    before = sorted(tmp_path.rglob("*"))
    assert [one.input for one in gather([path])] == [f"{path}/etc/passwd", f"{path}/abs/jvb.log"]
    assert sorted(tmp_path.rglob("*")) == before


def test_links_are_named_and_not_followed(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("jvb.log")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    (tmp_path / "a.tar").write_bytes(out.getvalue())
    (one,) = gather([tmp_path / "a.tar"])
    assert "link" in one.note
    info = zipfile.ZipInfo("jvb.log")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    (one,) = gather([tmp_path / "a.zip"])
    assert "link" in one.note


@pytest.mark.parametrize("pack", [tar, zipped])
def test_what_came_before_the_damage_is_read(pack, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "case"
    data = pack({"a.log": LOG, "b.log": os.urandom(50_000)})
    path.write_bytes(data[: len(data) * 2 // 3])
    found = gather([path])
    assert "damaged" in found[-1].note
    if pack is tar:
        assert contents(found)["a.log"] == LOG
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 0xFF
    path.write_bytes(flipped)
    gather([path])


def test_a_bomb_is_named_and_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jitsilab.pcap.sources.BOMB_FREE", 1 << 16)
    path = tmp_path / "case.zip"
    path.write_bytes(zipped({"zeros": bytes(1 << 22), "jvb.log": LOG}))
    bomb, log = gather([path])
    assert "many times its size" in bomb.note
    assert contents([log]) == {"jvb.log": LOG}


def test_what_is_given_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "jvb.log").write_bytes(LOG)
    (tmp_path / "linked.log").symlink_to(tmp_path / "jvb.log")
    assert len(gather([tmp_path / "jvb.log", tmp_path / "jvb.log", str(tmp_path / "." / "jvb.log")])) == 1
    assert len(collect([tmp_path, tmp_path / "jvb.log"]).lines) == 1


def test_a_link_into_the_configuration_is_kept(tmp_path: Path) -> None:
    """What sites-enabled links to is in force, and is not the same as what only lies in sites-available."""
    for folder in ("sites-available", "sites-enabled"):
        (tmp_path / folder).mkdir()
    (tmp_path / "sites-available" / "meet.conf").write_text("server { listen 443 ssl; server_name meet.example; }\n")
    (tmp_path / "sites-enabled" / "meet.conf").symlink_to("../sites-available/meet.conf")
    (tmp_path / "jvb.log").write_bytes(LOG)
    assert len(collect([tmp_path]).of_kind("configuration")) == 2


def test_a_folder_skips_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "jvb.log").write_bytes(LOG)
    found = {one.input.rsplit("/", 1)[-1]: one.note for one in gather([tmp_path])}
    assert found["jvb.log"] == ""
    assert "no regular file" in found["pipe"]


def test_a_device_and_a_missing_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="device"):
        gather(["/dev/null"])
    with pytest.raises(CaptureError, match="no file"):
        gather([tmp_path / "gone"])


def test_a_pipe_is_read_once_and_waited_for_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(delivery, "WAITED", 0.0)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    said = threading.Event()
    real = sys.stderr.write

    def write(text: str) -> int:
        said.set()
        return real(text)

    monkeypatch.setattr(sys.stderr, "write", write)
    writer = threading.Thread(target=lambda: said.wait(20) and pipe.write_bytes(LOG))
    writer.start()
    (one,) = gather([pipe])
    writer.join()
    assert one.head == LOG
    assert "waiting" in capsys.readouterr().err


def test_the_start_of_a_command_loads_no_reader() -> None:
    code = "import sys, jitsilab.inputs.delivery; print(sorted({'numpy', 'pandas'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
