"""Log readers against lines that the programs printed: recordings, public reports rebuilt, programs' sources."""

import io
import re
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import zstandard
from log_pieces import events, piece, shared, source

from jitsilab.inputs import logs
from jitsilab.inputs.logs import reader
from jitsilab.inputs.logs.patterns import colibri
from jitsilab.inputs.source import HEAD
from jitsilab.tables.evidence import EVENT, EVENTS

ALARMING = {
    "program-ended", "out-of-memory", "option-unknown", "overloaded", "xmpp-unreachable", "host-unknown",
    "certificate-refused", "login-refused", "login-failed", "room-refused", "bridge-lost", "health-failed",
    "health-timeout", "port-taken", "stun-failed", "tls-refused", "signaling-refused", "upstream-failed",
    "token-refused", "focus-unavailable", "bridge-unavailable", "allocation-failed", "ice-failed", "ice-ended",
    "relay-failed", "allocation-refused", "turn-credentials-refused", "dtls-failed", "fingerprint-mismatch",
    "channel-refused", "channel-missing",
}  # fmt: skip
HEALTHY = ("world-ok", "token-ok", "two-bridges", "2021-world-ok", "jvb-2", "jvb-3", "jvb-p2p", "jvb-bosh", "jvb-tls12")


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_recording_alarms_nobody(name: str) -> None:
    folder = shared("recordings", name)
    if folder is None:
        pytest.skip("the shared recordings are not at hand")
    read = 0
    for path in sorted([*folder.glob("logs-whole/*.log"), *folder.glob("logs/*.log")]):
        if path.name == "stream.log":
            continue
        found = events(path.read_bytes(), path.name)
        read += 1
        assert {row["event"] for row in found} <= set(EVENTS)
        assert not [row for row in found if row["event"] in ALARMING], path
    assert read


@pytest.mark.parametrize(
    ("recording", "file", "event", "value"),
    [
        ("bridge-login", "jvb", "login-refused", "not-authorized"),
        ("2021-bridge-login", "jvb", "login-failed", None),
        ("bridge-unhealthy", "jvb", "health-failed", "No valid IP addresses available for harvesting."),
        ("bridge-killed", "jicofo", "bridge-lost", "jvbbrewery@internal.auth.meet.lab/lab-jvb-1"),
        ("bridge-stopped", "jicofo", "allocation-failed", "Timeout"),
        ("focus-pkix", "jicofo", "certificate-refused", "untrusted"),
        ("focus-pkix", "prosody", "certificate-refused", "sslv3 alert certificate unknown"),
        ("bridge-login", "prosody", "login-failed", None),
        ("two-bridges-broken", "jvb", "relay-failed", "lab-jvb-2"),
        ("colibri-403", "access", "channel-refused", None),
    ],
)
def test_a_fault_is_seen(recording: str, file: str, event: str, value: str | None) -> None:
    path = shared("recordings", recording, "logs-whole", f"{file}.log")
    if path is None:
        pytest.skip("the shared recordings are not at hand")
    found = [row for row in events(path.read_bytes(), path.name) if row["event"] == event]
    assert found
    assert found[0].get("value") == value


def test_an_unknown_zone_and_year_are_said() -> None:
    one = source("Nov 29 15:35:36 c2s563d13542640\tinfo\tClient connected\n")
    list(one.rows(frozenset({"events"})))
    assert not one.zone_known
    assert not one.year_known
    assert "no year" in one.note


class Sample(NamedTuple):
    """Lines of a program, and the events that they are."""

    file: str
    number: int
    events: tuple[str, ...]
    text: str


def samples() -> list[Sample]:
    """Every sample below tests/evidence/logs."""
    every = []
    for path in sorted((Path(__file__).parent / "evidence" / "logs").glob("*.txt")):
        number, head, block = 0, "", list[str]()
        for line in [*path.read_text(encoding="utf-8").splitlines(), ">> end"]:
            if line.startswith(">> "):
                if block:
                    number += 1
                    every.append(Sample(path.stem, number, tuple(head.split(" ; ")), "\n".join(block) + "\n"))
                head, block = line[3:], []
            elif head:
                block.append(line)
    return every


SAMPLES = samples()
KNOWN_PROGRAM = ("jvb", "jicofo")


def reading(sample: Sample) -> tuple[list[tuple[str, ...]], list[dict[str, Any]]]:
    """Patterns that match each record of a sample, and its events."""
    name = next((name for name in KNOWN_PROGRAM if sample.file.startswith(name)), "piece")
    kind, _ = logs.kind_of(sample.text.encode())
    one = logs.LogSource(piece(sample.text, f"{name}.log"), kind or "log", frozenset({"events"}))
    matched: list[tuple[str, ...]] = []
    work = reader._Reading(one, frozenset({"events"}))
    interpret = work._interpret

    def watch(stream: Any, record: Any, found: Any) -> None:
        place = reader._simple(record.place) if record.program != "prosody" else reader._module(record.place)
        every = reader.MATCHERS[record.program].every(record.whole, place)
        matched.append(tuple(one.pattern.text for one in every) or (found.pattern.text,))
        interpret(stream, record, found)

    work._interpret = watch  # type: ignore[method-assign]
    rows = [row for some in work.rows() for row in some.rows]
    return matched, [dict(zip(EVENT, row, strict=True)) for row in rows]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: f"{s.file}-{s.number}-{s.events[0].partition('|')[0]}")
def test_a_line_means_what_stands_beside_it(sample: Sample) -> None:
    matched, rows = reading(sample)
    assert all(len(one) == 1 for one in matched), matched
    seen = list(dict.fromkeys(f"{row['event']}|{row['value'] or ''}" for row in rows))
    assert seen == [event for event in sample.events if event != "-"]
    assert {row["event"] for row in rows} <= set(EVENTS)


def test_every_pattern_has_a_line_of_its_program() -> None:
    seen = {text for sample in SAMPLES for one in reading(sample)[0] for text in one}
    assert [p.text for p in reader.PATTERNS if p.text not in seen] == []


def test_events_hold_no_secret() -> None:
    secret = re.compile(r"(?:pwd=|ice-pwd:|jwt=|token=|Token )['\"]?([\w.-]{12,})")
    known = {word for sample in SAMPLES for word in secret.findall(sample.text)}
    assert len(known) >= 5
    shown = " ".join(str(row) for sample in SAMPLES for row in reading(sample)[1])
    assert not [word for word in known if word in shown]


def test_the_page_shows_the_patterns() -> None:
    from logs_page import page

    written = Path(__file__).parent.parent.joinpath("docs", "logs.md").read_text(encoding="utf-8")
    assert written == page(), "run: python tests/logs_page.py"


REPORTS = {  # a public report rebuilt below tests/reports: the events that its logs are
    "focus-distrusts-prosody-2018": {"certificate-refused": 3},
    "bridge-without-name-service-2025": {"xmpp-unreachable": 12, "program-started": 1, "mapping": 1, "port-bound": 1},
    "port-of-the-bridge-taken-2019": {"port-taken": 1, "health-failed": 4},
    "bridge-answers-nothing-2025": {
        "bridge-joined": 1, "conference-requested": 1, "bridge-chosen": 2, "allocation-failed": 2,
    },
    "bridge-stops-checking-itself-german": {"health-failed": 1, "conference-requested": 1, "bridge-unavailable": 2},
    "token-out-of-date-2022": {"token-refused": 2},
    "dtls-timed-out-italian": {"ice-checking": 1, "check-succeeded": 1, "ice-connected": 1, "dtls-failed": 1},
    "bridge-as-component-unknown-2018": {"host-unknown": 4},
    "bridge-out-of-threads-2018": {"port-bound": 1, "out-of-memory": 3},
    "turn-secret-differs-2019": {"program-started": 1, "turn-credentials-refused": 6},
    "focus-reaches-no-xmpp-2022": {"xmpp-unreachable": 6},
}  # fmt: skip


@pytest.mark.parametrize("name", REPORTS)
def test_a_public_report_is_read(name: str) -> None:
    folder = Path(__file__).parent / "reports" / name
    found = [row for path in sorted(folder.iterdir()) for row in events(path.read_bytes(), path.name)]
    counts: dict[str, int] = {}
    for row in found:
        counts[row["event"]] = counts.get(row["event"], 0) + 1
    assert counts == REPORTS[name]


@pytest.mark.parametrize("name", ["jvb-2", "jvb-bosh", "leave-rejoin", "p2p-2"])
def test_a_healthy_recording_of_the_registry_alarms_nobody(name: str) -> None:
    packed = Path(__file__).parent.parent / "data" / "captures" / name / "logs.tar.zst"
    with packed.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as plain:
        archive = io.BytesIO(plain.read())
    read = 0
    with tarfile.open(fileobj=archive) as members:
        for member in members:
            content = members.extractfile(member) if member.isfile() else None
            if content is None or not logs.kind_of((data := content.read())[:HEAD])[0]:
                continue
            read += 1
            assert not [row for row in events(data, member.name) if row["event"] in ALARMING], member.name
    assert read >= 4


def test_the_id_of_an_endpoint_is_not_that_of_its_statistics() -> None:
    """Of the form of bridge and focus of 2026."""
    text = "<endpoint stats-id='Tess-x1' id='0a1b2c3d'><transport><fingerprint/></transport><sources/></endpoint>"
    assert list(colibri.request(text)) == [{"event": "sources-announced", "participant": "0a1b2c3d", "value": "0"}]
