"""Writes docs/tables.md from the tables' schemas: `python tests/tables_page.py`."""

from pathlib import Path

from jitsilab.call import schemas
from jitsilab.tables import COMMON

HEAD = """# The tables

`call.stun` in Python, `jitsilab table stun CAPTURE` on the command line, as CSV, JSON (`--to json`) or Parquet (`-o
stun.parquet`). `jitsilab tables` prints what stands here. Each row leads back to its frame: `call.packet(frame)`.

- A table that a capture cannot show (signaling without keys, say) is `None` in Python (`call.table(name)`), the header
  alone in CSV and `[]` in JSON. That is not the same as an empty table, which says that there was nothing.
- Times are UTC with nanoseconds, in CSV and JSON as ISO 8601; a study's printed tables have none, only `seconds`. A
  missing value is empty in CSV and `null` in JSON; lists are one string with spaces there and lists in Parquet.
- Of several pieces the tables stand one after the other, with a column `input`; `timeline` and `calls` are made of all
  pieces together.
- `frames`, `tcp`, `rtp` and, through a relay, `stun` have a row a packet: the command writes them part by part, and
  `call.chunks("rtp")` gives them so, where `call.rtp` would be all of a long capture at once. The checks take `stun`
  without what merely carries media (`call.tables()["stun"]`).
- These tables show what was said, passwords included; reports, diagnosis, audit, errors and notebooks never do.
- What strangers said is data: a cell of a CSV file may begin with `=`. Import it as text rather than open it in a
  spreadsheet. On a terminal, characters that would steer it are shown as escapes; files and pipes get the data as is.

Types are those of the DataFrame (`Int64` and `boolean` can be missing, `int64` and `bool` cannot). This page is written
by `tests/tables_page.py`; a test keeps it so.
"""

ROWS = {  # table: what one row is
    "frames": "a frame",
    "tcp": "a TCP segment",
    "arp": "an ARP packet",
    "flows": "a UDP or TCP five-tuple, from its first frame to its last",
    "stun": "a STUN or TURN message or ChannelData, at any depth, over UDP, TCP or decrypted TLS",
    "rtp": "an RTP packet, as far as SRTP leaves it in clear",
    "rtcp": "a packet of an RTCP compound, as far as SRTCP leaves it in clear",
    "media": "an RTP stream: one flow, direction and SSRC",
    "tls": "a TLS record",
    "dtls": "a DTLS handshake message, or another record",
    "dns": "a question of a DNS message with what was answered to it, or a name that multicast DNS told unasked",
    "http": "an exchange of HTTP/1.1 or HTTP/2, in clear or decrypted; secrets in targets are left out",
    "xmpp": "a stanza or stream element, over WebSocket, BOSH or TCP, in clear or decrypted",
    "bridge": "a message on a bridge channel",
    "jingle": "a content of a Jingle stanza; a stanza without contents has one row",
    "payload_types": "a payload type that a content describes",
    "header_extensions": "an RTP header extension that a content describes",
    "candidates": "an ICE candidate in a Jingle stanza",
    "sources": "an SSRC that somebody announced",
    "ice": "a candidate pair that was checked: two addresses as they stood on the wire",
    "turn_in_tls": "a record of a TLS flow that carries TURN, read without keys",
    "participants": "a person: by name where one is known, else by address",
    "steps": "a step of session creation, for each participant or session that it is asked of",
    "findings": "a security check",
    "calls": "a call",
    "timeline": "a happening, as packets, stanzas, a line or a browser date it, all on one clock and in one order",
    "log": "a line of a program's log",
    "events": "what a line, a packet or an entry of a dump means",
    "console": "a line of a browser's console",
    "requests": "an HTTP request or a WebSocket's handshake, as a proxy or a browser saw it",
    "peer_connections": "a connection of a browser's dump",
    "pc_events": "an entry of its log",
    "stats": "a value of its statistics at a time",
    "errors": "something that could not be read",
}


def page() -> str:
    """The whole page."""
    parts = [HEAD, "\n## Columns of every message\n\nWhere a table has them, they come first.\n", _columns(COMMON)]
    for name, schema in schemas().items():
        common = set(COMMON) <= set(schema)
        own = {column: one for column, one in schema.items() if not (common and column in COMMON)}
        first = "The columns of every message, then:\n" if common else ""
        parts += [f"\n## {name}\n\nOne row is {ROWS[name]}. {first}".rstrip() + "\n", _columns(own)]
    return "".join(parts)


def _columns(schema: dict[str, tuple[str, str]]) -> str:
    rows = [f"| `{column}` | {dtype} | {_cell(meaning)} |\n" for column, (dtype, meaning) in schema.items()]
    return "\n| column | type | meaning |\n|---|---|---|\n" + "".join(rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<").replace("*", "\\*").replace("_", "\\_")


if __name__ == "__main__":
    Path(__file__).resolve().parent.parent.joinpath("docs", "tables.md").write_text(page(), encoding="utf-8")
