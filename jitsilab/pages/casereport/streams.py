"""Media streams by people's names: ``ann's audio, opus`` says more than an SSRC."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from jitsilab.call import Call
from jitsilab.case import cast


class Stream(NamedTuple):
    """One RTP stream on one leg."""

    name: str
    sender: str  # end from which its packets come, a participant or the bridge
    receiver: str
    kind: str
    codec: str
    ssrc: int
    packets: int
    bytes: int
    lost: int
    jitter_ms: float
    start: float  # s
    end: float
    first_frame: int
    input: str


def of_call(call: Call, names: Mapping[str, str]) -> list[Stream]:
    """The streams of one capture; ``names`` says who is meant by an endpoint id or an address."""
    media = call.table("media")
    if media is None or media.empty:
        return []
    owners, codecs = _owners(call, names), _codecs(call)
    people = cast.addresses(cast.build(call.tables()), call.flows)
    streams = []
    for row in media.itertuples():
        sender, receiver = (_person(str(end), people, names) for end in (row.src, row.dst))
        ssrc, codec = int(row.ssrc), codecs.get(int(row.payload_type), "")
        who, kind = owners.get((ssrc, receiver)) or owners.get((ssrc, ""), ("", ""))
        who, kind = who or sender, kind or _kind(codec)
        streams.append(
            Stream(
                _name(who, kind, codec, ssrc), sender or "the bridge", receiver or "the bridge", kind, codec, ssrc,
                int(row.packets), int(row.bytes), int(row.lost), float(row.jitter_ms), float(row.first_seconds),
                float(row.last_seconds), int(row.first_frame), call.packets[0].input,
            )
        )  # fmt: skip
    return streams


def _person(address: str, people: Mapping[str, str], names: Mapping[str, str]) -> str:
    first = people.get(address)
    return "" if first is None else names.get(address, names.get(first, first))


def _name(who: str, kind: str, codec: str, ssrc: int) -> str:
    """A stream as people speak of it; by its number where nothing names it."""
    if codec == "rtx":
        kind = "repeated packets"
    what = kind or "stream"
    whose = f"{who}'s {what}" if who else f"a stream of the bridge ({ssrc:#010x})" if not kind else f"somebody's {what}"
    return f"{whose}, {codec}" if codec and codec != "rtx" else whose


def _kind(codec: str) -> str:
    if codec.lower() in ("opus", "pcmu", "pcma", "g722", "isac", "red", "telephone-event"):
        return "audio"
    return "video" if codec.lower() in ("vp8", "vp9", "av1", "h264", "h265", "rtx", "ulpfec", "flexfec-03") else ""


def _owners(call: Call, names: Mapping[str, str]) -> dict[tuple[int, str], tuple[str, str]]:
    """Of each SSRC whose it is, and its kind; numbers that the bridge gave hold for the one that it gave them to."""
    sources = call.table("sources")
    owners: dict[tuple[int, str], tuple[str, str]] = {}
    if sources is None:
        return owners
    for row in sources[sources["ssrc"].notna()].itertuples():
        owner, receiver = _word(row.owner), _word(row.receiver)
        if owner and owner != "jvb":
            owners.setdefault(
                (int(row.ssrc), names.get(receiver, receiver)), (names.get(owner, owner), _word(row.kind))
            )
    return owners


def _codecs(call: Call) -> dict[int, str]:
    """Names of the payload types that every description of the call uses alike."""
    table = call.table("payload_types")
    if table is None or table.empty:
        return {}
    rows = table[["id", "name"]].dropna().drop_duplicates()
    rows = rows[~rows["id"].duplicated(keep=False)]
    return {int(number): str(name) for number, name in zip(rows["id"], rows["name"], strict=True)}


def _word(value: Any) -> str:
    return value if isinstance(value, str) and not pd.isna(value) else ""
