"""The issue pack: the shared case with its diagnosis, the frames that prove it, and a text for a project's tracker.

All of it is made from the shared evidence, so it cannot say more than that does.
"""

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

MANY = 200  # frames of one capture that are quoted
_NOTE = "Pseudonymised by jitsilab share: the frames that prove the diagnosis."


def write(bundle: Path, shared: "Shared") -> None:
    """Add diagnosis, proof and text to a bundle."""
    call = calls.load(bundle)
    diagnosis = call.diagnosis
    said = diagnosis.to_json()
    (bundle / "diagnosis.json").write_text(terminal.to_json(said, indent=1).replace(f"{bundle}/", "") + "\n")
    text = diagnosis.to_text().replace(f"{bundle}/", "")
    (bundle / "diagnosis.txt").write_text(text + "\n")
    proof = _proof(bundle, call, said)
    (bundle / "ISSUE.md").write_text(_issue(call, said, text, [*shared.files, *proof]))
    from jitsilab.sharing.case import sums

    shared.files += ["diagnosis.json", "diagnosis.txt", "ISSUE.md", *proof]
    sums(bundle, shared.files)


def _proof(bundle: Path, call: Any, said: dict[str, Any]) -> list[str]:
    """The frames that the diagnosis names, of the first capture, with what they are named for."""
    wire = call.wire
    wanted: dict[int, list[str]] = {}
    for one in said.get("participants") or ():
        who = one.get("nick") or one.get("id") or "a participant"
        for frame in list(one.get("frames") or ())[:MANY]:
            if isinstance(frame, int):
                wanted.setdefault(frame, []).append(f"{who}: {one.get('cause') or one.get('media_path')}")
    if wire is None or not wanted:
        return []
    packets = wire.packets
    with Writer(bundle / "proof.pcapng", _NOTE) as out:
        for interface in packets.interfaces:
            out.interface(interface)
        if packets.secrets:
            out.secrets(b"".join(packets.secrets))
        for number in sorted(frame for frame in wanted if 0 < frame <= len(packets))[:MANY]:
            row = number - packets.first
            comment = f"frame {number}: " + "; ".join(dict.fromkeys(wanted[number]))
            out.frame(
                int(packets.interface[row]), int(packets.time[row]), packets.frame(number),
                int(packets.length[row]), comment,
            )  # fmt: skip
    return ["proof.pcapng"]


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
        "## How to look at it", "", "```", "jitsilab diagnose .", "```", "",
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
