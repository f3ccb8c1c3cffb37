"""What a row of the ladder holds, decoded: the fields of its message by name, for whoever asks for them."""

from typing import Any

import pandas as pd

from jitsilab.call import Call
from jitsilab.ip import endpoint

LONGEST = 240  # characters of one value
MOST_CANDIDATES = 8

#: columns of the tables that may be shown: none of them holds a password, a token or a key
_TLS = ("version", "sni", "alpn", "suite", "versions", "ech")
_STUN = (
    "transport", "depth", "message_class", "method", "transaction_id", "username", "mapped_address", "relayed_address",
    "peer_address", "peers", "error_code", "error_reason", "priority", "role", "use_candidate", "software", "lifetime",
    "channel", "fingerprint_ok", "integrity_ok", "rtt",
)  # fmt: skip
_DTLS = ("transport", "depth", "record_type", "handshake_type", "version", "suite", "srtp_profile",
         "certificate_sha256", "alert")  # fmt: skip
_LENGTHS = ("message", "length", "certainty")
_JINGLE = ("action", "session", "sid", "content", "setup", "fingerprint_hash", "fingerprint", "bundle", "reason")
_NAMES = {
    "sni": "server name", "alpn": "protocol (ALPN)", "suite": "cipher suite", "message_class": "class",
    "mapped_address": "mapped address", "relayed_address": "relayed address", "peer_address": "peer",
    "rtt": "round trip (s)", "srtp_profile": "SRTP profile", "certificate_sha256": "certificate (SHA-256)",
    "ech": "encrypted hello", "depth": "inside relays",
}  # fmt: skip
_TABLES = {
    "tls": (("tls", _TLS),), "turn": (("turn_in_tls", _LENGTHS), ("stun", _STUN)), "ice": (("stun", _STUN),),
    "dtls": (("dtls", _DTLS),), "jingle": (("jingle", _JINGLE),), "media": (),
}  # fmt: skip


class Decoded:
    """The rows of the tables that the events of a ladder are made of, by frame."""

    def __init__(self, call: Call, events: pd.DataFrame) -> None:
        frames = set(events["frame"].astype(int))
        self._rows = {
            name: _by_frame(call.of_frames(name, frames), frames)
            for name in ("frames", "tls", "turn_in_tls", "stun", "dtls", "jingle", "candidates")
        }
        media = call.table("media")
        self._media: dict[int, list[Any]] = {}
        for row in media.itertuples() if media is not None else ():
            self._media.setdefault(int(row.flow), []).append(row)

    def values(self, event: Any) -> list[tuple[str, str]]:
        """Names and values of one event (a row of `jitsilab.case.timeline`)."""
        frame = int(event.frame)
        pairs: list[tuple[str, str]] = []
        for row in self._rows["frames"].get(frame, ())[:1]:
            ends = f"{end(row.src, row.src_port)} to {end(row.dst, row.dst_port)}"
            pairs += [("time", f"{row.seconds:.6f} s ({_time(row.time)})"), ("from and to", ends),
                      ("frame", f"{frame}, {row.protocol}, {int(row.length)} bytes")]  # fmt: skip
        if int(event.count) > 1:
            pairs.append(("like it", f"{int(event.count)} to frame {int(event.last_frame)}"))
        if event.hidden:
            pairs.append(("read from", "the length of an encrypted record"))
        for table, columns in _TABLES.get(str(event.kind), ()):
            rows = [row for row in self._rows[table].get(frame, ()) if row.flow == event.flow]
            pairs += _values(rows, columns)
        if event.kind == "jingle":
            pairs += self._candidates(frame)
        if event.kind == "media":
            pairs += [
                (
                    f"stream {row.ssrc:#010x}",
                    f"payload type {row.payload_type}, {row.packets:,} packets, {row.lost:,} lost",
                )
                for row in self._media.get(int(event.flow), ())[:MOST_CANDIDATES]
            ]
        return pairs

    def _candidates(self, frame: int) -> list[tuple[str, str]]:
        rows = self._rows["candidates"].get(frame, ())
        return [
            ("candidate", f"{row.type} {row.protocol} {end(row.address, row.port)}")
            for row in rows[:MOST_CANDIDATES]
        ]  # fmt: skip


def _by_frame(table: pd.DataFrame | None, frames: set[int]) -> dict[int, list[Any]]:
    by_frame: dict[int, list[Any]] = {}
    for row in table[table["frame"].isin(frames)].itertuples() if table is not None and len(table) else ():
        by_frame.setdefault(int(row.frame), []).append(row)
    return by_frame


def _values(rows: list[Any], columns: tuple[str, ...]) -> list[tuple[str, str]]:
    """Each column with its values in these rows, each once."""
    pairs = []
    for column in columns:
        values = dict.fromkeys(shown for row in rows if (shown := _shown(row, column)))
        if values:
            name = _NAMES.get(column, column.replace("_", " "))
            pairs.append((name, ", ".join(values)[:LONGEST]))
    return pairs


def _shown(row: Any, column: str) -> str:
    value = getattr(row, column, None)
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    if column.endswith("_address"):
        port = getattr(row, column.replace("address", "port"), None)
        return end(value, port)
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return "" if column == "depth" and not value else str(value)


def end(address: Any, port: Any) -> str:
    """An address with its port; alone where there is none, and nothing where there is neither."""
    if pd.isna(address):
        return ""
    return str(address) if pd.isna(port) else endpoint(str(address), port)


def _time(value: Any) -> str:
    return "" if pd.isna(value) else pd.Timestamp(value).strftime("%Y-%m-%d %H:%M:%S.%f") + " UTC"


def frame_words(call: Call, frames: set[int]) -> dict[int, tuple[Any, str]]:
    """Of each of these frames its row in the table ``frames``, and what was decoded in it, in a few words."""
    rows = _by_frame(call.of_frames("frames", frames), frames)
    words: dict[int, list[str]] = {}
    for name, form in _SAID.items():
        for number, decoded in _by_frame(call.of_frames(name, frames), frames).items():
            words.setdefault(number, []).extend(dict.fromkeys(filter(None, map(form, decoded))))
    return {
        number: (frame_rows[0], "; ".join(list(dict.fromkeys(words.get(number, [])))[:4])[:LONGEST])
        for number, frame_rows in rows.items()
    }


def _said_stun(row: Any) -> str:
    code = f" {int(row.error_code)}" if not pd.isna(row.error_code) else ""
    reason = f" {_shown(row, 'error_reason')}".rstrip() if code else ""
    inside = " inside TURN" if row.depth else ""
    return f"{row.method} {row.message_class}{code}{reason}{inside}"


def _said_tls(row: Any) -> str:
    hello = _shown(row, "handshake").replace("_", " ")
    name = f" for {row.sni}" if _shown(row, "sni") else ""
    return f"TLS {hello}{name}" if hello else f"TLS {_shown(row, 'inner_type') or row.record_type}".replace("_", " ")


def _said_xmpp(row: Any) -> str:
    child = f" with {row.child}" if _shown(row, "child") else ""
    kind = f" ({row.type})" if _shown(row, "type") else ""
    return f"XMPP {row.name}{kind}{child}"


_SAID: dict[str, Any] = {
    "jingle": lambda row: f"Jingle {row.action} ({row.session})",
    "xmpp": _said_xmpp,
    "turn_in_tls": lambda row: f"TURN {row.message} by its length",
    "stun": _said_stun,
    "dtls": lambda row: f"DTLS {(_shown(row, 'handshake_type') or row.record_type).replace('_', ' ')}",
    "rtp": lambda row: f"RTP {int(row.ssrc):#010x}",
    "http": lambda row: " ".join(filter(None, ("HTTP", _shown(row, "method"), _shown(row, "status")))),
    "tls": _said_tls,
    "dns": lambda row: f"DNS {_shown(row, 'name')}".strip(),
}
