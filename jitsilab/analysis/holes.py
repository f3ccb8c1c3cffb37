"""TCP flows of which the capture lost bytes: what is absent from them was not necessarily unsaid."""

import pandas as pd

WRAP, HALF = 1 << 32, 1 << 31


def broken(flows: pd.DataFrame, tcp: pd.DataFrame | None) -> set[int]:
    """Numbers of the flows with bytes missing: between two pieces, or at the end of what the other side acknowledged.

    ``flows`` and ``tcp`` are tables of a capture; one of a printed study knows what its program noted. A flow whose
    beginning or end merely lies outside the capture is not among them.
    """
    if flows.empty:
        return set()
    gaps = pd.to_numeric(flows["gaps"], errors="coerce").fillna(0) if "gaps" in flows else pd.Series(0, flows.index)
    found = {int(flow) for flow in flows.loc[gaps.gt(0), "flow"]}
    if tcp is not None and len(tcp):
        found |= _unseen_ends(tcp[tcp["flow"].isin(_listed(flows, tcp))])
    return found


def _listed(flows: pd.DataFrame, tcp: pd.DataFrame) -> set[int]:
    """Flows of which every segment is a row; of a printed frame with TLS in it the numbers of TCP are not known."""
    segments = tcp.groupby("flow").size()
    packets = flows.set_index("flow")[["packets_up", "packets_down"]].sum(axis=1)
    return {int(flow) for flow, rows in segments.items() if rows >= packets.get(flow, 0)}


def _unseen_ends(tcp: pd.DataFrame) -> set[int]:
    """Flows in which one side acknowledges bytes that the capture never saw the other side send."""
    columns = ["flow", "up", "seq", "ack", "length", "flags"]
    rows = tcp[columns].dropna(subset=["flow", "up", "seq", "ack", "length"])
    flags = rows["flags"].fillna("")
    rows = rows[~flags.str.contains("RST")]
    flags = flags[rows.index]
    counted = flags.str.contains("SYN").astype(int) + flags.str.contains("FIN").astype(int)
    number, up = rows["flow"].astype("int64"), rows["up"].astype(bool)
    seq, ack = rows["seq"].astype("int64"), rows["ack"].astype("int64")
    base = seq.groupby([number, up]).transform("first")
    sent = (seq - base + HALF) % WRAP - HALF + rows["length"].astype("int64") + counted
    ends = pd.DataFrame({"flow": number, "up": up, "base": base, "end": sent}).groupby(["flow", "up"])
    side = ends.agg(base=("base", "first"), end=("end", "max")).reset_index()
    side["up"] = ~side["up"]  # the other side's acknowledgements are about it
    heard = pd.DataFrame({"flow": number, "up": up, "ack": ack})[flags.str.contains("ACK")]
    both = heard.merge(side, on=["flow", "up"])
    beyond = (both["ack"] - both["base"] + HALF) % WRAP - HALF > both["end"]
    return set(both.loc[beyond, "flow"].astype(int))
