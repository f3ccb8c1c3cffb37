"""Candidate pairs: hand-made exchanges, the recordings against their own truth, and the study's printed summaries."""

import json
from collections.abc import Callable
from pathlib import Path

import datagrams
import pandas as pd
import pytest
from datagrams import Sent, stun, xored

from jitsilab import pcap
from jitsilab.analysis import ice
from jitsilab.tables import stun as table
from jitsilab.wire import Wire, decrypt

A, B = (1, 40000), (2, 10000)
CONTROLLED, CONTROLLING = (0x8029, bytes(8)), (0x802A, bytes(8))
NOMINATE = (0x0025, b"")


def check(number: int, *more: tuple[int, bytes], user: bytes = b"srv:cli") -> bytes:
    return stun(0x0001, number, (0x0006, user), *more)


def answer(number: int, host: str = "10.0.0.1", port: int = 40000) -> bytes:
    return stun(0x0101, number, (0x0020, xored(host, port)))


def pairs(*sent: Sent) -> pd.DataFrame:
    return ice.pairs(table.table(datagrams.wire(*sent)).rows)


def test_a_pair_from_check_to_nomination() -> None:
    rows = pairs(
        Sent(A, B, check(1, CONTROLLED), 1.0),
        Sent(B, A, answer(1), 1.001),
        Sent(B, A, check(2, CONTROLLING, user=b"cli:srv"), 1.1),
        Sent(A, B, answer(2, "203.0.113.10", 10000), 1.15),
        Sent(B, A, check(3, CONTROLLING, NOMINATE, user=b"cli:srv"), 1.2),
        Sent(A, B, answer(3, "203.0.113.10", 10000), 1.25),
        Sent(A, B, check(4, CONTROLLED), 6.0),
        Sent(B, A, answer(4), 6.001),
    )
    (one,) = rows.itertuples()
    assert (one.local_ufrag, one.remote_ufrag) == ("cli", "srv")
    assert (one.local_address, one.local_port, one.remote_address) == ("10.0.0.1", 40000, "10.0.0.2")
    assert (one.checks_sent, one.answers_received, one.checks_received, one.answers_sent) == (2, 2, 2, 2)
    assert (one.local_role, one.remote_role) == ("controlled", "controlling")
    assert (one.use_candidate_frame, one.nominated, one.nominated_frame, one.selected) == (5, True, 6, True)
    assert (one.valid_frame, one.first_frame, one.last_frame) == (2, 1, 8)
    assert one.rtt_sent == pytest.approx(0.001)
    assert one.rtt_received == pytest.approx(0.05)
    assert one.consent_sent_seconds == pytest.approx(5.001)
    assert one.consent_gap_sent == pytest.approx(5.0)
    assert (one.local_rewritten, one.remote_rewritten) == (False, True)
    assert (one.remote_mapped_address, one.remote_mapped_port) == ("203.0.113.10", 10000)


def test_a_nomination_wants_an_answer() -> None:
    (one,) = pairs(Sent(B, A, check(3, CONTROLLING, NOMINATE))).itertuples()
    assert (one.use_candidate_frame, one.nominated, one.selected) == (1, False, False)


def test_role_conflicts_and_retransmissions() -> None:
    conflict = stun(0x0111, 1, (0x0009, b"\0\0\x04\x57Role Conflict"))
    sent = [Sent(A, B, check(1, CONTROLLING)), Sent(A, B, check(1, CONTROLLING)), Sent(B, A, conflict)]
    (one,) = pairs(*sent, Sent(A, B, check(2, CONTROLLED))).itertuples()
    assert (one.role_conflicts, one.error_codes, one.errors_received) == (1, "487", 1)
    assert (one.retransmissions, one.checks_sent, one.local_role) == (1, 3, "controlled")


def test_requests_to_a_stun_server_are_no_checks() -> None:
    assert not len(pairs(Sent(A, B, stun(0x0001, 1)), Sent(B, A, answer(1))))


def test_a_restart_is_another_generation_and_a_second_session_is_not() -> None:
    first = [Sent(A, B, check(n), n) for n in (1, 2)]
    beside = Sent((1, 40001), B, check(3, user=b"srv2:cli2"), 1.5)
    later = Sent((1, 40002), B, check(4, user=b"srv3:cli3"), 30.0)
    rows = pairs(first[0], beside, first[1], Sent((1, 40001), B, check(9, user=b"srv2:cli2"), 29.0), later)
    assert rows["session"].tolist() == [0, 1, 2]
    assert rows["generation"].tolist() == [0, 0, 2]


def test_inside_turn_the_pair_is_that_of_the_relay() -> None:
    server, peer = (9, 3478), (0x0012, xored("192.0.2.9", 5000))
    allocated = stun(0x0103, 1, (0x0016, xored("203.0.113.5", 6000)))
    sent = [
        Sent(A, server, stun(0x0003, 1)),
        Sent(server, A, allocated),
        Sent(A, server, stun(0x0016, 2, peer, (0x0013, check(7, CONTROLLING, NOMINATE)))),
        Sent(server, A, stun(0x0017, 3, peer, (0x0013, answer(7, "203.0.113.5", 6000)))),
        Sent(server, A, stun(0x0017, 4, peer, (0x0013, check(8, CONTROLLED, user=b"cli:srv")))),
    ]
    (one,) = pairs(*sent).itertuples()
    assert (one.depth, one.local_address, one.local_port) == (1, "203.0.113.5", 6000)
    assert (one.remote_address, one.remote_port) == ("192.0.2.9", 5000)
    assert (one.client_address, one.relay_address, one.relay_port) == ("10.0.0.1", "10.0.0.9", 3478)
    assert (one.local_ufrag, one.remote_ufrag) == ("cli", "srv")
    assert (one.checks_sent, one.checks_received, one.nominated) == (1, 1, True)
    assert not one.local_rewritten


def test_the_turn_client_is_local_even_where_the_flow_was_caught_from_the_other_side() -> None:
    """Without its beginning the server of a flow is guessed from its ports; TURN's own requests say better."""
    client, server, peer = (1, 900), (9, 50000), (0x0012, xored("192.0.2.9", 5000))
    sent = [
        Sent(client, server, stun(0x0008, 1, peer)),
        Sent(client, server, stun(0x0016, 2, peer, (0x0013, check(7)))),
    ]
    (one,) = pairs(*sent).itertuples()
    assert (one.client_address, one.relay_address) == ("10.0.0.1", "10.0.0.9")
    assert (one.local_ufrag, one.checks_sent) == ("cli", 1)


def test_the_bare_summary_of_a_study_is_enough() -> None:
    """No transaction ids, flows, directions or ports: an answer follows the oldest open check of the other side."""
    columns = ["frame", "seconds", "src", "dst", "message_class", "method", "username", "mapped_address", "mapped_port"]
    said = [
        (1, 0.0, "IP A", "IP B", "request", "Binding", "srv:cli", None, None),
        (2, 0.005, "IP B", "IP A", "success", "Binding", "srv:cli", "IP A", 6233),
        (3, 1.0, "IP B", "IP A", "request", "Binding", "cli:srv", None, None),
        (4, 1.05, "IP A", "IP B", "success", "Binding", None, "IP D", 10000),
        (5, 2.0, "IP A", "IP B", "request", "Binding", "srv:cli", None, None),
        (6, 9.0, "IP B", "IP A", "success", "Binding", "srv:cli", "IP A", 6233),  # too late for frame 5
    ]
    rows = ice.pairs(pd.DataFrame(said, columns=columns))
    (one,) = rows.itertuples()
    assert (one.checks_sent, one.answers_received, one.checks_received, one.answers_sent) == (2, 1, 1, 1)
    assert one.rtt_received == pytest.approx(0.05)
    assert (one.local_rewritten, one.remote_rewritten) == (False, True)
    assert pd.isna(one.local_port)
    assert list(rows.columns) == list(ice.SCHEMA)


def test_an_empty_table_has_the_same_form() -> None:
    empty, full = pairs(Sent(A, B, b"x")), pairs(Sent(A, B, check(1)))
    assert list(empty.columns) == list(full.columns) == list(ice.SCHEMA)
    assert (empty.dtypes == full.dtypes).all()


@pytest.mark.parametrize("name", ["jvb-3", "turn-refused"])
def test_who_has_a_pair_as_the_truth_says(recording: Callable[[str], Path], name: str) -> None:
    """A participant over UDP has a nominated direct pair, one over TURN a relayed one, one without media has none."""
    where = recording(name)
    wire = Wire(pcap.read(where / "capture-eth0.pcapng"), decrypt.KeyLog.load(where / "keys.txt"))
    rows = ice.pairs(table.table(wire).rows)
    for person in json.loads((where / "truth.json").read_text())["participants"]:
        mine = rows[(rows["client_address"] == person["public"]) & rows["selected"]]
        if person["media_path"] == "jvb-udp":
            assert mine["depth"].tolist() == [0]
        elif person["media_path"] == "turn-tls":
            assert mine["depth"].tolist() == [1]
        elif person["media_path"] == "none":
            assert not len(mine)
        assert not rows.loc[rows["client_address"] == person["public"], "checks_sent"].eq(0).any()
