"""Writes tests/kept/: what is said of recordings, as it was read and found right: `python tests/kept_judgments.py`."""

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from calls import named

import jitsilab as jl
from jitsilab import facts
from jitsilab.call import Call
from jitsilab.inputs import registry
from jitsilab.judge import findings

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "tests" / "kept"
REPORTS = ROOT / "tests" / "reports"
NAMES = (
    "jvb-2", "jvb-bosh", "jvb-p2p-3", "jvb-ipv6", "leave-rejoin", "no-bridge", "turn-refused", "turn-auth", "turn-off",
    "no-turn", "colibri-off", "auth-required", "token-expired", "dtls-drop", "fp-munge", "nat-map-missing-no-turn",
    "udp-closed", "hairpin", "tls-old", "clear-5222", "project3-2020",
)  # fmt: skip
MOST = 4  # frames of a line
DATED = "SEC-13"  # certificates in date: today's
UNDATED = {"token-issuer-unknown-2020", "token-out-of-date-2022"}  # the year of their lines is that of the file
WIDE = 10_000  # columns, so that no line is broken


def steps(name: str) -> list[str]:
    """Each step of each participant and session."""
    rows = named(name).steps
    return [" ".join(rows.columns)] + [
        f"{row.step} {row.participant} {row.session or '-'}: {row.verdict}, {row.certainty}"
        f"{f' ({row.variant})' if row.variant else ''}: {row.note} {list(row.frames)[:MOST]}"
        for row in rows.itertuples()
    ]


def audit(name: str) -> list[str]:
    """Each check, with the facts of the server."""
    entry = registry.find(name)
    folder = entry.facts or (entry.tables / "facts" if entry.tables else None)
    found = findings.audit(named(name), facts.load(folder) if folder else None)
    return [
        f"{one.id}: {one.result}, {one.certainty}, {one.severity}: {one.evidence} "
        f"{list(one.frames)[:MOST]} {list(one.places)[:MOST]}"
        for one in found
        if one.id != DATED
    ]


def answer(name: str) -> list[str]:
    """The answer to what went wrong, for people and for programs."""
    return _answer(named(name))


def _answer(call: Call) -> list[str]:
    told = call.diagnosis
    lists = {name: rows for name, rows in told.to_json().items() if isinstance(rows, list) and name != "inputs"}
    lines = [f"{name}: {json.dumps(row, ensure_ascii=False)}" for name, rows in lists.items() for row in rows]
    text = [*told.to_text(WIDE, short=not call.packets).splitlines(), *lines]
    return [line.replace(f"{ROOT}/", "").replace("data/captures/", "") for line in text]


def report(name: str) -> list[str]:
    """The answer to what somebody reported."""
    return _answer(jl.load(*(str(path) for path in given(name))))


def given(name: str) -> list[Path]:
    """The files of a report that are named on the command line; empty where that is not all of it."""
    want = _reports()[name]
    if want.get("stdin") or want.get("refuse") or any(word.startswith("-") for word in want["argv"]):
        return []
    return [REPORTS / name / word for word in want["argv"]]


@cache
def _reports() -> dict[str, Any]:
    lists = ("threads.json", "expected.json", "browser.json")
    return {name: want for file in lists for name, want in json.loads((REPORTS / file).read_text()).items()}


SECTIONS: dict[str, Callable[[str], list[str]]] = {"steps": steps, "audit": audit, "answer": answer, "report": report}
PAGES = {name: ("steps", "audit", "answer") for name in NAMES} | {
    name: ("report",) for name in sorted(_reports().keys() - UNDATED) if given(name)
}


def kept(name: str) -> dict[str, list[str]]:
    """The sections of a page."""
    parts = f"\n{(KEPT / f'{name}.txt').read_text(encoding='utf-8')}".split("\n# ")[1:]
    return {head: body.splitlines() for head, _, body in (part.partition("\n") for part in parts)}


def main(names: list[str]) -> None:
    """Write the pages that are named, or all."""
    KEPT.mkdir(exist_ok=True)
    for name in names or PAGES:
        parts = [f"# {one}\n" + "".join(f"{line}\n" for line in SECTIONS[one](name)) for one in PAGES[name]]
        (KEPT / f"{name}.txt").write_text("".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
