"""The TLS records of each flow that may carry TURN, as columns: a DataFrame a flow would cost more than the reading."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

COLUMNS = ["flow", "frame", "seconds", "up", "record_type", "length", "version", "suite"]
ENDS = ("client", "client_port", "first_frame", "last_frame", "first_seconds", "last_seconds", "fins", "resets")


class Shown(NamedTuple):
    """The records of one flow as parallel columns."""

    frame: npt.NDArray[np.int64]
    seconds: npt.NDArray[np.float64]
    up: npt.NDArray[np.bool_]
    data: npt.NDArray[np.bool_]  # application data
    length: npt.NDArray[np.int64]  # of the record; -1: unknown
    version: str | None  # that was agreed: the highest that a record of the server shows
    suite: str | None


def ends_of(flows: pd.DataFrame) -> dict[int, dict[str, Any]]:
    """The rows of the table of flows by flow number."""
    columns = {name: flows[name].tolist() for name in ENDS if name in flows}
    rows = zip(*columns.values(), strict=True)
    return {int(flow): dict(zip(columns, row, strict=True)) for flow, row in zip(flows["flow"], rows, strict=True)}


def candidates(tls: pd.DataFrame) -> Iterator[tuple[int, Shown]]:
    """Flow number and records of each flow whose ClientHello is there and asks for no protocol but TURN (RFC 7443)."""
    handshakes = tls.loc[tls["handshake"].notna(), ["flow", "handshake", "alpn"]].astype(
        {"handshake": object, "alpn": object}
    )
    hello = handshakes[handshakes["handshake"].str.contains("client_hello").astype(bool)]
    asks = hello["alpn"].fillna("").str.replace(",", " ").str.split()
    other = asks.map(lambda names: not all(name.startswith("stun.") for name in names)).astype(bool)
    wanted = set(hello["flow"].dropna()) - set(hello.loc[other, "flow"].dropna())
    records = tls.loc[tls["flow"].isin(wanted), COLUMNS].sort_values("flow", kind="stable")
    flow = records["flow"].to_numpy(dtype=np.int64)
    bounds = np.flatnonzero(np.diff(flow, prepend=-1, append=-1))
    up = records["up"].astype("boolean")
    frame, seconds = records["frame"].to_numpy(np.int64), records["seconds"].to_numpy(np.float64)
    ours, theirs = up.fillna(False).to_numpy(dtype=bool), ~up.fillna(True).to_numpy(dtype=bool)
    data = records["record_type"].eq("application_data").fillna(False).to_numpy(dtype=bool)
    length = records["length"].astype("Int64").fillna(-1).to_numpy(dtype=np.int64)
    (version, versions), (suite, suites) = (pd.factorize(records[name]) for name in ("version", "suite"))
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        rows = slice(start, end)
        agreed = [versions[code] for code in np.unique(version[rows][theirs[rows]]).tolist() if code >= 0]
        chosen = suite[rows][suite[rows] >= 0]
        yield int(flow[start]), Shown(
            frame[rows], seconds[rows], ours[rows], data[rows], length[rows], max(agreed, default=None),
            suites[chosen[0]] if len(chosen) else None,
        )  # fmt: skip
