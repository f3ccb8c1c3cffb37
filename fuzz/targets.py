"""What is fuzzed: a reader each, fed with bytes. Anything but a `LabError` that comes out of one is a find.

Imports stand inside the functions, because atheris instruments what is imported after it.
"""

import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

SEPARATOR = b"\xfe\xff\xfe\xff"  # between what a client and what a server sent


class Bytes:
    """A byte stream without holes but where ``SEPARATOR`` reversed stands; a frame for each hundred bytes."""

    from_start = True

    def __init__(self, data: bytes) -> None:
        from jitsilab.wire.streams import Piece

        self.pieces, at = [], 0
        for part in data.split(SEPARATOR[::-1])[:8]:
            if part:
                self.pieces.append(Piece(at, part))
            at += len(part) + 7

    def span(self, start: int, end: int) -> tuple[int, int]:
        """First and last frame."""
        return 1 + start // 100, 1 + max(start, end - 1) // 100


def _two(data: bytes) -> tuple[Bytes, Bytes]:
    up, _, down = data.partition(SEPARATOR)
    return Bytes(up), Bytes(down)


def stun(data: bytes) -> None:
    """A STUN message, its attributes, its two sums."""
    from jitsilab.protocols import stun as protocol

    message = protocol.decode(data)
    for attribute in message.attributes:
        message.get(attribute.type), message.text(attribute.type), message.number(attribute.type)
        message.endpoints(attribute.type)
    _ = message.mapped, message.error, message.role, message.tie_breaker, message.channel, message.method_name
    protocol.fingerprint_ok(message), protocol.integrity_ok(message, b"key"), protocol.password_algorithm(message)


def channel(data: bytes) -> None:
    """ChannelData, and a stream of STUN and ChannelData."""
    from jitsilab.errors import ParseError
    from jitsilab.protocols import demux
    from jitsilab.protocols import stun as protocol

    demux.kind(data)
    form = demux.framing(data)
    for framing in {form, "turn", "rfc4571"} - {"", "pseudo-tls"}:
        assert all(one.end > one.offset for one in demux.split(data, framing, demux.after_hello(data)))
    demux.resume(data, {0x4000, 0x4001})
    try:
        protocol.decode_channel(data)
    except ParseError:
        protocol.decode(data)


def tls(data: bytes) -> None:
    """TLS records and the handshake messages in them."""
    from jitsilab.protocols import hello
    from jitsilab.protocols import tls as protocol

    up, _, down = data.partition(SEPARATOR)
    protocol.find_record(data), protocol.find_hello(data, server=True), protocol.find_hello(data, server=False)
    for record in protocol.records(Bytes(up).pieces):
        record.complete  # noqa: B018
    for message in protocol.Handshake().feed(down):
        _handshake(hello, message.type, message.body)
    protocol.decode(data)


def _handshake(hello: Any, kind: int, body: bytes) -> None:
    from jitsilab.errors import ParseError

    readers = {
        1: (hello.decode_client_hello,), 2: (hello.decode_server_hello,), 4: (hello.decode_ticket,),
        8: (hello.decode_encrypted_extensions,), 11: (hello.decode_certificates,),
        25: (hello.decode_compressed_certificates,),
    }  # fmt: skip
    for reader in readers.get(kind, (hello.describe_alert,)):
        try:
            reader(body)
        except ParseError:
            continue


def handshake(data: bytes) -> None:
    """The body of a TLS handshake message, its type before it."""
    from jitsilab.protocols import hello

    _handshake(hello, data[0] if data else 0, data[1:])


def dtls(data: bytes) -> None:
    """DTLS records, fragments put together, hellos."""
    from jitsilab.protocols import dtls as protocol
    from jitsilab.protocols import hello

    assembler = protocol.Assembler()
    for number, datagram in enumerate(data.split(SEPARATOR)[:16]):
        for record in protocol.decode(datagram):
            for fragment in protocol.fragments(record):
                message = assembler.feed(fragment, number)
                if message is not None:
                    _handshake(hello, message.type, message.body)
    assembler.unfinished()


def rtp(data: bytes) -> None:
    """RTP and RTCP."""
    from jitsilab.errors import ParseError
    from jitsilab.protocols import rtcp
    from jitsilab.protocols import rtp as protocol

    try:
        header = protocol.decode(data)
        [one for extension in header.extensions for one in (extension.id,)]
    except ParseError:
        pass
    protocol.elements(0xBEDE, data), protocol.elements(0x1000, data)
    rtcp.decode(data), rtcp.decode(data, encrypted=True)


def certificate(data: bytes) -> None:
    """An X.509 certificate."""
    from jitsilab.wire import x509

    for certificate in x509.decode_pem(data) if data.startswith(b"-----") else [x509.decode(data)]:
        certificate.covers("meet.example.org"), certificate.fingerprint()


def http1(data: bytes) -> None:
    """HTTP/1 exchanges of two streams."""
    from jitsilab.wire.carriers import http1 as carrier
    from jitsilab.wire.carriers.model import Notes

    list(carrier.exchanges(*_two(data), Notes(), flow=0, up=True, clear=True))


def http2(data: bytes) -> None:
    """HTTP/2 exchanges of two streams."""
    from jitsilab.wire.carriers import http2 as carrier
    from jitsilab.wire.carriers.model import Notes

    list(carrier.exchanges(*_two(data), Notes(), flow=0, up=True, clear=True))


def websocket(data: bytes) -> None:
    """WebSocket frames of one direction, compressed or not, from the handshake on or not."""
    from jitsilab.wire.carriers import websocket as carrier
    from jitsilab.wire.carriers.model import Notes

    how = data[0] if data else 0
    stream = Bytes(data[1:])
    deflate = carrier.Deflate(bool(how & 4)) if how & 2 else None
    list(carrier.messages(stream, 0, Notes(), masked=bool(how & 1), deflate=deflate, opened=not how & 8))
    carrier.begins(stream, Bytes(data), late=bool(how & 16))
    carrier.agreed(data[:200].decode("latin-1"))


def carried(data: bytes) -> None:
    """Whatever HTTP, WebSocket, BOSH and XMPP two streams carry."""
    from types import SimpleNamespace

    from jitsilab.wire.carriers import build

    up, down = _two(data)
    flow = SimpleNamespace(
        number=0, transport="tcp", client=("192.0.2.1", 5000), server=("192.0.2.9", 5280),
        stream=lambda is_up: up if is_up else down,
    )  # fmt: skip
    build(SimpleNamespace(flows=[flow], sessions={}, time=lambda frame: frame * 1_000_000))  # type: ignore[arg-type]


def stanza(data: bytes) -> None:
    """A stanza and what Jitsi says in it."""
    from jitsilab.protocols import jitmeet, xmpp
    from jitsilab.protocols import stanza as protocol

    one = protocol.parse(data)
    for reader in (
        protocol.header, protocol.features, protocol.sasl, protocol.bound, protocol.management, protocol.error,
        protocol.disco, protocol.body, jitmeet.presence, jitmeet.source_info, jitmeet.properties, jitmeet.conference,
        jitmeet.services, jitmeet.offers, jitmeet.json_message, jitmeet.metadata, jitmeet.moderation, jitmeet.colibri,
        xmpp.purpose,
    ):  # fmt: skip
        reader(one)


def xmpp_stream(data: bytes) -> None:
    """A stream of XML, cut into stanzas."""
    from jitsilab.protocols import xml_stream
    from jitsilab.wire.carriers import xmpp_tcp
    from jitsilab.wire.carriers.model import Notes

    list(xml_stream.split(data))
    list(xmpp_tcp.elements(Bytes(data), Notes()))
    xmpp_tcp.begins(Bytes(data), late=True)


def jingle(data: bytes) -> None:
    """Jingle, written again as Jingle and as SDP."""
    from jitsilab.protocols import jingle as protocol
    from jitsilab.protocols import jingle_writer

    session = protocol.decode(data)
    jingle_writer.encode(session)
    protocol.to_sdp(session)


def sdp(data: bytes) -> None:
    """SDP, written again as Jingle and as SDP."""
    from jitsilab.protocols import jingle_writer, sdp_writer
    from jitsilab.protocols import sdp as protocol

    session = protocol.decode(data.decode("utf-8", "replace"))
    sdp_writer.write(session), jingle_writer.encode(session)


def dns(data: bytes) -> None:
    """DNS messages, one after the other, as rows."""
    from types import SimpleNamespace

    from jitsilab.tables import dns_messages
    from jitsilab.tables.dns import DNS, Datagram

    ends = ("192.0.2.1", 40000), ("192.0.2.2", 5353 if data[:2] == b"\0\0" else 53)
    packets = SimpleNamespace(
        first=1, source=lambda frame: ends[frame % 2], destination=lambda frame: ends[1 - frame % 2]
    )
    flows = SimpleNamespace(of_frame=[0] * 16)
    wire: Any = SimpleNamespace(packets=packets, flows=flows, time=lambda frame: frame, seconds=lambda frame: frame / 9)
    asked: dict[Any, int] = {}
    for frame, message in enumerate(data.split(SEPARATOR)[:16], 1):
        datagram = Datagram(message, frame, frame, "udp", len(message), False)
        assert all(len(row) == len(DNS) for row in dns_messages.rows(wire, datagram, asked, []))
        dns_messages.is_one(message)


def container(data: bytes) -> None:
    """A pcap or pcapng file, packed or not: frames, addresses, fragments, flows."""
    from jitsilab.pcap import read

    packets = read(io.BytesIO(data))
    for number in range(1, min(len(packets), 30) + 1):
        packets.frame(number), packets.payload(number)
    _ = packets.addresses, packets.tcp_seq, packets.duplicate_of


def wire(data: bytes) -> None:
    """A capture through every floor, to every table."""
    from jitsilab.inputs.packets import PacketTables
    from jitsilab.pcap import read
    from jitsilab.wire import Wire

    tables = PacketTables("fuzzed", Wire(read(io.BytesIO(data))))
    for name in tables:
        _ = tables[name]
    _ = tables.problems


def tshark_fields(data: bytes) -> None:
    """A capture as tshark prints its fields."""
    from jitsilab.pcap import like_tshark
    from jitsilab.wire import frames_csv

    like_tshark.write(io.BytesIO(data), io.StringIO())
    frames_csv.write(io.BytesIO(data), io.StringIO())


def prints(data: bytes) -> None:
    """Packets as programs print them, to their tables."""
    from jitsilab.inputs import prints as reader

    reader.recognise(data), reader.refusal(data)
    reader.load(io.BytesIO(data), name="fuzzed")


def printed_lines(data: bytes) -> None:
    """Packets as programs print them: the form, each line, each summary."""
    from jitsilab.inputs.prints import reading, texts, transcript

    _, printed, _ = reading.frames(texts.load(io.BytesIO(data), "fuzzed"), "fuzzed")
    transcript.summaries_of(printed, [])


class _Memory:
    """A delivery in memory."""

    path: Path | None = None

    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.input = data, name

    def open(self) -> io.BytesIO:
        """The bytes from the start."""
        return io.BytesIO(self.data)

    @property
    def head(self) -> bytes:
        """The first bytes."""
        return self.data[: 1 << 16]

    @property
    def name(self) -> str:
        """The name without folders."""
        return self.input


def _lines_of(room: str, *names: str) -> Callable[[bytes], None]:
    """A target that reads bytes as kinds of evidence of one room, whether or not they are recognised."""

    def target(data: bytes) -> None:
        import importlib

        delivery: Any = _Memory(data, "fuzzed")
        for kind in importlib.import_module(f"jitsilab.inputs.{room}").KINDS:
            sure = kind.recognise(delivery)
            if kind.name in names or (not names and sure > 0):
                source = kind.open(delivery)
                for _ in source.rows(source.tables):
                    pass
                _ = source.problems, source.note

    target.__doc__ = f"Evidence of the kinds {', '.join(names) or f'in {room}'}."
    return target


def logs(data: bytes) -> None:
    """A log of any program, whatever it is taken for."""
    from jitsilab.inputs import logs as reader

    delivery: Any = _Memory(data, "fuzzed.log")
    for kind in reader.KINDS:
        kind.recognise(delivery)
    reader.stranger(data)
    source = reader.KINDS[0].open(delivery)
    for _ in source.rows(source.tables):
        pass
    _ = source.problems, source.note


def patterns(data: bytes) -> None:
    """Every pattern of every program, on one line."""
    from jitsilab.inputs.logs import records
    from jitsilab.inputs.logs.times import Yearless

    line = data.decode("utf-8", "replace")
    years = Yearless(2024)
    for name in (
        "java",
        "java_two_lines",
        "prosody",
        "nginx_access",
        "nginx_error",
        "coturn",
        "kernel",
        "container",
        "unit",
    ):
        getattr(records, name)(line, years)
    for pattern in _patterns():
        pattern.match(line)


_compiled: list[Any] = []


def _patterns() -> list[Any]:
    if not _compiled:
        import re

        from jitsilab.inputs.logs.patterns import jicofo, jvb, others

        for module in (jicofo, jvb, others):
            every = [one for value in vars(module).values() if isinstance(value, tuple) for one in value]
            _compiled.extend(re.compile(one.text, re.MULTILINE) for one in every if hasattr(one, "text"))
    return _compiled


def _facts(*names: str) -> Callable[[bytes], None]:
    """A target that reads bytes as a server's files of these names."""

    def target(data: bytes) -> None:
        from jitsilab import facts
        from jitsilab.facts import services
        from jitsilab.facts.loading import Given

        for name in names:
            found = facts.load(Given(name, data))
            for service in services.PROGRAM:
                services.reach(found, service)

    target.__doc__ = f"Files of a server that are called {', '.join(names)}."
    return target


def one_grammar() -> None:
    """Have pyhocon keep the grammar that it builds for each text: that takes ten times as long as reading a passage."""
    import pyparsing
    from pyhocon import ConfigFactory
    from pyhocon.config_parser import ConfigParser

    built, parse = list[Any](), pyparsing.ParserElement.parse_string

    def kept(grammar: Any, *given: Any, **more: Any) -> Any:
        built.append(grammar)
        return parse(grammar, *given, **more)

    pyparsing.ParserElement.parse_string = kept
    ConfigFactory.parse_string("a = 1", resolve=False)
    pyparsing.ParserElement.parse_string = parse
    (grammar,) = built
    # what it does behind that is to resolve substitutions, which is never asked of it here
    ConfigParser.parse = lambda _, text, *__: grammar.parse_string(text, parse_all=True)[0]


def audit(data: bytes) -> None:
    """A server's files, one after the other, and every rule over them."""
    from jitsilab import facts
    from jitsilab.facts.loading import Given
    from jitsilab.judge import findings

    names = ("prosody.cfg.lua", "nginx.conf", ".env", "docker-compose.yml", "turnserver.conf", "nft.txt", "ss.txt",
             "jvb.conf", "config.js")  # fmt: skip
    parts = data.split(SEPARATOR)[: len(names)]
    found = facts.load(*(Given(name, part) for name, part in zip(names, parts, strict=False)))
    if not found.problems or found.inputs:
        rows = findings.audit(None, found)
        findings.to_text(rows, 100, inputs=findings.inputs(None, found), verbose=True, changes=None)


def keylog(data: bytes) -> None:
    """A key log."""
    from jitsilab.wire.decrypt import KeyLog
    from jitsilab.wire.decrypt import keylog as reader

    reader.is_keylog(data), len(KeyLog.load(data))


_keylogs: dict[str, Any] = {}


def decryption(data: bytes) -> None:
    """The records of a TLS connection, with the secrets of a recording; each other record opens whatever it holds."""
    from jitsilab.wire import decrypt
    from jitsilab.wire.decrypt import KeyLog, ciphers

    known = os.environ.get("FUZZ_KEYS", "")
    if known not in _keylogs:
        _keylogs[known] = KeyLog.load(Path(known).read_bytes() if Path(known).is_file() else b"")
    honest13, honest12 = ciphers.Aead13.open, ciphers.Aead12.open

    def open13(self: Any, sequence: int, header: bytes, fragment: bytes, before: Any) -> tuple[int, bytes]:
        try:
            return honest13(self, sequence, header, fragment, before)
        except ciphers.UnauthenticError:
            if len(fragment) < 18 or fragment[0] & 1:
                raise
            return fragment[-17] if fragment[-17] in (21, 22, 23) else 22, fragment[:-17]

    def open12(self: Any, sequence: int, header: bytes, fragment: bytes, before: Any) -> tuple[int, bytes]:
        try:
            return honest12(self, sequence, header, fragment, before)
        except ciphers.UnauthenticError:
            if len(fragment) < 25 or fragment[0] & 1:
                raise
            return header[0], fragment[8:-16]

    ciphers.Aead13.open, ciphers.Aead12.open = open13, open12  # type: ignore[method-assign]
    try:
        session = decrypt.session(*_two(data), _keylogs[known])
        for up in (True, False):
            len(session.plaintext(up))
    finally:
        ciphers.Aead13.open, ciphers.Aead12.open = honest13, honest12  # type: ignore[method-assign]


def _on_disk(data: bytes, suffix: str = "") -> Path:
    folder = "/dev/shm" if Path("/dev/shm").is_dir() else tempfile.gettempdir()
    path = Path(folder) / f"jitsilab-fuzz-{os.getpid()}{suffix}"
    path.write_bytes(data)
    return path


def case(data: bytes) -> None:
    """A file that is whatever it looks like: opened, diagnosed, audited, told."""
    import jitsilab as jl
    from jitsilab.judge import findings

    path = _on_disk(data)
    try:
        call = jl.load(path)
        call.diagnosis.to_json(), call.diagnosis.to_text()
        for name in ("events", "errors", "steps", "log", "xmpp"):
            if call.has(name):
                call.table(name)
        findings.to_text(findings.audit(call if call.packets else None, call.facts), 100)
    finally:
        path.unlink()


def archive(data: bytes) -> None:
    """A folder packed as tar or zip, and a packed file."""
    from jitsilab.inputs import delivery

    path = _on_disk(data)
    try:
        for one in delivery.gather([path]):
            one.head, one.name, one.note  # noqa: B018
    finally:
        path.unlink()


def leaks(data: bytes) -> None:
    """What a file gives away."""
    from jitsilab.sharing import leaks as search

    path = _on_disk(data)
    try:
        search.scan([path])
    finally:
        path.unlink()


class Target(NamedTuple):
    """One reader."""

    run: Callable[[bytes], None]
    corpus: tuple[str, ...]  # names in `corpora.gather`
    longest: int = 4096  # bytes of an input
    before: Callable[[], None] | None = None  # once in a process that does nothing else


TARGETS = {
    "stun": Target(stun, ("stun",), 2048),
    "channel": Target(channel, ("stun", "channel", "turn-stream")),
    "tls": Target(tls, ("tls",)),
    "handshake": Target(handshake, ("handshake",)),
    "dtls": Target(dtls, ("dtls",)),
    "rtp": Target(rtp, ("rtp", "rtcp"), 2048),
    "certificate": Target(certificate, ("certificate",)),
    "http1": Target(http1, ("http1",)),
    "http2": Target(http2, ("http2",)),
    "websocket": Target(websocket, ("websocket",)),
    "carried": Target(carried, ("http1", "http2", "xmpp-stream", "bosh"), 8192),
    "stanza": Target(stanza, ("stanza",), 8192),
    "xmpp-stream": Target(xmpp_stream, ("xmpp-stream", "stanza"), 8192),
    "jingle": Target(jingle, ("jingle",), 12_000),
    "sdp": Target(sdp, ("sdp",), 12_000),
    "dns": Target(dns, ("dns",), 2048),
    "container": Target(container, ("capture",), 16_384),
    "wire": Target(wire, ("capture",), 16_384),
    "tshark-fields": Target(tshark_fields, ("capture",), 16_384),
    "prints": Target(prints, ("print",), 8192),
    "printed-lines": Target(printed_lines, ("print",), 8192),
    "logs": Target(logs, ("log",), 8192),
    "patterns": Target(patterns, ("log-line",), 1024),
    "console": Target(_lines_of("browser", "console"), ("console",), 8192),
    "webrtc-internals": Target(_lines_of("browser", "webrtc-internals"), ("webrtc-internals",), 20_000),
    "rtcstats": Target(_lines_of("browser", "rtcstats"), ("rtcstats",), 20_000),
    "har": Target(_lines_of("browser", "har"), ("har",), 20_000),
    "rest": Target(_lines_of("rest"), ("rest",), 8192),
    "pasted": Target(_lines_of("pasted"), ("jingle", "sdp"), 12_000),
    "facts-prosody": Target(_facts("prosody.cfg.lua"), ("facts-prosody",), 8192),
    "facts-nginx": Target(_facts("nginx.conf"), ("facts-nginx",), 8192),
    "facts-apache": Target(_facts("site.conf"), ("facts-apache",), 8192),
    "facts-hocon": Target(_facts("jvb.conf", "jicofo.conf"), ("facts-bridge", "facts-focus"), 8192, one_grammar),
    "facts-env": Target(_facts(".env", "sip-communicator.properties"), ("facts-env", "facts-properties"), 8192),
    "facts-compose": Target(_facts("docker-compose.yml"), ("facts-compose",), 8192),
    "facts-firewall": Target(_facts("firewall.txt"), ("facts-firewall",), 8192),
    "facts-turn": Target(_facts("turnserver.conf"), ("facts-turn",), 8192),
    "facts-web": Target(_facts("config.js"), ("facts-web",), 8192),
    "facts-machine": Target(
        _facts("ss.txt", "ip-addr.txt", "ip-route.txt", "hosts", "versions.txt", "docker-ps.txt", "deployment.json"),
        ("facts-sockets", "facts-addresses", "facts-route", "facts-hosts", "facts-versions", "facts-containers"), 4096,
    ),
    "audit": Target(audit, ("facts-all",), 16_384),
    "keylog": Target(keylog, ("keylog",)),
    "decryption": Target(decryption, ("tls",), 8192),
    "archive": Target(archive, ("archive",), 16_384),
    "leaks": Target(leaks, ("capture", "log", "stanza", "print"), 8192),
    "case": Target(
        case, ("capture", "log", "console", "rest", "jingle", "sdp", "print", "har", "rtcstats", "webrtc-internals",
               "facts-prosody", "facts-env", "archive"), 16_384,
    ),
}  # fmt: skip
