"""Who sent how much when: frames added up by participant, transport and direction, without an opinion."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from jitsilab.errors import ParameterError
from jitsilab.tables import Schema, frame_from

SCHEMA: Schema = {
    "participant": ("str", "address of the participant, as the capture has it"),
    "path": ("str", "transport and server port: UDP 10000, TCP 443, ..."),
    "up": ("bool", "from the participant"),
    "seconds": ("float64", "start of the interval, s since the first frame"),
    "frames": ("int64", "frames in the interval"),
    "bytes": ("int64", "bytes on the wire in the interval"),
}

LOOPBACK = ("127.", "::1")


def servers(flows: pd.DataFrame) -> list[str]:
    """The addresses that took in connections or datagrams of most others, the busiest first; loopback left out."""
    if flows.empty:
        return []
    outer = flows[~flows["server"].str.startswith(LOOPBACK)]
    counted = outer.assign(bytes=outer["bytes_up"] + outer["bytes_down"]).groupby("server")
    ranks = counted.agg(clients=("client", "nunique"), flows=("client", "size"), bytes=("bytes", "sum"))
    ranks = ranks.sort_values(["clients", "flows", "bytes"], ascending=False, kind="stable")
    busiest = ranks["clients"].max() if len(ranks) else 0
    return [str(server) for server, row in ranks.iterrows() if row["clients"] == busiest][:1]


def participants(flows: pd.DataFrame) -> list[str]:
    """Addresses at the other end of the server's flows, in the order of their first frame."""
    known = set(servers(flows))
    ends: dict[str, int] = {}
    for client, server, first in zip(flows["client"], flows["server"], flows["first_frame"], strict=True):
        for one, other in ((client, server), (server, client)):
            if other in known and one not in known and not str(one).startswith(LOOPBACK):
                ends[str(one)] = min(int(first), ends.get(str(one), int(first)))
    return sorted(ends, key=lambda address: ends[address])


def by_participant(
    frames: pd.DataFrame, flows: pd.DataFrame, interval: float = 1.0, paths: Mapping[int, str] | None = None
) -> pd.DataFrame:
    """Bytes and frames of each participant and path in intervals of that many seconds, both directions.

    A path is the transport and the server's port, or what ``paths`` calls it, by the number of the flow.
    """
    if not interval > 0:
        raise ParameterError(f"An interval is longer than 0 s, this one is {interval:g}.")
    server = set(servers(flows))
    people = set(participants(flows))
    joined = frames.dropna(subset=["flow"]).merge(
        flows[["flow", "transport", "client", "server", "client_port", "server_port"]], on="flow", how="inner"
    )
    up = joined["src"].isin(people) & joined["dst"].isin(server)
    down = joined["dst"].isin(people) & joined["src"].isin(server)
    joined = joined[up | down]
    if joined.empty:
        return frame_from([], SCHEMA)
    up = up[joined.index]
    port = joined["server_port"].where(joined["server"].isin(server), joined["client_port"])
    named = joined["transport"].str.upper() + " " + port.astype(str)
    known = dict(paths or {})
    table = pd.DataFrame(
        {
            "participant": joined["src"].where(up, joined["dst"]),
            "path": [known.get(int(flow), name) for flow, name in zip(joined["flow"], named, strict=True)],
            "up": up,
            "seconds": np.floor(joined["seconds"] / interval) * interval,
            "frames": 1,
            "bytes": joined["length"],
        }
    )
    added = table.groupby(["participant", "path", "up", "seconds"], sort=True, as_index=False).sum()
    return frame_from(added[list(SCHEMA)].itertuples(index=False, name=None), SCHEMA)
