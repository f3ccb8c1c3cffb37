"""Holes in TCP, held against captures from which frames were taken."""

from collections.abc import Callable
from pathlib import Path

import cuts
import pytest

from jitsilab.analysis import holes
from jitsilab.call import Call


def found(call: Call) -> set[int]:
    return holes.broken(call.flows, call.tcp)


@pytest.mark.parametrize("point", ["eth0", "any"])
def test_whole_captures_and_their_parts_have_none(recording: Callable[[str], Path], point: str) -> None:
    path = recording("jvb-2") / f"capture-{point}.pcapng"
    assert found(cuts.load(path)) == set()
    count = cuts.frames(path)
    for keep in (lambda n: n > count // 3, lambda n: n <= count // 2, lambda n: count // 4 < n < count // 2):
        assert found(cuts.load(cuts.cut(path, keep))) == set()


def test_each_lost_segment_is_told(recording: Callable[[str], Path]) -> None:
    path = recording("jvb-2") / "capture-eth0.pcapng"
    whole = cuts.load(path)
    tcp = whole.tcp
    sent = tcp[tcp["length"].gt(0) & ~tcp["retransmission"]]
    for number in sent["frame"].iloc[:: len(sent) // 12]:
        row = tcp[tcp["frame"] == number].iloc[0]
        after = tcp[(tcp["flow"] == row["flow"]) & (tcp["frame"] > number) & (tcp["up"] != row["up"])]
        if not after["ack"].gt(row["seq"]).any():
            continue  # nobody acknowledged it either
        part = cuts.load(cuts.cut(path, lambda n, lost=number: n != lost))
        flows = part.flows
        ends = flows[flows["flow"].isin(found(part))]
        assert {*zip(ends["client"], ends["client_port"], strict=True)} & {
            (row["src"], row["src_port"]), (row["dst"], row["dst_port"])
        }  # fmt: skip


@pytest.mark.parametrize("fin", [True, False])
def test_what_is_lost_at_the_end_is_told_by_what_comes_after(recording: Callable[[str], Path], fin: bool) -> None:
    """By the other side's acknowledgement, or by the number of the FIN: no gap lies between two pieces."""
    path = recording("jvb-2") / "capture-eth0.pcapng"
    tcp = cuts.load(path).tcp
    flow = tcp[tcp["length"].gt(0)].groupby("flow")["frame"].size().idxmax()
    mine = tcp[tcp["flow"].eq(flow)]
    last = mine[mine["up"] & mine["length"].gt(0)].iloc[-1]
    end = mine[mine["up"] & mine["frame"].ge(last["frame"])]
    lost = {int(last["frame"])} if fin else set(end["frame"])
    if fin:  # and what the other side says about it
        lost |= set(mine[~mine["up"] & mine["frame"].gt(last["frame"])]["frame"])
    part = cuts.load(cuts.cut(path, lambda n: n not in lost))
    gaps = part.flows.set_index("flow")["gaps"]
    assert any(gaps[number] == 0 for number in found(part))


@pytest.mark.parametrize("up", [True, False])
def test_a_side_that_was_never_seen_is_told_by_what_the_other_acknowledges(
    recording: Callable[[str], Path], up: bool
) -> None:
    path = recording("jvb-2") / "capture-eth0.pcapng"
    whole = cuts.load(path)
    lost = set(whole.tcp.loc[whole.tcp["up"] == up, "frame"])
    part = cuts.load(cuts.cut(path, lambda n: n not in lost))
    tcp = part.tcp  # one connection was refused
    begun = set(tcp.loc[tcp["flags"].str.contains("SYN"), "flow"]) & set(tcp.loc[tcp["length"].gt(0), "flow"])
    assert len(begun) > 4
    assert found(part) == begun
