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
    for piece in pieces:
        piece.rename(case / piece.name)
    call = calls.load(case)
    diagnosis = call.diagnosis
    answer = diagnosis.to_json()
    (bundle / "diagnosis.json").write_text(terminal.to_json(answer, indent=1).replace(f"{case}/", "") + "\n")
    text = diagnosis.to_text().replace(f"{case}/", "")
    (bundle / "diagnosis.txt").write_text(text + "\n")
    proof = _proof(bundle, call, answer)
    files = [f"{CASE}/{name}" for name in shared.files]
    (bundle / "ISSUE.md").write_text(_issue(call, answer, text, [*files, *proof]))
    from jitsilab.sharing.case import sums

    shared.files = [*files, "diagnosis.json", "diagnosis.txt", "ISSUE.md", *proof]
    sums(bundle, shared.files)


def _proof(bundle: Path, call: Any, answer: dict[str, Any]) -> list[str]:
    """The frames and lines that the diagnosis names, with what they are named for."""
    frames: dict[str, dict[int, list[str]]] = {}
    lines: dict[tuple[str, int], list[str]] = {}
    for what, entry in [
        *((str(cause.get("cause")), cause) for cause in answer.get("causes") or ()),
        *((f"{person.get('nick') or person.get('id')}: {person.get('cause') or person.get('media_path')}", person)
          for person in answer.get("participants") or ()),
    ]:  # fmt: skip
        for place in list(entry.get("evidence") or ())[:MANY]:
            name = str(place.get("input")).removeprefix(f"{bundle / CASE}/")
            if isinstance(place.get("frame"), int):
                frames.setdefault(name, {}).setdefault(place["frame"], []).append(what)
            elif isinstance(place.get("line"), int):
                lines.setdefault((name, place["line"]), []).append(what)
    made = []
    for name, wanted in frames.items():
        wire = next(
            (source.wire for source in call.evidence.packets if source.wire and _same(source.input, name)), None
        )
        if wire is not None:
            made.append(f"proof-{Path(name).name.split('.')[0]}.pcapng")
            _excerpt(bundle / made[-1], wire, wanted)
    quoted = []
    for (name, number), reasons in sorted(lines.items())[:MANY]:
        line = _line(bundle / CASE / name, number)
        if line is not None:
            quoted += [f"{name}, line {number}: {'; '.join(dict.fromkeys(reasons))}", f"    {line}"]
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


def _issue(call: Any, answer: dict[str, Any], text: str, files: list[str]) -> str:
    causes = [cause.get("cause") for cause in answer.get("causes") or () if cause.get("cause")]
    causes = causes or [person["cause"] for person in answer.get("participants") or () if person.get("cause")]
    lost = sum(person.get("media_path") == "none" for person in answer.get("participants") or ())
    title = (
        f"No media for {lost} of {len(answer.get('participants') or ())} participants" if lost else "A call that works"
    )
    lines = [
        f"# {title}{': ' + ', '.join(dict.fromkeys(causes)) if causes else ''}", "",
        "## What happened", "", "```", text.strip(), "```", "",
        "## Versions", "", *(f"- {version}" for version in _versions(call)), "",
        "## Evidence", "",
        "Names, addresses, ids and secrets are pseudonyms, the same in every file; media payloads were dropped.", "",
        *(f"- `{name}`" for name in sorted(files)), "",
        "## How to look at it", "", "```", f"jitsilab diagnose {CASE}/", "```", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _versions(call: Any) -> list[str]:
    lines = [f"jitsilab {metadata.version('jitsilab')}, Python {platform.python_version()}"]
    try:
        software = call.stun["software"].dropna().unique().tolist() if call.has("stun") else []
        lines += [f"STUN says: {name}" for name in sorted(map(str, software))[:10]]
        versions = getattr(call.facts, "versions", None)
        lines += [f"{name} {value}" for name, value in sorted(dict(versions or {}).items())]
    except (LabError, TypeError, ValueError):
        pass
    return lines
