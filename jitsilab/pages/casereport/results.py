"""``results.json``: what the report says, for programs; `results.schema.json` beside this module is its contract."""

import json
from importlib import resources
from typing import Any

import pandas as pd

from jitsilab import __version__
from jitsilab.judge.diagnosis.changes import Changes
from jitsilab.pages.casereport import cards
from jitsilab.pages.casereport.contents import Contents
from jitsilab.pages.casereport.document import words

FORMAT = "urn:jitsilab:case-report:1"


def schema() -> dict[str, Any]:
    """The JSON schema of ``results.json``."""
    file = resources.files("jitsilab.pages.casereport") / "assets" / "results.schema.json"
    made: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return made


def as_json(contents: Contents, name: str, changed: Changes | None = None) -> dict[str, Any]:
    """Everything, with inputs by their short names."""
    diagnosis = _short(contents.diagnosis.to_json(), contents)
    capture = contents.places.short(contents.places.captures[0]) if len(contents.places.captures) == 1 else ""
    return {
        "format": FORMAT, "version": __version__, "name": name,
        "verdict": cards.verdict(contents.diagnosis), "state": cards.tone(contents.diagnosis),
        "diagnosis": {key: value for key, value in diagnosis.items() if key != "version"},
        "steps": [
            {"step": row.step, "title": row.title, "participant": _word(row.participant), "session": _word(row.session),
             "verdict": row.verdict, "certainty": row.certainty, "note": row.note, "frames": list(map(int, row.frames)),
             "capture": contents.places.short(contents.places.captures[int(row.capture)])}
            for row in contents.steps.itertuples()
        ],
        "findings": [
            {key: value for key, value in _short(one.as_dict(capture), contents).items() if key != "places"}
            for one in contents.findings
        ],
        "ladders": [
            {"caption": words(ladder.caption), "lanes": ladder.lanes, "left_out": ladder.left_out,
             "events": [
                 {"seconds": round(one.seconds, 6), "place": _short(one.place.to_json(), contents),
                  "source": one.source, "target": one.target,
                  "layer": one.kind, "label": one.label, "by_length": one.hidden}
                 for one in ladder.events
             ]}
            for ladder in contents.ladders
        ],
        "streams": [
            {"name": one.name, "from": one.sender, "to": one.receiver, "kind": one.kind or None,
             "codec": one.codec or None, "ssrc": one.ssrc, "packets": one.packets, "bytes": one.bytes,
             "lost": one.lost, "jitter_ms": round(one.jitter_ms, 3) if one.jitter_ms == one.jitter_ms else None,
             "first_seconds": round(one.start, 6), "last_seconds": round(one.end, 6), "first_frame": one.first_frame,
             "capture": contents.places.short(one.input)}
            for one in contents.streams
        ],
        "changes": changed.to_json() if changed is not None else None,
    }  # fmt: skip


def _word(value: Any) -> str | None:
    return None if value is None or pd.isna(value) or value == "" else str(value)


def _short(value: Any, contents: Contents) -> Any:
    """JSON in which no input is named by the folders of this machine."""
    if isinstance(value, dict):
        return {key: _short(one, contents) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_short(one, contents) for one in value]
    return contents.places.shortened(value) if isinstance(value, str) else value
