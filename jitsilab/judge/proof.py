"""The frames and lines that bear out a cause, a condition, a step or a security check, for Wireshark and for reading.

Of each frame it is said what it is and what it is wanted for. Several captures become one file, in order of time, with
an interface for each of theirs that names the capture; each comment has the frame's number where it came from.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jitsilab import terminal
from jitsilab.errors import ParameterError
from jitsilab.judge.causes import CAUSES, CONDITIONS
from jitsilab.judge.causes.catalogue import words_of
from jitsilab.place import Place, of_text
from jitsilab.tables.xmpp import redacted

if TYPE_CHECKING:
    from jitsilab.inputs.packets import PacketTables

MOST_FLOW = 20_000  # frames of a connection that go with its keys
MOST_LINE = 2_000  # characters of a line
MOST_LINES = 1 << 22  # lines of a file that are gone through
_SECRET = re.compile(
    r"(?i)((?<![a-z])(?:\w*passw(?:or)?d|passwd|pwd|\w*secret|credentials?|app_id|token|jwt|authorization|ice-pwd|ufrag|username)"
    r"[\"'\\]{0,2}\s?[=:]\s?[\"'\\]{0,2})([^\s\"'<>&;,}\\]{3,})"
)
_SASL = re.compile(r"(<(?:auth|response|challenge|success)\b[^>]*>)[^<]+")
_WORD = re.compile(r"\S+")  # a request target ends with its word, its parameters too
_LONG = re.compile(r"(?<![\w./-])(?=[\w+/=-]*\d)[A-Za-z0-9+/_=-]{24,}(?![\w./-])")


class Line(NamedTuple):
    """A line that bears it out; secrets in it are ***."""

    place: Place
    text: str


@dataclass(slots=True)
class Proof:
    """What bears something out."""

    title: str
    reasons: dict[str, dict[int, list[str]]] = field(default_factory=dict)  # by input: what each frame is wanted for
    places: list[Place] = field(default_factory=list)  # lines and entries

    def add(self, places: Iterable[Place], reason: str) -> None:
        """Take in places, and what they are wanted for."""
        for place in places:
            if place.frame is None:
                if place not in self.places:
                    self.places.append(place)
                continue
            reasons = self.reasons.setdefault(place.input, {}).setdefault(place.frame, [])
            if reason not in reasons:
                reasons.append(reason)

    def filters(self) -> dict[str, str]:
        """By input the display filter that shows the frames in the capture itself."""
        return {
            input: f"frame.number in {{{', '.join(map(str, sorted(frames)))}}}"
            for input, frames in self.reasons.items()
        }


def gather(call: Any, *, cause: str | None = None, step: str | None = None, check: str | None = None) -> Proof:
    """What bears out one of these in a `jitsilab.call.Call`.

    ``cause`` is a cause or a condition, with ``/REASON`` where one is meant; ``step`` and ``check`` are ids. Raises
    ParameterError where there is no such name, or where the evidence does not show it.
    """
    given = [(kind, name) for kind, name in (("cause", cause), ("step", step), ("check", check)) if name is not None]
    if len(given) != 1:
        raise ParameterError("Name one of a cause (or a condition), a step, or a check.")
    ((kind, name),) = given
    return {"cause": _of_cause, "step": _of_step, "check": _of_check}[kind](call, name)


def _of_cause(call: Any, given: str) -> Proof:
    name, _, reason = given.partition("/")
    if name not in CAUSES and name not in CONDITIONS:
        raise ParameterError(terminal.unknown("cause or condition", name, (*CAUSES, *CONDITIONS)))
    answer = call.diagnosis
    statements = [
        statement
        for statement in (*answer.causes, *answer.conditions)
        if statement.name == name and reason in ("", statement.reason)
    ]
    if not statements:
        shown = [statement.name for statement in (*answer.causes, *answer.conditions)]
        there = f"It shows {', '.join(dict.fromkeys(shown))}." if shown else "It shows no cause and no condition."
        raise ParameterError(f"This evidence does not show {given}. {there}")
    proof = Proof(words_of(name, statements[0].reason) if name in CAUSES else CONDITIONS[name].words)
    for statement in statements:
        words = words_of(name, statement.reason) if name in CAUSES else CONDITIONS[name].words
        who = f"{', '.join(statement.participants)}: " if statement.participants else ""
        proof.add(statement.evidence, f"{who}{words} [{given}, {statement.certainty}]")
    for person in answer.people:
        if person.cause == name and reason in ("", person.reason):
            places = [Place(person.input, frame) for frame in person.frames] if person.input else []
            proof.add([*person.evidence, *places], f"{person.id}: {person.note or proof.title} [{name}]")
    return proof


class _Alone(NamedTuple):
    """One capture as steps and checks look at a call."""

    source: "PacketTables"

    def tables(self) -> "Mapping[str, Any]":
        return self.source


def _of_step(call: Any, given: str) -> Proof:
    from jitsilab.judge import theory

    known = {each.id: each for each in theory.STEPS}
    if given.upper() not in known:
        raise ParameterError(terminal.unknown("step", given, known))
    step = known[given.upper()]
    proof = Proof(step.title)
    verdicts = []
    for source in call.packets:
        rows = theory.steps(_Alone(source))
        for row in rows[rows["step"].eq(step.id)].itertuples():
            verdicts.append(str(row.verdict))
            who = f"{row.participant}: " if row.participant else ""
            note = f": {row.note}" if row.note else ""
            places = [Place(source.input, int(frame)) for frame in row.frames]
            proof.add(places, f"{who}{step.id} {step.title}: {row.verdict}{note}")
    return _shown(proof, step.id, verdicts)


def _of_check(call: Any, given: str) -> Proof:
    from jitsilab.judge import findings

    known = {each.id: each for each in findings.RULES}
    if given.upper() not in known:
        raise ParameterError(terminal.unknown("check", given, known))
    rule = known[given.upper()]
    proof = Proof(rule.title)
    verdicts = []
    for source in [*call.packets] or [None]:
        every = findings.audit(_Alone(source) if source is not None else None, call.facts)
        finding = next(each for each in every if each.id == rule.id)
        verdicts.append(finding.result)
        reason = (
            f"{finding.id} {finding.title}: {finding.result}"
            f"{f' ({finding.severity})' if finding.result == 'FAIL' else ''}"
        )
        places = [Place(source.input, frame) for frame in finding.frames] if source is not None else []
        proof.add([*places, *map(of_text, finding.places)], f"{reason}: {finding.evidence}")
    return _shown(proof, rule.id, verdicts)


def _shown(proof: Proof, id: str, verdicts: Sequence[str]) -> Proof:
    if not proof.reasons and not proof.places:
        results = ", ".join(dict.fromkeys(verdicts)) or "not asked, without a capture"
        raise ParameterError(f"No frame and no line shows {id} ({proof.title}): {results}.")
    return proof


# ---- frames


class Written(NamedTuple):
    """What was written."""

    frames: int
    captures: int
    keys: int  # connections whose secrets are in it
    unwritten: tuple[str, ...]  # inputs whose frames there are no bytes of: prints, tables


def write(call: Any, proof: Proof, path: str | Path, *, with_keys: bool = False) -> Written:
    """The frames as a pcapng with comments; ``with_keys`` adds the secrets of their connections, which go whole then.

    Without the frames before it no record can be decrypted; so with keys each TLS connection is there from its start.
    """
    from jitsilab.pcap.writing import Writer

    sources = {capture.input: capture for capture in call.packets}
    written: list[tuple[PacketTables, dict[int, str]]] = []
    unwritten = []
    for input, reasons in proof.reasons.items():
        source = sources.get(input)
        if source is None or source.wire is None:
            unwritten.append(input)
            continue
        there = {frame: why for frame, why in reasons.items() if 0 < frame <= len(source.wire.packets)}
        what = describe(source, there)
        comments = {
            frame: terminal.printable("; ".join((f"{Path(input).name} frame {frame}", *what.get(frame, ()), *why)))
            for frame, why in there.items()
        }
        written.append((source, comments))
    if not any(comments for _, comments in written):
        return Written(0, 0, 0, tuple(unwritten))
    keys = {input: _keys(source, comments) for source, comments in written for input in [source.input] if with_keys}
    with Writer(Path(path), terminal.printable(f"jitsilab evidence: {proof.title}")) as out:
        rows: list[tuple[int, int, int, PacketTables, int, str]] = []  # time, input, frame, ..., interface, comment
        interfaces = 0
        for number, (source, comments) in enumerate(written):
            assert source.wire is not None
            packets = source.wire.packets
            for interface in packets.interfaces:
                name = f"{Path(source.input).name}: {interface.name}" if interface.name else Path(source.input).name
                out.interface(replace(interface, name=terminal.printable(name)))
            flows, secrets = keys.get(source.input, (frozenset(), b""))
            if secrets:
                out.secrets(secrets)
            wanted = dict.fromkeys(comments) | dict.fromkeys(_whole(source, flows, max(comments, default=0)))
            for frame in wanted:
                row = frame - packets.first
                place = interfaces + int(packets.interface[row])
                rows.append((int(packets.time[row]), number, frame, source, place, comments.get(frame, "")))
            interfaces += len(packets.interfaces)
        for time, _, frame, source, place, comment in sorted(rows, key=lambda row: row[:3]):
            assert source.wire is not None
            packets = source.wire.packets
            out.frame(place, time, packets.frame(frame), int(packets.length[frame - packets.first]), comment)
    return Written(len(rows), len(written), sum(s.count(b"\n") for _, s in keys.values()), tuple(unwritten))


def _keys(source: "PacketTables", frames: Iterable[int]) -> tuple[frozenset[int], bytes]:
    """The flows of these frames that are TLS with known secrets, and these as text of a key log."""
    wire = source.wire
    assert wire is not None
    if wire.keylog is None:
        return frozenset(), b""
    wanted = {int(wire.flows.of_frame[frame - wire.packets.first]) for frame in frames} - {-1}
    flows, lines = set(), []
    for flow, session in wire.sessions.items():
        random = session.client_random
        if flow in wanted and random in wire.keylog.secrets:
            flows.add(flow)
            lines += [f"{label} {random.hex()} {key.hex()}\n" for label, key in wire.keylog.secrets[random].items()]
    return frozenset(flows), "".join(lines).encode()


def _whole(source: "PacketTables", flows: frozenset[int], last: int) -> list[int]:
    """Frames of whole flows up to a frame: what a record's decryption needs."""
    import numpy as np

    wire = source.wire
    assert wire is not None
    if not flows:
        return []
    rows = np.flatnonzero(np.isin(wire.flows.of_frame, list(flows)))
    frames: list[int] = (rows + wire.packets.first)[:MOST_FLOW].tolist()
    return [frame for frame in frames if frame <= last]


def describe(source: "PacketTables", frames: Iterable[int]) -> dict[int, list[str]]:
    """What these frames are, in a few words each; nothing that somebody keeps secret."""
    wanted = set(frames)
    by_frame: dict[int, list[str]] = {}
    for table, words in _WORDS.items():
        asked = wanted - by_frame.keys() if table in _LAST else wanted
        rows = (source.table(table) if table == "http" else source.of_frames(table, asked)) if asked else None
        if rows is None or rows.empty:
            continue
        if table == "http":
            for row in rows[rows["response_frame"].isin(asked)].to_dict("records"):
                by_frame.setdefault(int(row["response_frame"]), []).append(f"HTTP answer {_status(row)}")
            rows = rows[rows["frame"].isin(asked)]
        for row in rows.to_dict("records"):
            phrase = words(row)
            if (
                phrase
                and phrase not in by_frame.setdefault(int(row["frame"]), [])
                and len(by_frame[int(row["frame"])]) < 4
            ):
                by_frame[int(row["frame"])].append(phrase)
    return {frame: phrases for frame, phrases in by_frame.items() if phrases}


def _some(value: Any) -> str:
    """A cell as text, empty where it is missing."""
    return "" if value is None or value != value or str(value) == "<NA>" else str(value)


def _stun(row: Mapping[str, Any]) -> str:
    parts = [row["method"], row["message_class"], _some(row["error_code"])]
    parts += [f"for peer {row['peer_address']}"] if _some(row["peer_address"]) else []
    parts += ["inside TLS"] if row["transport"] == "tls" else []
    return "STUN " + " ".join(part for part in map(_some, parts) if part)


def _dtls(row: Mapping[str, Any]) -> str:
    what = [_some(row["handshake_type"]) or _some(row["record_type"]), _some(row["alert"])]
    return "DTLS " + " ".join(part for part in what if part)


def _tls(row: Mapping[str, Any]) -> str:
    what = [_some(row["handshake"]) or _some(row["record_type"]), _some(row["alert"])]
    name = f"for {_some(row['sni'])}" if _some(row["sni"]) else ""
    return "TLS " + " ".join(part for part in (*what, name) if part)


def _http(row: Mapping[str, Any]) -> str:
    status = _status(row)
    return (
        f"HTTP {_some(row['method'])} {_some(row['target']).partition('?')[0]}{f', answered {status}' * bool(status)}"
    )


def _status(row: Mapping[str, Any]) -> str:
    return _some(row["status"]).removesuffix(".0")


_LAST = ("turn_in_tls", "tls", "rtcp", "rtp")  # of frames of which nothing closer is known
_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "stun": _stun,
    "turn_in_tls": lambda row: f"TURN {row['message']} inside TLS, by its length" if row["message"] != "other" else "",
    "dtls": _dtls,
    "http": _http,
    "jingle": lambda row: f"Jingle {row['action']}",
    "xmpp": lambda row: f"XMPP {row['name']} {_some(row['type'])} {_some(row['child'])}".rstrip(),
    "bridge": lambda row: f"bridge channel: {_some(row['colibri_class'])}",
    "tls": _tls,
    "rtcp": lambda row: "RTCP",
    "rtp": lambda row: f"RTP, payload type {row['payload_type']}",
}


# ---- lines


def lines(call: Any, proof: Proof) -> Iterator[Line]:
    """The lines as they stand in the evidence, secrets left out; an entry of a dump has its place alone."""
    wanted: dict[str, dict[int, list[Place]]] = {}
    for place in proof.places:
        if place.line is None:
            yield Line(place, "")
        else:
            wanted.setdefault(place.input, {}).setdefault(place.line, []).append(place)
    for input, numbers in wanted.items():
        delivery = _delivery(call, input)
        texts = _texts(delivery, set(numbers)) if delivery is not None else {}
        for number, places in sorted(numbers.items()):
            yield Line(places[0], terminal.printable(without_secrets(texts.get(number, ""))))


def _delivery(call: Any, input: str) -> Any:
    """The piece of that name; a file of configuration is named by its end."""
    every = [piece.delivery for piece in call.evidence.pieces]
    exact = [delivery for delivery in every if delivery.input == input]
    ending = [delivery for delivery in every if delivery.input.endswith("/" + input)]
    return exact[0] if exact else ending[0] if len(ending) == 1 else None


def _texts(delivery: Any, numbers: set[int]) -> dict[int, str]:
    texts = {}
    last = max(numbers)
    with delivery.open() as file:
        for number in range(1, min(last, MOST_LINES) + 1):
            raw = file.readline(1 << 20)
            if not raw:
                break
            if number in numbers:
                texts[number] = raw[:MOST_LINE].decode("utf-8", "replace").rstrip("\r\n")
    return texts


def without_secrets(line: str) -> str:
    """A line with what may be a secret replaced by ***.

    >>> without_secrets('GET /colibri-ws/x/y?pwd=abcdef HTTP/1.1" password: hunter22')
    'GET /colibri-ws/x/y?pwd=*** HTTP/1.1" password: ***'
    """
    return _LONG.sub("***", _SASL.sub(r"\1***", _SECRET.sub(r"\1***", _WORD.sub(lambda word: redacted(word[0]), line))))
