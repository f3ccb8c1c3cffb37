"""Log readers against lines that the programs printed: recordings, public reports rebuilt, programs' sources."""

import pytest
from log_pieces import events, shared, source

from jitsilab.tables.evidence import EVENTS

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
    list(one.read(frozenset({"events"})))
    assert not one.zone_known
    assert not one.year_known
    assert "no year" in one.note
