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
            {key: value for key, value in _short(finding.as_dict(capture), contents).items() if key != "places"}
            for finding in contents.findings
        ],
        "ladders": [
            {"caption": words(ladder.caption), "lanes": ladder.lanes, "left_out": ladder.left_out,
             "events": [
                 {"seconds": round(event.seconds, 6), "place": _short(event.place.to_json(), contents),
                  "source": event.source, "target": event.target,
                  "layer": event.kind, "label": event.label, "by_length": event.hidden}
                 for event in ladder.events
             ]}
            for ladder in contents.ladders
        ],
        "streams": [
            {"name": stream.name, "from": stream.sender, "to": stream.receiver, "kind": stream.kind or None,
             "codec": stream.codec or None, "ssrc": stream.ssrc, "packets": stream.packets,
             "bytes": stream.bytes, "lost": stream.lost,
             "jitter_ms": round(stream.jitter_ms, 3) if stream.jitter_ms == stream.jitter_ms else None,
             "first_seconds": round(stream.start, 6), "last_seconds": round(stream.end, 6),
             "first_frame": stream.first_frame, "capture": contents.places.short(stream.input)}
            for stream in contents.streams
        ],
        "changes": changed.to_json() if changed is not None else None,
    }  # fmt: skip


def _word(value: Any) -> str | None:
    return None if value is None or pd.isna(value) or value == "" else str(value)


def _short(value: Any, contents: Contents) -> Any:
    """JSON in which no input is named by the folders of this machine."""
    if isinstance(value, dict):
        return {key: _short(inner, contents) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_short(inner, contents) for inner in value]
    return contents.places.shortened(value) if isinstance(value, str) else value
