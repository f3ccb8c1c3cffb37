"""The issue pack: the shared case with its diagnosis, the frames that prove it, and a text for a project's tracker.

All of it is made from the shared evidence, so it cannot say more than that does.
"""

import gzip
import itertools
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jitsilab import call as calls
from jitsilab import terminal
from jitsilab.errors import LabError
from jitsilab.pcap.writing import Writer

if TYPE_CHECKING:
    from jitsilab.sharing.case import Shared
    from jitsilab.wire import Wire

CASE = "case"  # the folder with the evidence
MANY = 200  # frames of one capture that are quoted
_NOTE = "Pseudonymised by jitsilab share: the frames that prove the diagnosis."


def write(bundle: Path, shared: "Shared") -> None:
    """Move the evidence into a folder of its own, and put diagnosis, proof and text beside it."""
    case = bundle / CASE
    (bundle / "SHARED.txt").unlink()
    pieces = list(bundle.iterdir())
    case.mkdir()
    for one in pieces:
        one.rename(case / one.name)
    call = calls.load(case)
    diagnosis = call.diagnosis
    said = diagnosis.to_json()
    (bundle / "diagnosis.json").write_text(terminal.to_json(said, indent=1).replace(f"{case}/", "") + "\n")
    text = diagnosis.to_text().replace(f"{case}/", "")
    (bundle / "diagnosis.txt").write_text(text + "\n")
    proof = _proof(bundle, call, said)
    files = [f"{CASE}/{name}" for name in shared.files]
    (bundle / "ISSUE.md").write_text(_issue(call, said, text, [*files, *proof]))
    from jitsilab.sharing.case import sums

    shared.files = [*files, "diagnosis.json", "diagnosis.txt", "ISSUE.md", *proof]
    sums(bundle, shared.files)


def _proof(bundle: Path, call: Any, said: dict[str, Any]) -> list[str]:
    """The frames and lines that the diagnosis names, with what they are named for."""
    frames: dict[str, dict[int, list[str]]] = {}
    lines: dict[tuple[str, int], list[str]] = {}
    for what, one in [
        *((str(one.get("cause")), one) for one in said.get("causes") or ()),
        *((f"{one.get('nick') or one.get('id')}: {one.get('cause') or one.get('media_path')}", one)
          for one in said.get("participants") or ()),
    ]:  # fmt: skip
        for place in list(one.get("evidence") or ())[:MANY]:
            name = str(place.get("input")).removeprefix(f"{bundle / CASE}/")
            if isinstance(place.get("frame"), int):
                frames.setdefault(name, {}).setdefault(place["frame"], []).append(what)
            elif isinstance(place.get("line"), int):
                lines.setdefault((name, place["line"]), []).append(what)
    made = []
    for name, wanted in frames.items():
        wire = next((one.wire for one in call.evidence.packets if one.wire and _same(one.input, name)), None)
        if wire is not None:
            made.append(f"proof-{Path(name).name.split('.')[0]}.pcapng")
            _excerpt(bundle / made[-1], wire, wanted)
    quoted = []
    for (name, number), told in sorted(lines.items())[:MANY]:
        line = _line(bundle / CASE / name, number)
        if line is not None:
            quoted += [f"{name}, line {number}: {'; '.join(dict.fromkeys(told))}", f"    {line}"]
    if quoted:
        made.append("proof.txt")
        (bundle / made[-1]).write_text("\n".join(quoted) + "\n")
    return made


def _same(path: str, name: str) -> bool:
    return path == name or path.endswith(f"/{name}")


def _excerpt(path: Path, wire: "Wire", wanted: dict[int, list[str]]) -> None:
    packets = wire.packets
    with Writer(path, _NOTE) as out:
        for interface in packets.interfaces:
            out.interface(interface)
        if packets.secrets:
            out.secrets(b"".join(packets.secrets))
        for number in sorted(frame for frame in wanted if 0 < frame <= len(packets))[:MANY]:
            row = number - packets.first
            comment = f"frame {number}: " + "; ".join(dict.fromkeys(wanted[number]))
            out.frame(
                int(packets.interface[row]), int(packets.time[row]), packets.frame(number),
                int(packets.length[row]), terminal.printable(comment),
            )  # fmt: skip


def _line(path: Path, number: int) -> str | None:
    """A line of a text, where that is a file of its own."""
    if not path.is_file():
        return None
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", errors="replace") as file:
        return next((line.rstrip()[:2000] for line in itertools.islice(file, number - 1, number)), None)


def _issue(call: Any, said: dict[str, Any], text: str, files: list[str]) -> str:
    causes = [one.get("cause") for one in said.get("causes") or () if one.get("cause")]
    causes = causes or [one["cause"] for one in said.get("participants") or () if one.get("cause")]
    lost = sum(one.get("media_path") == "none" for one in said.get("participants") or ())
    title = (
        f"No media for {lost} of {len(said.get('participants') or ())} participants" if lost else "A call that works"
    )
    lines = [
        f"# {title}{': ' + ', '.join(dict.fromkeys(causes)) if causes else ''}", "",
        "## What happened", "", "```", text.strip(), "```", "",
        "## Versions", "", *(f"- {one}" for one in _versions(call)), "",
        "## Evidence", "",
        "Names, addresses, ids and secrets are pseudonyms, the same in every file; media payloads were dropped.", "",
        *(f"- `{name}`" for name in sorted(files)), "",
        "## How to look at it", "", "```", f"jitsilab diagnose {CASE}/", "```", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _versions(call: Any) -> list[str]:
    found = [f"jitsilab {metadata.version('jitsilab')}, Python {platform.python_version()}"]
    try:
        software = call.stun["software"].dropna().unique().tolist() if call.has("stun") else []
        found += [f"STUN says: {one}" for one in sorted(map(str, software))[:10]]
        versions = getattr(call.facts, "versions", None)
        found += [f"{name} {value}" for name, value in sorted(dict(versions or {}).items())]
    except (LabError, TypeError, ValueError):
        pass
    return found
