"""The table of limits in docs/robustness.md: ``python tests/robustness_page.py`` writes it between its two marks."""

import importlib
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).resolve().parent.parent / "docs" / "robustness.md"
BEGIN, END = "<!-- limits -->\n", "<!-- /limits -->\n"


class Bound(NamedTuple):
    """A limit on what evidence may take, where it stands, and why it is as large."""

    what: str
    place: str  # module:name
    unit: str
    why: str


BOUNDS = (
    Bound("unpacked over packed", "pcap.sources:BOMB_RATIO", "times", "logs of one line repeated pack to a hundredth"),
    Bound("unpacked before that ratio counts", "pcap.sources:BOMB_FREE", "bytes", "a small file may be all zeros"),
    Bound("dictionary of zstd and xz", "pcap.sources:WINDOW", "bytes", "as the zstd program has it"),
    Bound("column of frames in memory", "pcap.columns:HELD", "bytes", "what is longer goes to a temporary file"),
    Bound("unpacked capture in memory", "pcap.sources:IN_MEMORY", "bytes", "what is longer goes to a temporary file"),
    Bound("members of an archive, files of a folder", "inputs.delivery:MAX_MEMBERS", "", "a case has some hundred"),
    Bound("all members of an archive", "inputs.delivery:MAX_UNPACKED", "bytes", "a day of captures"),
    Bound("archives in archives", "inputs.delivery:NESTED", "", "a pack inside an attachment"),
    Bound("wait for a pipe before it is said", "inputs.delivery:WAITED", "s", "a person begins to wonder"),
    Bound("frame", "pcap.containers:LONGEST_FRAME", "bytes", "every tool's largest snapshot length"),
    Bound("block of pcapng", "pcap.containers:LONGEST_BLOCK", "bytes", "only secrets and names are large"),
    Bound("empty records before a file counts as zeros", "pcap.containers:ZEROS", "", "1 kB that no recorder writes"),
    Bound("datagrams in reassembly", "pcap.fragments:WAITING", "", "the oldest is given up"),
    Bound("datagram put together", "pcap.fragments:LARGEST", "bytes", "RFC 791: 16 bits of length"),
    Bound("flows", "wire.flows:MOST", "", "a day of a busy server has fewer, a scan of all ports has more"),
    Bound("TURN inside TURN", "wire.units:DEEPEST", "", "no network holds three"),
    Bound("handshake message of DTLS", "protocols.dtls:MAX_MESSAGE", "bytes", "a chain of many certificates"),
    Bound("fragments of one", "protocols.dtls:MAX_PARTS", "", "that message in pieces of 512 bytes"),
    Bound("such messages at a time", "protocols.dtls:MAX_PENDING", "", "a flight has ten"),
    Bound("handshake message of TLS", "protocols.tls:MAX_MESSAGE", "bytes", "a chain of many certificates"),
    Bound("compressed certificates unfolded", "protocols.hello:MAX_CERTIFICATES", "bytes", "a chain has some thousand"),
    Bound("record numbers tried after a loss", "wire.decrypt.record_layer:WINDOW", "", "a loss of 16 MB"),
    Bound("attempts of one direction", "wire.decrypt.record_layer:BUDGET", "", "a second of work"),
    Bound("head of an HTTP/1 message", "wire.carriers.http1:MAX_HEAD", "bytes", "servers allow 8 to 64 kB"),
    Bound("body kept", "wire.carriers.http1:MAX_CONTENT", "bytes", "BOSH holds stanzas, not files"),
    Bound("header fields of HTTP/2 unfolded", "wire.carriers.http2:MAX_HEADERS", "bytes", "of one direction"),
    Bound("message of a WebSocket", "wire.carriers.websocket:MAX_MESSAGE", "bytes", "sixteen of the largest stanzas"),
    Bound("messages of one direction unfolded", "wire.carriers.websocket:MAX_INFLATED", "bytes", "hours of signaling"),
    Bound("stanza", "protocols.xml:MAX_SIZE", "bytes", "Prosody allows a quarter of it to clients"),
    Bound("elements inside each other", "protocols.xml:MAX_DEPTH", "", "a session-initiate has nine"),
    Bound("headers in one XMPP stream", "protocols.xml_stream:MAX_RESTARTS", "", "a login has three"),
    Bound("media sections of SDP", "protocols.sdp:MAX_SECTIONS", "", "a call of hundreds"),
    Bound("SDP written", "protocols.sdp_writer:MAX_SIZE", "characters", "that call has some hundred thousand"),
    Bound("DNS of one capture", "tables.dns:MOST_BYTES", "bytes", "hundreds of thousands of queries"),
    Bound("line of a log", "inputs.logs.decoding:LONGEST", "bytes", "COLIBRI of a large conference has 100 kB"),
    Bound("line of a console", "inputs.browser.console:LONGEST", "bytes", "what follows is an object's dump"),
    Bound("JSON text", "inputs.json_text:LIMIT", "bytes", "a dump of an hour with many streams"),
    Bound("levels of JSON", "inputs.json_text:DEPTH", "", "no program writes as deep"),
    Bound("entry of an rtcstats dump", "inputs.browser.rtcstats:LONGEST", "bytes", "statistics of hundreds of streams"),
    Bound("answer of a server", "inputs.rest:LIMIT", "bytes", "statistics of thousands of conferences"),
    Bound("paste", "inputs.pasted:LIMIT", "bytes", "a few hundred offers"),
    Bound("printed file", "inputs.prints.texts:MAXIMUM", "bytes", "a longer one belongs into a capture"),
    Bound("file of configuration", "facts.loading:LARGEST", "bytes", "the largest seen has 60 kB"),
    Bound("files of configuration", "facts.loading:MOST", "", "a server has some dozen"),
    Bound("nodes of a compose file", "facts.compose:NODES", "", "aliases counted each time"),
    Bound("calls of what a call gives, in Lua", "facts.prosody:CHAIN", "", "a component has three"),
    Bound("rules walked for one packet", "facts.packetfilter.walk:STEPS", "", "the largest blocklists"),
    Bound("key log", "wire.decrypt.keylog:_MAX_FILE", "bytes", "a quarter of a million connections"),
    Bound("rows of one protocol in errors", "call:MOST_PROBLEMS", "", "of one input; how many more is a row"),
)


def value(bound: Bound) -> float:
    """The limit as the code has it."""
    module, _, name = bound.place.partition(":")
    return float(getattr(importlib.import_module(f"jitsilab.{module}"), name))


def table() -> str:
    """The limits as Markdown."""
    lines = ["| limit of | value | why | where |", "|---|---|---|---|"]
    for one in BOUNDS:
        shown = f"{value(one):,.0f} {one.unit}".strip()
        lines.append(f"| {one.what} | {shown} | {one.why} | `{one.place}` |")
    return "\n".join(lines) + "\n"


def page(old: str) -> str:
    """The page with the table as it is now."""
    before, _, rest = old.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
