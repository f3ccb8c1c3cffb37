"""Connections to TURN and how far each came: from their messages, else from the lengths of TLS records."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from jitsilab.analysis import limits, turn_in_tls
from jitsilab.ip import is_loopback
from jitsilab.tables import Tables, frame

TURN_ORDER = ("unreachable", "auth-failed", "allocated", "permission-refused", "permitted", "relaying")

RELAYING = limits.RELAYING.value  # bytes a second each way


class Relayed(NamedTuple):
    """What a TURN connection carried, as the lengths of its records tell: parallel columns in the order of time."""

    seconds: npt.NDArray[np.float64]
    up: npt.NDArray[np.bool_]  # from the client
    length: npt.NDArray[np.int64]  # bytes


@dataclass(slots=True)
class TurnFlow:
    """One connection to a TURN server."""

    flow: int
    via: str  # turn-udp, turn-tcp, turn-tls
    address: str
    start: float
    end: float
    stage: str
    kind: str = ""  # jvb or p2p where the checks inside tell
    certainty: str = "measured"
    frames: tuple[int, ...] = ()  # that show the stage
    allocated: tuple[int, ...] = ()  # frames of granted allocations; none where that was before the capture
    refused: tuple[int, ...] = ()  # frames of refused permissions
    sent: int = 0  # relayed messages from the client, checks among them
    received: int = 0
    relayed: "Relayed | None" = None  # of a keyless reading
    holes: bool = False  # the capture lost bytes of it


def turn_flows(
    tables: Tables, flows: pd.DataFrame, servers: Collection[str], roles: dict[int, tuple[str, str]]
) -> list[TurnFlow]:
    """Every connection to TURN: from its messages where they can be read, else from the lengths of TLS records."""
    stun = frame(tables, "stun")
    connections = list(_open_turn(stun, flows, servers, frame(tables, "media"))) if len(stun) else []
    seen = {connection.flow for connection in connections}
    tls = frame(tables, "tls")
    if not len(tls) or not len(flows):
        return connections
    relayed = _relayed_rows(frame(tables, "turn_in_tls"))
    for row in turn_in_tls.stages(tls, flows).itertuples():
        if row.flow in seen or row.flow not in roles:
            continue
        seen.add(row.flow)
        connections.append(
            TurnFlow(
                int(row.flow),
                "turn-tls",
                str(row.address),
                float(row.first_seconds),
                float(row.last_seconds),
                str(row.stage),
                kind=str(row.session) if isinstance(row.session, str) else "",
                certainty=str(row.certainty),
                frames=_numbers(row.frames),
                allocated=_numbers(row.allocated_frames),
                refused=_numbers(row.refused_frames),
                sent=int(row.sent),
                received=int(row.received),
                relayed=relayed.get(int(row.flow)),
            )
        )
    silent = flows[flows["flow"].isin([f for f, (_, role) in roles.items() if role == "turn" and f not in seen])]
    answered = set(tls.loc[~tls["up"].fillna(True).astype(bool), "flow"].dropna().astype(int))
    for row in silent.itertuples():
        if int(row.flow) not in answered:  # a ClientHello without ALPN, and nothing came back
            connections.append(
                TurnFlow(int(row.flow), "turn-tls", str(row.client), float(row.first_seconds), float(row.last_seconds),
                         "unreachable", certainty="inferred", frames=(int(row.first_frame), int(row.last_frame)))
            )  # fmt: skip
    return connections


def _relayed_rows(rows: pd.DataFrame) -> dict[int, Relayed]:
    """By flow: when how many bytes were relayed, as the lengths of records tell."""
    if not len(rows):
        return {}
    relayed = rows["message"].isin(["send", "data", "channel-data", "other"])
    rows = rows.loc[relayed, ["flow", "seconds", "up", "length"]]
    return {
        int(flow): Relayed(part["seconds"].to_numpy(np.float64), part["up"].to_numpy(bool), part["length"].to_numpy())
        for flow, part in rows.groupby("flow", sort=False)
    }


def _numbers(value: Any) -> tuple[int, ...]:
    if isinstance(value, str):
        return tuple(int(number) for number in value.split())
    return tuple(int(number) for number in value) if isinstance(value, list | tuple) else ()


def _open_turn(
    stun: pd.DataFrame, flows: pd.DataFrame, servers: Collection[str], media: pd.DataFrame
) -> Iterable[TurnFlow]:
    """TURN whose messages can be read: UDP, TCP, or TLS with keys."""
    ends = flows.set_index("flow")[["client", "transport", "first_seconds", "last_seconds"]]
    stun = stun.assign(stands_for=stun.get("stands_for", 1))
    wanted = ["flow", "frame", "transport", "method", "message_class", "username", "stands_for"]
    turn = stun.loc[stun["depth"].eq(0) & ~stun["method"].eq("Binding"), wanted]
    for number, rows in turn.groupby("flow", sort=True):
        frames_of = _frames_of(rows)
        if not any(method == "Allocate" for method, _ in frames_of):
            continue
        end = ends.loc[number]
        if is_loopback(end["client"]) or end["client"] in servers:
            continue
        stage, frames, refused = _stage(rows, frames_of)
        inside = media[media["flow"].eq(number) & media["depth"].gt(0)] if len(media) else media
        up = float(inside.loc[inside["up"].fillna(False).astype(bool), "bytes"].sum()) if len(inside) else 0.0
        down = float(inside.loc[~inside["up"].fillna(True).astype(bool), "bytes"].sum()) if len(inside) else 0.0
        lasted = float(inside["last_seconds"].max() - inside["first_seconds"].min()) if len(inside) else 0.0
        if stage == "permitted" and lasted > 1 and min(up, down) / lasted >= RELAYING:
            stage = "relaying"
        yield TurnFlow(
            int(number),
            f"turn-{rows['transport'].iloc[0]}",
            str(end["client"]),
            float(end["first_seconds"]),
            float(end["last_seconds"]),
            stage,
            frames=frames,
            allocated=tuple(frames_of["Allocate", "success"]),
            refused=refused,
            sent=int(rows.loc[rows["method"].eq("Send"), "stands_for"].sum()),
            received=int(rows.loc[rows["method"].eq("Data"), "stands_for"].sum()),
        )


def _frames_of(rows: pd.DataFrame) -> dict[tuple[str, str], list[int]]:
    """Frames of messages by method and class."""
    frames: dict[tuple[str, str], list[int]] = defaultdict(list)
    for method, kind, number in zip(rows["method"], rows["message_class"], rows["frame"], strict=True):
        frames[method, kind].append(int(number))
    return frames


def _stage(
    rows: pd.DataFrame, frames: dict[tuple[str, str], list[int]]
) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
    """Stage of one TURN connection, the frames that show it, and those of refused permissions."""
    granted = frames["CreatePermission", "success"] + frames["ChannelBind", "success"]
    refused, allocated = tuple(frames["CreatePermission", "error"]), tuple(frames["Allocate", "success"])
    if granted:
        return "permitted", tuple(sorted(granted)), refused
    if refused:
        return "permission-refused", refused, refused
    if allocated:
        return "allocated", allocated, ()
    asked = rows["method"].eq("Allocate") & rows["message_class"].eq("request")
    with_credentials = [int(f) for f in rows.loc[asked & rows["username"].notna(), "frame"]]
    late = [frame for frame in frames["Allocate", "error"] if with_credentials and frame > with_credentials[0]]
    if late:
        return "auth-failed", (with_credentials[0], *late), ()
    return "unreachable", tuple(frames["Allocate", "request"]), ()
