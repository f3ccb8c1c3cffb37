"""Who sent how much when: frames added up by participant, transport and direction, without an opinion."""

from collections.abc import Collection, Mapping

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


def by_participant(
    frames: pd.DataFrame,
    flows: pd.DataFrame,
    people: Mapping[str, str],
    servers: Collection[str],
    interval: float = 1.0,
    paths: Mapping[int, str] | None = None,
) -> pd.DataFrame:
    """Bytes and frames of each participant and path in intervals of that many seconds, both directions.

    ``people`` has the addresses of participants, each with the one that stands for its owner (`jitsilab.case.cast`). A
    path is the transport and the server's port, or what ``paths`` calls it, by the number of the flow.
    """
    if not interval > 0:
        raise ParameterError(f"An interval is longer than 0 s, this one is {interval:g}.")
    server, here = set(servers), list(people)
    joined = frames.dropna(subset=["flow"]).merge(
        flows[["flow", "transport", "client", "server", "client_port", "server_port"]], on="flow", how="inner"
    )
    up = joined["src"].isin(here) & joined["dst"].isin(server)
    down = joined["dst"].isin(here) & joined["src"].isin(server)
    joined = joined[up | down]
    if joined.empty:
        return frame_from([], SCHEMA)
    up = up[joined.index]
    port = joined["server_port"].where(joined["server"].isin(server), joined["client_port"])
    named = joined["transport"].str.upper() + " " + port.astype(str)
    known = dict(paths or {})
    table = pd.DataFrame(
        {
            "participant": joined["src"].where(up, joined["dst"]).map(dict(people)),
            "path": [known.get(int(flow), name) for flow, name in zip(joined["flow"], named, strict=True)],
            "up": up,
            "seconds": np.floor(joined["seconds"] / interval) * interval,
            "frames": 1,
            "bytes": joined["length"],
        }
    )
    added = table.groupby(["participant", "path", "up", "seconds"], sort=True, as_index=False).sum()
    return frame_from(added[list(SCHEMA)].itertuples(index=False, name=None), SCHEMA)
