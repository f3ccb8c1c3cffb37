"""What a survey keeps of one case: rows of the tables ``calls``, ``participants``, ``findings``, ``errors``.

A column has one type in every case, also where it is empty, so that the files of all cases are one dataset. No secret
is in these four; a table that was asked for by name shows what was said, as `jitsilab table` does.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from jitsilab.errors import ParameterError, Problem
from jitsilab.facts.programs import PACKAGES
from jitsilab.fleet import times
from jitsilab.ip import is_loopback
from jitsilab.judge.findings import RESULTS, SEVERITIES, audit
from jitsilab.tables import TIME, Schema, as_text

if TYPE_CHECKING:
    import pyarrow as pa

    from jitsilab.call import Call
    from jitsilab.judge.diagnosis.answer import Diagnosed, Diagnosis
    from jitsilab.judge.findings import Finding

MOST_ERRORS = 1000  # rows of one case: a damaged file may give one for each of its frames
LIST = "list"  # of text, where a schema says so
_SERVER: Schema = {
    "source": ("str", "the case as it was named: a file, folder or address"),
    "server": ("str", "the server: its public address where known, else its address, else its domain"),
    "version": ("str", "of the bridge, else of the focus; empty where nothing tells"),
}
CALLS: Schema = {
    **_SERVER,
    "first_time": (TIME, "time of the first frame or event"),
    "last_time": (TIME, "time of the last one"),
    "rooms": (LIST, "rooms that the evidence names, without domain"),
    "domain": ("str", "the name that participants open, by the configuration"),
    "addresses": (LIST, "the server's own addresses"),
    "bridge_version": ("str", "what the bridge says of itself, else its package"),
    "focus_version": ("str", "the same of the focus"),
    "prosody_version": ("str", "the same of Prosody"),
    "jitsi": ("str", "why this is a Jitsi call; empty where nothing shows that it is one"),
    "participants": ("Int64", "how many"),
    "with_media": ("Int64", "how many had media at the end"),
    "without_media": ("Int64", "how many had none"),
    "cause": ("str", "the first cause, in the order of docs/causes.md"),
    "reason": ("str", "its reason, where it is known"),
    "causes": (LIST, "every cause of the case, with its reason behind a colon"),
    "conditions": (LIST, "what is true beside media"),
    "certainty": ("str", "of the first cause: measured, deduced or inferred"),
    "advice": ("str", "what to change"),
    "open": ("Int64", "questions that the evidence leaves open"),
    "failed": ("Int64", "security checks that fail"),
    "worst": ("str", "the gravest severity among them"),
    "kinds": (LIST, "kinds of evidence"),
    "unread": (LIST, "pieces that are no evidence of a kind that is known"),
    "frames": ("Int64", "frames of all captures"),
    "bytes": ("Int64", "bytes of all files"),
    "note": ("str", "what of the captures is not read"),
    "tool": ("str", "version of jitsilab"),
}
PARTICIPANTS: Schema = {
    **_SERVER,
    "participant": ("str", "display name, else address, else the endpoint's id"),
    "addresses": (LIST, "addresses without ports"),
    "endpoints": (LIST, "endpoint ids, one for each connection"),
    "media_path": ("str", "last path of media: p2p, jvb-udp, turn-udp, turn-tcp, turn-tls, none, not-observable"),
    "media_paths": (LIST, "every path that carried media, with the seconds from and to"),
    "stage": ("str", "how far the session came"),
    "turn_stage": ("str", "how far the participant came with TURN"),
    "cause": ("str", "why there are no media; empty where there are"),
    "reason": ("str", "why the cause holds"),
    "open_causes": (LIST, "what remains open where the cause is undetermined"),
    "conditions": (LIST, "what is true beside media"),
    "certainty": ("str", "measured, deduced or inferred"),
    "begun": (TIME, "the first that is seen of the participant; from it the next four count"),
    "join_s": ("float64", "s until in the room"),
    "ice_s": ("float64", "s until a check was answered on a way that connected"),
    "dtls_s": ("float64", "s until encrypted DTLS of both sides"),
    "media_s": ("float64", "s until the first packet of media that lasted"),
    "clock": ("str", "the piece of evidence by whose clock"),
    "proof": (LIST, "places that prove the answer: frames, lines, entries"),
    "advice": ("str", "what to change"),
    "note": ("str", "the reason in a sentence"),
}
FINDINGS: Schema = {
    **_SERVER,
    "id": ("str", "SEC-01 to SEC-41"),
    "area": ("str", "A to F"),
    "title": ("str", "what a failure means"),
    "result": ("str", "FAIL, PASS, INFO, NOT_OBSERVABLE or NOT_APPLICABLE"),
    "severity": ("str", "critical, high, medium, low, info: of a failure"),
    "certainty": ("str", "measured, deduced, or inferred"),
    "seen": ("str", "what was seen"),
    "input": ("str", "the capture that the frames are of"),
    "frames": (LIST, "frames that show it"),
    "places": (LIST, "file:line of the configuration that shows it"),
    "advice": ("str", "what to change"),
}
ERRORS: Schema = {
    "source": _SERVER["source"],
    "input": ("str", "the piece of evidence"),
    "frame": ("Int64", "frame or line; 0 where the file as a whole is meant"),
    "protocol": ("str", "what was being read"),
    "offset": ("Int64", "bytes from the start of what was being read"),
    "message": ("str", "what is wrong"),
    "lost": ("bool", "nothing of the case could be read"),
}
SCHEMAS: dict[str, Schema] = {"calls": CALLS, "participants": PARTICIPANTS, "findings": FINDINGS, "errors": ERRORS}
_TEXT = {"str", "object"}


def arrow(schema: Schema) -> "pa.Schema":
    """The types of a table's columns in its files."""
    import pyarrow as pa

    types: dict[str, pa.DataType] = {
        "str": pa.large_string(), "object": pa.large_string(), LIST: pa.list_(pa.string()), "bool": pa.bool_(),
        "boolean": pa.bool_(), "float64": pa.float64(), TIME: pa.timestamp("ns", "UTC"),
    }  # fmt: skip
    return pa.schema([(name, types.get(dtype, pa.int64())) for name, (dtype, _) in schema.items()])


def named(name: str) -> Schema:
    """Columns of a further table, ``source`` and ``input`` before its own. Raises where there is none of that name."""
    from jitsilab.call import schemas

    known = schemas()
    if name not in known or name in SCHEMAS:
        there = ", ".join(key for key in known if key not in SCHEMAS)
        raise ParameterError(f"There is no further table {name!r}. There are: {there}.")
    return {"source": _SERVER["source"], "input": ("str", "the piece of evidence"), **known[name]}


def of_call(call: "Call", source: str, size: int) -> dict[str, list[dict[str, Any]]]:
    """The rows of the four tables."""
    diagnosis: Diagnosis = call.diagnosis
    findings = _audited(call)
    versions = _versions(call)
    server = {"source": source, "server": _server(call, diagnosis), "version": versions[0] or versions[1]}
    took = times.of_call(call)
    return {
        "calls": [server | _call(call, diagnosis, [finding for finding, _ in findings], versions, size)],
        "participants": [
            server | _participant(person, took.get(person.id, times.Times())) for person in diagnosis.people
        ],
        "findings": [server | _finding(finding, input) for finding, input in findings],
        "errors": errors(source, _problems(call)),
    }


def _audited(call: "Call") -> "list[tuple[Finding, str]]":
    """Every check once, with the capture that its frames are of: of several captures the one that says most.

    A failure counts before everything, for each capture has frames and flows of its own; what one does not show
    another may.
    """
    from jitsilab.call import Call
    from jitsilab.inputs import Evidence

    captures = call.evidence.of_kind("capture", "print", "tables")
    if len(captures) < 2:
        input = call.packets[0].input if call.packets else ""
        return [(finding, input) for finding in audit(call if call.packets else None, call.facts)]
    others = [piece for piece in call.evidence.pieces if piece.kind not in ("capture", "print", "tables")]
    best: dict[str, tuple[Finding, str]] = {}
    for piece in captures:
        alone = Call(call.name, Evidence([piece, *others]), facts=call.facts)
        for finding in audit(alone, call.facts):
            if finding.id not in best or RESULTS.index(finding.result) < RESULTS.index(best[finding.id][0].result):
                best[finding.id] = (finding, piece.input)
    return [*best.values()]


def errors(source: str, problems: Iterable[tuple[str, Problem]], lost: bool = False) -> list[dict[str, Any]]:
    """What could not be read, each once; of very many the first, and how many there are."""
    every = list(dict.fromkeys(problems))
    rows = [
        {"source": source, "input": input, **problem._asdict(), "lost": lost} for input, problem in every[:MOST_ERRORS]
    ]
    if len(every) > MOST_ERRORS:
        more = Problem(0, "", 0, f"{len(every) - MOST_ERRORS} more, which are not listed")
        rows.append({"source": source, "input": "", **more._asdict(), "lost": lost})
    return rows


def further(call: "Call", name: str, source: str) -> "Iterator[pa.Table]":
    """The parts of a table of the call, as the dataset has it; none where the evidence cannot show it."""
    import pyarrow as pa

    schema = named(name)
    lists = {column: "str" for column, (dtype, _) in schema.items() if dtype == "object"}
    for part in call.chunks(name):
        rows = part.assign(source=source)
        if "input" not in rows:
            rows = rows.assign(input=call.packets[0].input if call.packets else "")
        for column in schema:
            if column not in rows:
                rows[column] = None
        if lists:
            rows = rows.assign(**{column: as_text(rows[[column]])[column] for column in lists})
        yield pa.Table.from_pandas(rows[list(schema)], arrow(schema), preserve_index=False)


def _problems(call: "Call") -> list[tuple[str, Problem]]:
    problems = []
    for piece in call.evidence.pieces:
        if piece.source is not None:
            known: Callable[[], list[Problem]] | None = getattr(piece.source, "known_problems", None)
            problems += [
                (piece.input, problem) for problem in (known() if known is not None else piece.source.problems)
            ]
    return problems


def _versions(call: "Call") -> tuple[str, str, str]:
    """Of bridge, focus and Prosody: what the program itself says counts more than what package is installed."""
    by_program: dict[str, str] = {}
    events = call.table("events")
    if events is not None and len(events):
        lines = events[events["event"].isin(["version-told", "program-started"]) & events["value"].notna()]
        by_program = {str(p): str(v) for p, v in zip(lines["program"], lines["value"], strict=True) if v}
    packages = {"jvb": PACKAGES["bridge"], "jicofo": PACKAGES["focus"], "prosody": ("prosody",)}
    versions = []
    for program, names in packages.items():
        fact = call.facts.version(*names) if call.facts is not None else None
        versions.append(by_program.get(program) or (str(fact.value) if fact is not None else ""))
    return versions[0], versions[1], versions[2]


def _domain(call: "Call") -> str:
    value = call.facts.deployment.domain().value if call.facts is not None else None
    return value if isinstance(value, str) else ""


def _server(call: "Call", diagnosis: "Diagnosis") -> str:
    known = diagnosis.server
    own = [address for address in known["addresses"] if not is_loopback(address)]
    return str(known["public_address"] or next(iter(own), "") or _domain(call))


def _call(
    call: "Call", diagnosis: "Diagnosis", findings: "list[Finding]", versions: tuple[str, str, str], size: int
) -> dict[str, Any]:
    from jitsilab import __version__

    first, last = _span(call)
    paths = [person.media_path for person in diagnosis.people]
    failed = [finding for finding in findings if finding.result == "FAIL"]
    cause = diagnosis.causes[0] if diagnosis.causes else None
    return {
        "first_time": first, "last_time": last, "rooms": [str(meeting["room"]) for meeting in diagnosis.calls],
        "domain": _domain(call), "addresses": diagnosis.server["addresses"], "bridge_version": versions[0],
        "focus_version": versions[1], "prosody_version": versions[2], "jitsi": diagnosis.server["evidence"],
        "participants": len(paths), "with_media": sum(path not in ("none", "not-observable") for path in paths),
        "without_media": paths.count("none"), "cause": cause.name if cause else None,
        "reason": cause.reason if cause else None,
        "causes": [f"{statement.name}:{statement.reason}" if statement.reason else statement.name
                   for statement in diagnosis.causes],
        "conditions": [condition.name for condition in diagnosis.conditions],
        "certainty": cause.certainty if cause else None,
        "advice": str(diagnosis.advice.get((cause.name, cause.reason), "")) if cause else None,
        "open": len(diagnosis.open), "failed": len(failed),
        "worst": min((finding.severity for finding in failed), key=SEVERITIES.index, default=None),
        "kinds": list(dict.fromkeys(piece.kind for piece in call.evidence.pieces)),
        "unread": [piece.input for piece in call.evidence.of_kind("unknown", "archive")],
        "frames": sum(_frames(source) for source in call.packets), "bytes": size, "note": call.unread,
        "tool": __version__,
    }  # fmt: skip


def _frames(source: Any) -> int:
    if source.wire is not None:
        return len(source.wire.packets)
    rows = source.table("frames")
    return 0 if rows is None else len(rows)


def _span(call: "Call") -> tuple[int | None, int | None]:
    """The first and the last moment that packets show, else those of which lines tell, ns since the epoch."""
    moments: list[int] = []
    for source in call.packets:
        if source.wire is not None:
            time = source.wire.packets.time[source.wire.packets.timed]
            moments += [int(time.min()), int(time.max())] if len(time) else []
        elif (rows := source.table("frames")) is not None:
            moments += _ends(rows["time"])
    if not moments:
        stamps = [row[name] for row in call.diagnosis.inputs for name in ("first_time", "last_time") if row.get(name)]
        moments = [int(pd.Timestamp(stamp).value) for stamp in stamps]
    return min(moments, default=None), max(moments, default=None)


def _ends(time: pd.Series) -> list[int]:
    known = time.dropna()
    return [int(known.min().value), int(known.max().value)] if len(known) else []


def _participant(person: "Diagnosed", took: times.Times) -> dict[str, Any]:
    return {
        "participant": person.id, "addresses": person.addresses, "endpoints": person.endpoints,
        "media_path": person.media_path,
        "media_paths": [f"{path.name}@{path.start:.3f}-{path.end:.3f}" for path in person.media_paths],
        "stage": person.stage, "turn_stage": person.turn_stage, "cause": person.cause, "reason": person.reason,
        "open_causes": person.open_causes, "conditions": [each.name for each in person.conditions],
        "certainty": person.certainty, "begun": took.begun, "join_s": took.join, "ice_s": took.ice, "dtls_s": took.dtls,
        "media_s": took.media, "clock": took.clock, "proof": [str(place) for place in person.evidence],
        "advice": person.advice, "note": person.note,
    }  # fmt: skip


def _finding(finding: "Finding", input: str) -> dict[str, Any]:
    return {
        "id": finding.id, "area": finding.rule.area, "title": finding.rule.title, "result": finding.result,
        "severity": finding.severity,
        "certainty": finding.certainty, "seen": finding.evidence, "input": input if finding.frames else "",
        "frames": list(finding.frames), "places": list(finding.places), "advice": finding.rule.advice,
    }  # fmt: skip


def table(rows: "list[dict[str, Any]]", schema: Schema, rename: Mapping[str, str]) -> "pa.Table":
    """Rows as the dataset has them; ``rename`` gives of a path on this machine what the user calls it."""
    import pyarrow as pa

    columns = {}
    for name, kind in zip(schema, arrow(schema).types, strict=True):
        values = [row.get(name) for row in rows]
        if pa.types.is_list(kind):
            values = [[_clean(str(each), rename) for each in value or ()] for value in values]
        elif pa.types.is_large_string(kind):
            values = [_clean(str(value), rename) if value else None for value in values]
        columns[name] = pa.array(values, kind)
    return pa.table(columns, schema=arrow(schema))


def renamed(whole: "pa.Table", rename: Mapping[str, str]) -> "pa.Table":
    """A whole table with its ``input`` as the user calls it."""
    import pyarrow as pa

    place = whole.schema.get_field_index("input")
    if place < 0 or not rename:
        return whole
    known = whole.column(place).to_pylist()
    values = [_clean(value, rename) if value is not None else None for value in known]
    return whole.set_column(place, whole.schema.field(place), pa.array(values, whole.schema.types[place]))


def _clean(text: str, rename: Mapping[str, str]) -> str:
    """Text that a file of text may hold, with paths as the user wrote them."""
    for path, shown in rename.items():
        if path in text:
            text = text.replace(path, shown)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()  # a lone surrogate is no text
