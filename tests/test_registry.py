"""The registry names every capture, and what it says of their files is so."""

import json
from pathlib import Path

import pytest

from jitsilab.errors import CaptureError, ParameterError
from jitsilab.inputs import registry

OWN = [file for entry in registry.entries() for file in entry.files if not file.address]


@pytest.mark.parametrize("file", OWN, ids=lambda file: file.file)
def test_a_file_is_the_one_that_was_registered(file: registry.File) -> None:
    assert registry.sha256(file.path) == file.sha256
    assert file.licence
    assert file.recorded


def test_no_file_of_the_captures_is_unregistered() -> None:
    captures = registry.data() / "captures"
    known = {file.path for file in OWN}
    loose = {path for path in captures.rglob("*") if path.is_file() and path.parent.name != "facts"} - known
    assert loose == {captures / "README.md"}


def test_the_captures_stay_small() -> None:
    assert sum(file.path.stat().st_size for file in OWN) <= 46 << 20


@pytest.mark.parametrize("entry", [entry for entry in registry.entries() if entry.points], ids=lambda entry: entry.name)
def test_a_recording_has_both_points_keys_truth_and_facts(entry: registry.Entry) -> None:
    assert entry.points[:2] == ("eth0", "any")
    assert {file.role for file in entry.files} - {"evidence"} == {"capture", "keylog", "truth", "logs"}
    assert entry.keylog is not None
    assert entry.facts is not None
    assert json.loads((entry.folder / "truth.json").read_text())["verified"] is True
    assert entry.shows


def test_export_gives_plain_files(tmp_path: Path) -> None:
    folder = registry.export(registry.DEFAULT, tmp_path / "new" / "folder")
    assert folder == tmp_path / "new" / "folder"
    for point in ("eth0", "any"):
        assert (folder / f"capture-{point}.pcapng").read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"
    for name in ("keys.txt", "truth.json", "turn-in-tls.jsonl", "stanzas-laptop-a.jsonl", "logs/prosody.log"):
        assert (folder / name).stat().st_size
    assert (folder / "facts" / "turnserver.conf").is_file()


def test_a_recording_is_what_was_made(data: Path, tmp_path: Path) -> None:
    """What the clone holds is byte for byte what the recorder wrote."""
    made = data / "recordings" / registry.DEFAULT
    if not made.is_dir():
        pytest.skip("the recordings as they were made are not at hand")
    exported = registry.export(registry.DEFAULT, tmp_path)
    for path in made.rglob("*"):
        if path.is_file():
            assert (exported / path.relative_to(made)).read_bytes() == path.read_bytes()


def test_an_unknown_name_or_point_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ParameterError, match=r"No file and no recording 'jvb-4'. Did you mean .*jvb-3"):
        registry.find("jvb-4")
    with pytest.raises(ParameterError, match="jitsilab captures lists"):
        registry.find("quite-another")
    with pytest.raises(ParameterError, match="There are: eth0, any"):
        registry.find("jvb-3").path("loopback")
    with pytest.raises(ParameterError, match="folder of tables"):
        registry.find(registry.STUDY).path("any")


def test_outside_the_clone_the_data_are_found_by_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clone = registry.data().parent
    monkeypatch.setattr(registry, "__file__", str(tmp_path / "site-packages" / "jitsilab" / "registry.py"))
    monkeypatch.delenv(registry.HOME, raising=False)
    with pytest.raises(CaptureError, match="Set JITSILAB_HOME to a clone"):
        registry.data()
    monkeypatch.setenv(registry.HOME, str(tmp_path))
    with pytest.raises(CaptureError, match=r"has no data/registry\.csv"):
        registry.find("jvb-3")
    monkeypatch.setenv(registry.HOME, str(clone))
    assert registry.find("jvb-3").path().is_file()


def test_published_files_have_an_address_and_a_hash(data: Path) -> None:
    published = registry.find(registry.STUDY).published
    assert [file.file for file in published] == ["tshark_output.csv", "tshark_output.txt"]
    for file in published:
        assert file.address.startswith("https://raw.githubusercontent.com/")
        assert registry.sha256(data / "project3-2020" / file.file) == file.sha256
