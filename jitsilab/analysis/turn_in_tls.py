"""TURN inside TLS, read from the lengths of records alone: no key is needed, and none is used.

`records` names each record, `stages` says how far each connection came and what its lengths give away. Both take the
tables ``tls`` and ``flows`` of a capture or of a printed study; `turn_reader` does the reading.
"""

from typing import Any

import numpy as np
import pandas as pd

from jitsilab.analysis import limits
from jitsilab.analysis.turn_lengths import Opening, username_range
from jitsilab.analysis.turn_reader import KINDS, QUIET, Reading, readings, remembered
from jitsilab.analysis.turn_records import candidates, ends_of
from jitsilab.pcap.columns import joined, ordered
from jitsilab.tables import Schema, frame_from
from jitsilab.tables.frames import texts

SCHEMA: Schema = {
    "frame": ("int64", "frame in which the record ends"),
    "seconds": ("float64", "s since the first frame of the capture"),
    "flow": ("Int64", "number of the flow in the table flows"),
    "client": ("str", "ip:port or [ip6]:port of the client"),
    "up": ("bool", "from the client"),
    "message": (
        "str",
        "allocate, refresh, create-permission, channel-bind (-success, -error), send, data, channel-data, other",
    ),
    "length": ("int64", "bytes of plaintext: of the message, or of all messages of a record of relayed data"),
    "record_length": ("int64", "length field of the TLS record"),
    "certainty": ("str", "deduced: one solution; inferred: another reading remains"),
}
STAGES: Schema = {
    "flow": ("int64", "number of the flow in the table flows"),
    "client": ("str", "ip:port or [ip6]:port of the client"),
    "address": ("str", "address of the client"),
    "first_frame": ("int64", "first frame of the flow"),
    "last_frame": ("int64", "last frame of the flow"),
    "first_seconds": ("float64", "s since the first frame of the capture"),
    "last_seconds": ("float64", "s since the first frame of the capture"),
    "stage": ("str", "unreachable, auth-failed, allocated, permission-refused, permitted, relaying"),
    "score": ("int64", "equations between lengths that hold; from 5 on the reading is deduced"),
    "certainty": ("str", "deduced or inferred"),
    "frames": ("str", "frames that show the stage"),
    "allocated_frames": ("str", "frames of the allocations that were granted"),
    "permissions": ("int64", "CreatePermission requests"),
    "granted": ("int64", "CreatePermission requests that succeeded"),
    "refused": ("int64", "CreatePermission requests that were refused"),
    "refused_frames": ("str", "frames of the refusals"),
    "channels": ("int64", "channels bound"),
    "sent": ("int64", "Send indications before a channel was bound"),
    "received": ("int64", "Data indications before a channel was bound"),
    "bytes_up": ("int64", "bytes of relayed data from the client, with what TURN puts around them"),
    "bytes_down": ("int64", "bytes of relayed data to the client"),
    "relayed_seconds": ("float64", "s from the first relayed record to the last"),
    "checks": ("int64", "ICE checks sent into the tunnel before anything came back"),
    "check_length": ("Int64", "bytes of the shortest such check"),
    "username_longest": ("Int64", "most bytes its USERNAME can have; the least is 3 less, 7 where it nominates"),
    "session": ("str", "p2p or jvb: whom the checks are for, by the length of the ufrags or of the answers"),
    "fixed": ("Int64", "bytes of SOFTWARE and FINGERPRINT in each answer: deduced"),
    "reason": ("Int64", "padded bytes of the reason of a refused request: deduced"),
    "username": ("Int64", "padded bytes of the TURN USERNAME: if the 401 says Unauthorized"),
    "realm_and_nonce": ("Int64", "padded bytes of REALM and NONCE together: under the same condition"),
}
MEDIA = ("send", "data", "channel-data", "other")  # what carries something, or may
CERTAINTIES = ("deduced", "inferred")
RELAYING = limits.RELAYING.value  # bytes a second each way: below, a relay that is set up carries checks and no media
LIBWEBRTC = 28  # bytes of its first Allocate; its checks carry a network cost (8) and, nominating, USE-CANDIDATE (4)
PEER = {True: 16, False: 20}  # longest padded USERNAME between browsers, from libwebrtc or not; a bridge's is longer
ANSWER = 64  # bytes of a browser's answer to a check: a bridge's ice4j adds USERNAME and SOFTWARE


def records(tls: pd.DataFrame, flows: pd.DataFrame) -> pd.DataFrame:
    """One row a record of every flow that is TURN inside TLS, columns as in SCHEMA, in the order of the capture.

    ``tls`` and ``flows`` are tables of a capture or of a printed study. Handshake records are left out.
    """
    names, read = clients(flows), readings(tls, flows)
    if not read:
        return frame_from([], SCHEMA)
    kept = joined([reading.kept for reading in read])
    order = np.argsort(kept["frame"], kind="stable")
    kept, owner = ordered(kept, order), np.repeat(np.arange(len(read)), [len(one.kept) for one in read])[order]
    surest = np.array([CERTAINTIES.index(one.certainty) for one in read])[owner]
    return pd.DataFrame({
        "frame": kept["frame"].astype(np.int64),
        "seconds": kept["seconds"],
        "flow": pd.array(np.array([one.flow for one in read])[owner], dtype="Int64"),
        "client": texts(owner, [names[one.flow] for one in read]),
        "up": kept["up"],
        "message": texts(kept["message"].astype(np.int32), KINDS),
        "length": kept["length"].astype(np.int64),
        "record_length": kept["record_length"].astype(np.int64),
        "certainty": texts(np.where(kept["sure"], surest, CERTAINTIES.index("inferred")), CERTAINTIES),
    })  # fmt: skip


def clients(flows: pd.DataFrame) -> dict[int, str]:
    """Of each flow its client, as ip:port or [ip6]:port."""
    return {
        int(flow): f"[{client}]:{port}" if ":" in str(client) else f"{client}:{port}"
        for flow, client, port in zip(flows["flow"], flows["client"], flows["client_port"], strict=True)
    }


@remembered
def stages(tls: pd.DataFrame, flows: pd.DataFrame) -> pd.DataFrame:
    """One row a TURN-inside-TLS connection, columns as in STAGES, also of those that the server left without an answer.

    ``tls`` and ``flows`` are tables of a capture or of a printed study.
    """
    names, ends = clients(flows), ends_of(flows)
    read = {reading.flow: reading for reading in readings(tls, flows)}
    rows = [
        _row(reading, ends[number], names[number]) for number, reading in read.items() if reading.opening is not None
    ]
    rows += [
        _row(Reading(number), ends[number], names[number], frame)
        for number, frame in _unanswered(tls, ends)
        if number not in read or read[number].opening is None
    ]
    table = frame_from([[row.get(column) for column in STAGES] for row in rows], STAGES)
    return table.sort_values("first_frame", ignore_index=True)


def _row(reading: Reading, flow: dict[str, Any], client: str, frame: int | None = None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "flow": reading.flow, "client": client, "address": str(flow["client"]), "first_frame": flow["first_frame"],
        "last_frame": flow["last_frame"], "first_seconds": flow["first_seconds"], "last_seconds": flow["last_seconds"],
        "stage": "unreachable", "score": reading.score, "certainty": reading.certainty, "frames": str(frame or ""),
        "allocated_frames": "", "refused_frames": "", "relayed_seconds": 0.0,
    }  # fmt: skip
    frames = {message: reading.rows(message)["frame"].tolist() for message in KINDS if message not in MEDIA}
    counts = {"permissions": "create-permission", "granted": "create-permission-success",
              "refused": "create-permission-error", "channels": "channel-bind-success", "sent": "send",
              "received": "data"}  # fmt: skip
    row |= {column: len(reading.rows(message)) for column, message in counts.items()}
    opened = np.flatnonzero(reading.kept["message"] == KINDS.index("allocate-success"))
    relayed = reading.rows(*MEDIA, since=opened[0] if len(opened) else len(reading.kept))
    for name, up in (("bytes_up", True), ("bytes_down", False)):
        row[name] = int(relayed["length"][relayed["up"] == up].sum(dtype=np.int64))
    begun, ended = relayed["seconds"][[0, -1]].tolist() if len(relayed) else (0.0, 0.0)
    row["relayed_seconds"] = ended - begun
    row["checks"] = len(reading.checks)
    if reading.opening is None:
        return row
    if reading.checks:
        row["check_length"] = min(reading.checks)
        row["session"], row["username_longest"] = _session(reading, reading.opening)
    if not reading.failed:
        row |= {"fixed": reading.opening.fixed, "username": reading.opening.username}
        row |= {
            "realm_and_nonce": reading.opening.realm_and_nonce,
            "reason": reading.reasons[0] if reading.reasons else None,
        }
    stage, shown = _stage(reading, row, frames, begun)
    row |= {"stage": stage, "frames": " ".join(map(str, shown))}
    row["allocated_frames"] = " ".join(map(str, frames["allocate-success"]))
    row["refused_frames"] = " ".join(map(str, frames["create-permission-error"]))
    return row


def _stage(reading: Reading, row: dict[str, Any], frames: dict[str, list[int]], begun: float) -> tuple[str, list[int]]:
    """The stage and the frames that show it; a refusal comes before checks without an answer."""
    if reading.failed:
        return "auth-failed", frames["allocate-error"]
    lasted = max(row["last_seconds"] - begun, 1.0)
    if row["granted"]:
        if min(row["bytes_up"], row["bytes_down"]) >= RELAYING * lasted:
            carries = frames["channel-bind-success"] or reading.rows("data")["frame"].tolist()
            return "relaying", frames["create-permission-success"][:1] + carries[:1]
        return "permitted", frames["create-permission-success"]
    if row["refused"]:
        return "permission-refused", frames["create-permission-error"]
    return "allocated", frames["allocate-success"]


def _unanswered(tls: pd.DataFrame, ends: dict[int, dict[str, Any]]) -> list[tuple[int, int]]:
    """Flows whose ClientHello would lead to TURN and whose server said nothing, with the frame of the ClientHello."""
    silent = []
    said = ~tls["up"].astype("boolean").fillna(True) & ~tls["record_type"].eq("alert").fillna(False)
    for number, shown in candidates(tls[~tls["flow"].isin(tls.loc[said, "flow"].dropna().unique())]):
        flow = ends.get(number)
        if flow is None:
            continue
        waited = float(flow["last_seconds"]) - float(shown.seconds[0])
        ended = any(not pd.isna(flow.get(name)) and flow.get(name) for name in ("fins", "resets"))
        if ended or waited >= QUIET:
            silent.append((number, int(shown.frame[0])))
    return silent


def _session(reading: Reading, opening: Opening) -> tuple[str, int]:
    """Whom a connection's checks are for, and the most bytes their USERNAME can have.

    A bridge's ufrag is longer than a browser's, and its answers are longer than 64 bytes.
    """
    libwebrtc = opening.bare == LIBWEBRTC
    longest = username_range(min(reading.checks), 8 if libwebrtc else 0)[1]
    came = reading.rows("data")["length"][:8].tolist()
    answered = opening.wrapper + opening.fixed + ANSWER in came
    return "p2p" if answered or longest <= PEER[libwebrtc] else "jvb", longest
