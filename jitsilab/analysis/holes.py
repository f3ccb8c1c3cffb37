"""What the capture lost, flows with bytes missing and frames cut short: what is absent was not necessarily unsaid."""

import numpy as np
import numpy.typing as npt
import pandas as pd

WRAP, HALF = 1 << 32, 1 << 31
TOGETHER = 1 << 17  # segments that are compared at once


def broken(flows: pd.DataFrame, tcp: pd.DataFrame | None) -> set[int]:
    """Numbers of the flows with bytes missing: between two pieces, or at the end of what the other side acknowledged.

    ``flows`` and ``tcp`` are tables of a capture; one of a printed study knows what its program noted. A flow whose
    beginning or end merely lies outside the capture is not among them.
    """
    if flows.empty:
        return set()
    gaps = pd.to_numeric(flows["gaps"], errors="coerce").fillna(0) if "gaps" in flows else pd.Series(0, flows.index)
    incomplete = {int(flow) for flow in flows.loc[gaps.gt(0), "flow"]}
    if tcp is not None and len(tcp):
        listed, parts = tcp["flow"].isin(_listed(flows, tcp)), 1 + len(tcp) // TOGETHER
        for part in range(parts):  # a flow is in one of them
            incomplete |= _unseen_ends(tcp[listed & (tcp["flow"] % parts).eq(part)])
    return incomplete


def cut(frames: pd.DataFrame | None, among: pd.DataFrame | None) -> set[int]:
    """Frames with a row in ``among`` of which the capture has only the beginning.

    ``frames`` is the table of them, or its part ``cut``; of a printed study that is not known.
    """
    if frames is None or among is None or "captured_length" not in frames:
        return set()
    short = frames.loc[frames["captured_length"] < frames["length"], "frame"].to_numpy(np.int64)
    wanted = among["frame"].to_numpy(np.int64)
    return set(wanted[np.isin(wanted, short)].tolist())


def _listed(flows: pd.DataFrame, tcp: pd.DataFrame) -> set[int]:
    """Flows of which every segment is a row; of a printed frame with TLS in it the numbers of TCP are not known."""
    segments = tcp.groupby("flow").size()
    packets = flows.set_index("flow")[["packets_up", "packets_down"]].sum(axis=1)
    return {int(flow) for flow, rows in segments.items() if rows >= packets.get(flow, 0)}


def _unseen_ends(tcp: pd.DataFrame) -> set[int]:
    """Flows in which a side goes on from, or the other one acknowledges, bytes that the capture never saw it send.

    Of a side that the capture never saw at all, an acknowledgment after a SYN says the same.
    """
    rows = tcp[["flow", "up", "seq", "ack", "length", "flags"]].dropna(subset=["flow", "up", "seq", "ack", "length"])
    flags = rows["flags"]
    names, kinds = pd.factorize(flags if isinstance(flags.dtype, pd.CategoricalDtype) else flags.fillna(""))
    syn, fin, reset, acks = (
        np.array([word in str(kind) for kind in kinds], bool)[names] for word in ("SYN", "FIN", "RST", "ACK")
    )
    flow, seq, ack, length = (rows[name].to_numpy(np.int64) for name in ("flow", "seq", "ack", "length"))
    side = flow * 2 + rows["up"].to_numpy(np.int64)
    count = int(side.max(initial=0)) + 2
    base, end, last = np.full(count, -1), np.zeros(count, np.int64), np.zeros(count, np.int64)
    first = np.flatnonzero(~reset)[::-1]  # of several the one written last stays: the first in the capture
    base[side[first]] = seq[first]
    begin = _signed(seq - base[side])
    sent = ~reset & ((length > 0) | syn)
    np.maximum.at(end, side[sent], (begin + length + syn)[sent])
    last[side[fin]] = 1  # a FIN takes a number too
    end += last
    beyond = ~reset & (begin > end[side])
    heard = base[side ^ 1] >= 0
    beyond |= ~reset & acks & heard & (_signed(ack - base[side ^ 1]) > end[side ^ 1])
    opened = np.zeros(count, bool)
    opened[side[syn]] = True
    beyond |= ~reset & acks & ~syn & ~heard & opened[side]
    return {int(number) for number in flow[beyond]}


def _signed(distance: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A distance between sequence numbers, which wrap."""
    return (distance + HALF) % WRAP - HALF
