"""Carriers against the RFCs' own bytes, other implementations of the same protocols, tshark, and hostile streams."""

import contextlib
import datetime
import gzip
import json
import ssl
import subprocess
import zlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import bounds
import h11
import hpack
import pytest
from captures import captured
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame, SettingsFrame
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import Bytes, carried, deflated, frame, ok, post, texts, upgrade
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import FrameProtocol, Opcode

from jitsilab import call as capture
from jitsilab.wire import decrypt
from jitsilab.wire.carriers import http1, http2, merge, websocket
from jitsilab.wire.carriers.model import Exchange, Notes
from jitsilab.wire.carriers.streams import Cursor, Spliced
from jitsilab.wire.decrypt.keylog import KeyLog
from jitsilab.wire.flows import Piece

MASK = bytes.fromhex("37fa213d")  # RFC 6455 section 5.7
DEFLATE = websocket.Deflate()


def messages(data: bytes, *, masked: bool = False, deflate: websocket.Deflate | None = None) -> list[tuple[int, bytes]]:
    notes = Notes()
    found = list(websocket.messages(Bytes(data), 0, notes, masked=masked, deflate=deflate))
    assert not notes.problems
    return [(one.opcode, one.data) for one in found]


# WebSocket ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "masked", "expected"),
    [
        ("810548656c6c6f", False, [(1, b"Hello")]),
        ("818537fa213d7f9f4d5158", True, [(1, b"Hello")]),
        ("010348656c 80026c6f", False, [(1, b"Hello")]),
        ("890548656c6c6f", False, [(9, b"Hello")]),
        ("8a8537fa213d7f9f4d5158", True, [(10, b"Hello")]),
    ],
)
def test_the_examples_of_rfc_6455_section_5_7(data: str, masked: bool, expected: list[tuple[int, bytes]]) -> None:
    assert messages(bytes.fromhex(data), masked=masked) == expected


@pytest.mark.parametrize(("head", "size"), [("827e0100", 256), ("827f0000000000010000", 65536)])
def test_the_lengths_of_rfc_6455_section_5_7(head: str, size: int) -> None:
    assert messages(bytes.fromhex(head) + bytes(size)) == [(2, bytes(size))]


@pytest.mark.parametrize(
    "data",
    [
        "c107f248cdc9c90700",  # section 7.2.3.1
        "4103f248cd 8004c9c90700",  # the same in two frames
        "c10b000500faff48656c6c6f00",  # 7.2.3.3: a block without compression
        "c108f348cdc9c9070000",  # 7.2.3.4: a last block
        "c10df248050000 00ffffcac9c90700",  # 7.2.3.5: two blocks
    ],
)
def test_the_examples_of_rfc_7692_section_7_2_3(data: str) -> None:
    assert messages(bytes.fromhex(data), deflate=DEFLATE) == [(1, b"Hello")]


def test_rfc_7692_section_7_2_3_2_with_and_without_context_takeover() -> None:
    first, second = "c107f248cdc9c90700", "c105f200110000"
    assert messages(bytes.fromhex(first + second), deflate=DEFLATE) == [(1, b"Hello")] * 2
    assert messages(bytes.fromhex(first + first), deflate=websocket.Deflate(takeover=False)) == [(1, b"Hello")] * 2
    notes = Notes()
    stream = Bytes(bytes.fromhex(first + second))
    found = list(websocket.messages(stream, 0, notes, masked=False, deflate=websocket.Deflate(takeover=False)))
    assert [one.data for one in found] == [b"Hello"]
    assert [problem.message for problem in notes.problems] == ["a compressed message that does not unfold"]


def test_a_last_block_keeps_the_window() -> None:
    compressor = zlib.compressobj(wbits=-15)
    first = compressor.compress(b"presence") + compressor.flush(zlib.Z_FINISH)
    second = zlib.compressobj(wbits=-15, zdict=b"presence")
    data = frame(first + b"\x00", compressed=True) + frame(deflated(second, b"presence"), compressed=True)
    assert messages(data, deflate=DEFLATE) == [(1, b"presence")] * 2


@given(
    st.lists(st.binary(max_size=300), max_size=8),
    st.booleans(),
    st.sampled_from(
        [None, "permessage-deflate", "permessage-deflate; client_no_context_takeover; server_no_context_takeover"]
    ),
    st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
def test_what_wsproto_sends_is_read(payloads: list[bytes], client: bool, extension: str | None, cut: int) -> None:
    extensions = []
    if extension:
        extensions = [PerMessageDeflate()]
        extensions[0].finalize(extension) if client else extensions[0].accept(extension)
    protocol = FrameProtocol(client=client, extensions=extensions)
    data = b""
    for payload in payloads:
        data += protocol.send_data(payload[:cut], fin=len(payload) <= cut) if payload[cut:] else b""
        data += protocol.ping(b"between") if payload[cut:] else b""
        data += protocol.send_data(payload[cut:] if payload[cut:] else payload, fin=True)
    mine, theirs = websocket.agreed(extension)
    found = messages(data, masked=client, deflate=mine if client else theirs)
    assert [text for opcode, text in found if opcode == Opcode.BINARY] == payloads


def test_frames_are_those_of_the_bytes() -> None:
    data = frame(b"x" * 14) + frame(b"", opcode=9) + frame(b"a" * 8, final=False) + frame(b"b" * 8, opcode=0)
    first, ping, third = websocket.messages(Bytes(data), 0, Notes(), masked=False)
    assert (first.frames, ping.frames, third.frames) == ((1, 2), (2, 2), (2, 4))
    assert third.data == b"a" * 8 + b"b" * 8


def test_after_missing_bytes_reading_goes_on() -> None:
    whole = [f"<iq id='{n}'/>".encode() for n in range(8)]
    data = b"".join(frame(text) for text in whole)
    size = len(frame(whole[0]))
    notes = Notes()
    # a payload is cut: its end is known; a header is cut: the next frames show where it went on
    inside = Bytes(data[: size + 5], (size + 9, data[size + 9 :]))
    assert [m.data for m in websocket.messages(inside, 0, notes, masked=False)] == whole[:1] + whole[2:]
    across = Bytes(data[:size], (size + 7, data[size + 7 :]))
    assert [m.data for m in websocket.messages(across, 0, notes, masked=False)] == whole[:1] + whole[2:]
    assert len(notes.problems) == 2
    assert all(problem.protocol == "WebSocket" for problem in notes.problems)


def test_a_context_that_is_lost_is_said_and_nothing_is_guessed() -> None:
    compressor = zlib.compressobj(wbits=-15)
    texts_ = [f"<message id='{n}'><body>the same words again and again</body></message>".encode() for n in range(4)]
    frames = [frame(deflated(compressor, text), compressed=True) for text in texts_]
    notes = Notes()
    start = len(frames[0]) + len(frames[1])
    stream = Bytes(frames[0], (start, b"".join(frames[2:])))
    assert [m.data for m in websocket.messages(stream, 0, notes, masked=False, deflate=DEFLATE)] == texts_[:1]
    assert any("refer to bytes that are missing" in problem.message for problem in notes.problems)


def test_a_capture_that_begins_in_a_websocket(data: Path) -> None:
    found = capture.load(data / "pcaps" / "websocket.pcap").wire
    assert found is not None
    said = [(one.from_client, one.opcode, one.data) for one in found.carried.messages if one.opcode == 1]
    assert (False, 1, b"21:34:53 ('192.168.43.1', 50999) say: hello websocket") in said
    assert any(from_client for from_client, _, _ in said)


@given(st.binary(max_size=400), st.booleans(), st.sampled_from([None, DEFLATE]))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_messages_or_problems(data: bytes, masked: bool, deflate: websocket.Deflate | None) -> None:
    holed = Bytes(data[:150], (160, data[160:]))
    for stream in (Bytes(data), holed):
        for opened in (True, False):
            list(websocket.messages(stream, 0, Notes(), masked=masked, deflate=deflate, opened=opened))


def test_a_compression_bomb_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "MAX_MESSAGE", 1 << 20)
    monkeypatch.setattr(websocket, "MAX_INFLATED", 4 << 20)
    bomb = frame(deflated(zlib.compressobj(9, wbits=-15), bytes(50 << 20)), compressed=True)
    notes = Notes()
    with bounds.processor(5):
        found = list(websocket.messages(Bytes(bomb * 20 + frame(b"after")), 0, notes, masked=False, deflate=DEFLATE))
    assert [one.data for one in found] == [b"after"]
    assert "unfold to more than" in notes.problems[0].message
    assert len(notes.problems) <= Notes.LIMIT + 1


# HTTP --------------------------------------------------------------------------------------------------------------


def http(up: Bytes, down: Bytes) -> tuple[list[Exchange], Notes]:
    notes = Notes()
    found = list(http1.exchanges(up, down, notes, flow=0, up=True, clear=True))
    return [one for one in found if isinstance(one, Exchange)], notes


def summary(found: list[Exchange]) -> list[tuple[str | None, int | None]]:
    return [(e.request and e.request.target, e.response and e.response.status) for e in found]


def test_requests_and_responses_are_paired_in_order() -> None:
    up = post("<a/>", "/1") + b"HEAD /2 HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /3 HTTP/1.1\r\nHost: x\r\n\r\n"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n<b/\r\n1\r\n>\r\n0\r\n\r\n"
    down = b"HTTP/1.1 100 Continue\r\n\r\n" + chunked + b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n"
    found, notes = http(Bytes(up), Bytes(down + b"HTTP/1.1 200 OK\r\n\r\nto the end of the connection"))
    assert summary(found) == [("/1", 200), ("/2", 204), ("/3", 200)]
    assert (found[0].sent.data, found[0].received.data) == (b"<a/>", b"<b/>")
    assert found[2].received.data == b"to the end of the connection"
    assert not notes.problems


def test_h11_agrees_about_a_stream() -> None:
    client = h11.Connection(h11.CLIENT)
    fields = [("Host", "x"), ("Transfer-Encoding", "chunked"), ("Content-Type", "application/json")]
    sent = client.send(h11.Request(method="POST", target="/v1?token=1", headers=fields))
    sent = (sent or b"") + (client.send(h11.Data(data=b'{"a":1}')) or b"") + (client.send(h11.EndOfMessage()) or b"")
    found, _ = http(Bytes(sent), Bytes(b""))
    assert summary(found) == [("/v1?token=1", None)]
    assert found[0].sent.data == b'{"a":1}'


def test_a_stream_that_begins_in_the_middle() -> None:
    up = Bytes(b"of a body</body>" + post("<a/>", "/2"), from_start=False)
    down = Bytes(b"half a response" + ok("<x/>"), first=9, from_start=False)
    found, notes = http(up, down)
    assert summary(found) == [("/2", 200)]
    assert {problem.protocol for problem in notes.problems} == {"HTTP"}


def test_missing_bytes_lose_no_more_than_they_hold() -> None:
    one, two, three = post("<a/>" * 30, "/1"), post("<b/>", "/2"), post("<c/>", "/3")
    up = Bytes(one[:-40], (len(one) - 10, one[-10:] + two + three))
    down = Bytes(b"".join(ok(f"<r{n}/>") for n in range(3)), first=60)
    found, notes = http(up, down)
    assert summary(found) == [("/1", 200), ("/2", 200), ("/3", 200)]
    assert (found[0].sent.data, found[1].sent.data) == (b"", b"<b/>")
    assert notes.problems


@pytest.mark.parametrize("bad", [b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nbad\x00field\r\n\r\n"])
def test_a_message_against_the_rules_is_shown_and_said(bad: bytes) -> None:
    found, notes = http(Bytes(bad + post("<a/>", "/next")), Bytes(ok("<x/>") * 2))
    assert summary(found) == [("/", 200), ("/next", 200)]
    assert "not as HTTP/1.1 asks" in notes.problems[0].message


@pytest.mark.parametrize("bad", [b"Authorization: Bearer topsecret\x00", b"topsecret", b"Content-Length: topsecret"])
def test_no_secret_of_a_bad_request_is_told(bad: bytes) -> None:
    _, notes = http(Bytes(b"GET /?token=topsecret HTTP/1.1\r\nHost: x\r\n" + bad + b"\r\n\r\n"), Bytes(b""))
    assert notes.problems
    assert "topsecret" not in repr(notes.problems)


@given(st.binary(max_size=200), st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_bytes_around_http(up: bytes, down: bytes) -> None:
    whole = post("<a/>")
    for sent in (up, whole[: len(up)] + up, up + whole):
        http(Bytes(sent[:70], (75, sent[75:])), Bytes(b"HTTP/1.1 200 OK\r\n" + down))
        carried((Bytes(sent), Bytes(down)), (Bytes(http2.PREFACE + up), Bytes(down)))


def h2(stream: int, fields: list[tuple[str, str]], body: bytes, encoder: hpack.Encoder, *, cut: int = 0) -> bytes:
    block = encoder.encode(fields)
    head = HeadersFrame(stream, block[:cut] if cut else block, flags=[] if cut else ["END_HEADERS"])
    out = head.serialize()
    if cut:
        out += ContinuationFrame(stream, block[cut:], flags=["END_HEADERS"]).serialize()
    half = len(body) // 2
    out += DataFrame(stream, body[:half], pad_length=7, flags=["PADDED"]).serialize()
    return out + DataFrame(stream, body[half:], flags=["END_STREAM"]).serialize()


def request(n: int) -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":path", f"/http-bind?n={n}"),
        (":authority", "meet.example"),
        ("content-type", "text/xml"),
        ("user-agent", "a browser"),
    ]


def test_http2_headers_continuations_padding_and_several_streams() -> None:
    there, back = hpack.Encoder(), hpack.Encoder()
    up = http2.PREFACE + SettingsFrame(0).serialize()
    up += h2(1, request(1), b"<a/>", there) + h2(3, request(2), b"<bb/>", there, cut=3)
    down = SettingsFrame(0).serialize()
    down += HeadersFrame(3, back.encode([(":status", "103")]), flags=["END_HEADERS"]).serialize()
    down += h2(3, [(":status", "404"), ("content-type", "text/xml")], b"<y/>", back)
    down += h2(1, [(":status", "200"), ("content-type", "text/xml")], b"<x/>", back, cut=1)
    notes = Notes()
    first, second = http2.exchanges(Bytes(up), Bytes(down), notes, flow=0, up=True, clear=False)
    assert isinstance(first, Exchange)
    assert isinstance(second, Exchange)
    assert summary([first, second]) == [("/http-bind?n=1", 200), ("/http-bind?n=2", 404)]
    assert (first.sent.data, first.received.data) == (b"<a/>", b"<x/>")
    assert (second.sent.data, second.received.data) == (b"<bb/>", b"<y/>")
    assert first.request is not None
    assert first.request.fields["host"] == "meet.example"
    assert not notes.problems


def test_http2_that_misses_bytes_reads_bodies_and_guesses_no_header() -> None:
    there, back = hpack.Encoder(), hpack.Encoder()
    parts = [h2(n, request(n), b"<body/>", there) for n in (1, 3, 5)]
    up = http2.PREFACE + b"".join(parts)
    begin = len(http2.PREFACE) + len(parts[0])
    down = SettingsFrame(0).serialize()
    down += b"".join(h2(n, [(":status", "200"), ("content-type", "text/xml")], b"<r/>", back) for n in (1, 3, 5))
    notes = Notes()
    sent = Bytes(up[: begin + 4], (begin + len(parts[1]), up[begin + len(parts[1]) :]))
    found = [
        e for e in http2.exchanges(sent, Bytes(down), notes, flow=0, up=True, clear=True) if isinstance(e, Exchange)
    ]
    assert summary(found) == [("/http-bind?n=1", 200), (None, 200), (None, 200)]
    assert found[2].sent.data == b"<body/>"
    assert any("headers of this direction" in problem.message for problem in notes.problems)


def test_a_websocket_inside_http2() -> None:
    there, back = hpack.Encoder(), hpack.Encoder()
    connect = [(":method", "CONNECT"), (":protocol", "websocket"), (":path", "/xmpp-websocket"), (":authority", "x")]
    up = http2.PREFACE + HeadersFrame(1, there.encode(connect), flags=["END_HEADERS"]).serialize()
    text = frame(b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='x'/>", mask=MASK)
    up += DataFrame(1, text[:9]).serialize() + DataFrame(1, text[9:]).serialize()
    answer = [(":status", "200"), ("sec-websocket-protocol", "xmpp")]
    down = SettingsFrame(0).serialize() + HeadersFrame(1, back.encode(answer), flags=["END_HEADERS"]).serialize()
    found = carried((Bytes(up), Bytes(down)))
    assert texts(found.stanzas) == ["<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='x'/>"]
    assert found.stanzas[0].from_client


# BOSH --------------------------------------------------------------------------------------------------------------

BODY = "xmlns='http://jabber.org/protocol/httpbind'"


def test_a_bosh_session_over_two_connections_and_a_proxy() -> None:
    create = post(f"<body {BODY} rid='10' wait='60' hold='1' to='x'/>")
    created = ok(
        f"<body {BODY} wait='60' sid='s1' authid='a1' xmlns:stream='http://etherx.jabber.org/streams'><stream:features/></body>"
    )
    poll = post(f"<body {BODY} rid='11' sid='s1'><iq type='get' id='1'/><r xmlns='urn:xmpp:sm:3'/></body>")
    polled = ok(gzip.compress(f"<body {BODY}><iq xmlns='jabber:client' type='result' id='1'/></body>".encode()))
    last = post(f"<body {BODY} rid='12' sid='s1' type='terminate'><r xmlns='urn:xmpp:sm:3'/></body>")
    found = carried(
        (Bytes(create + poll), Bytes(created + polled, first=100)),
        (Bytes(last, first=200), Bytes(ok(f"<body {BODY} type='terminate'/>"), first=300)),
        (Bytes(create + poll, first=2), Bytes(created + polled, first=98)),  # behind the proxy
    )
    assert [(one.flow, one.from_client, len(one.copies), one.xml[:30]) for one in found.stanzas] == [
        (0, True, 1, f"<body {BODY} rid='10'"[:30]),
        (0, True, 1, '<iq xmlns="jabber:client" type'),
        (0, True, 1, "<r xmlns='urn:xmpp:sm:3'/>"),
        (0, False, 1, f"<body {BODY} wait='60'"[:30]),
        (0, False, 1, '<stream:features xmlns="jabber'),
        (0, False, 1, "<iq xmlns='jabber:client' type"),
        (1, True, 0, f"<body {BODY} rid='12'"[:30]),
        (1, True, 0, "<r xmlns='urn:xmpp:sm:3'/>"),
        (1, False, 0, f"<body {BODY} type='terminate'"[:30]),
    ]
    assert {one.carrier for one in found.stanzas} == {"bosh"}
    assert {one.connection for one in found.stanzas} == {0}
    assert [poll.rid for poll in found.polls] == [10, 11, 12]


def test_a_bosh_request_sent_again_is_one() -> None:
    poll = post(f"<body {BODY} rid='5' sid='s'><message xmlns='jabber:client'/></body>")
    found = carried((Bytes(poll), Bytes(b"")), (Bytes(poll, first=50), Bytes(ok(f"<body {BODY}/>"), first=60)))
    assert len(found.stanzas) == 1
    assert len(found.stanzas[0].copies) == 1


def test_no_sid_is_told() -> None:
    found = carried((Bytes(post(f"<body {BODY} rid='5' sid='topsecret'><iq></body>")), Bytes(b"")))
    assert found.problems
    assert "topsecret" not in repr(found.problems)


# XMPP over TCP -----------------------------------------------------------------------------------------------------

HEADER = (
    "<?xml version='1.0'?><stream:stream to='x' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
)


def test_a_stream_restarts_and_ends() -> None:
    up = HEADER + "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>"
    up += HEADER.partition("?>")[2] + "\n<iq id='1' type='get'/> <iq id='2'><stream:x/></iq></stream:stream>"
    found = carried((Bytes(up.encode()), Bytes(HEADER.replace("to=", "id='server' from=").encode(), first=500)))
    assert [one.xml[:20] for one in found.stanzas if one.from_client] == [
        "<stream:stream to='x",
        "<auth xmlns='urn:iet",
        "<stream:stream to='x",
        '<iq xmlns="jabber:cl',
        '<iq xmlns="jabber:cl',
        "<close xmlns='urn:ie",
    ]
    assert 'xmlns:stream="http://etherx.jabber.org/streams"' in found.stanzas[4].xml
    assert not found.problems


def test_a_stream_with_missing_bytes() -> None:
    up = HEADER + "".join(f"<iq id='{n}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>" for n in range(6))
    data, gap = up.encode(), up.index("<iq id='2'") + 8
    found = carried((Bytes(data[:gap], (gap + 4, data[gap + 4 :])), Bytes(HEADER.encode(), first=900)))
    ids = [one.xml.partition("id='")[2][0] for one in found.stanzas if one.from_client and "<iq" in one.xml]
    assert ids == ["0", "1", "3", "4", "5"]
    assert {problem.protocol for problem in found.problems} == {"XMPP"}


def secured(folder: Path, version: ssl.TLSVersion) -> tuple[bytes, bytes, bytes, bytes]:
    """A TLS connection between two ends of Python's own: all bytes up and down, with a stanza each way at the end."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    day = datetime.datetime(2026, 1, 1)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day + datetime.timedelta(999))
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    pem += key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(pem)
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(folder / "server.pem")
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.minimum_version = client.maximum_version = version
    client.keylog_filename = str(folder / "keys.txt")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here, there = client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)
    sent: dict[bool, bytes] = {True: b"", False: b""}

    def step(act: Callable[[], object], up: bool) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            act()
        pending = to_server if up else to_client
        data = pending.read()
        sent[up] += data
        pending.write(data)

    for _ in range(3):
        step(here.do_handshake, True)
        step(there.do_handshake, False)
    step(lambda: here.write((HEADER + "<iq id='inside' type='get'/>").encode()), True)
    step(lambda: there.write((HEADER + "<iq id='inside' type='result'/>").encode()), False)
    return sent[True], sent[False], (folder / "keys.txt").read_bytes(), pem


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_stream_goes_on_inside_tls(version: ssl.TLSVersion, tmp_path: Path) -> None:
    up, down, keys, _ = secured(tmp_path, version)
    asked = (HEADER + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").encode()
    agreed = (HEADER + "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").encode()
    sides = Bytes(asked + up), Bytes(agreed + down, first=500)
    session = decrypt.session(*sides, KeyLog.load([keys]), flow=0, start=(len(asked), len(agreed)))
    found = carried(sides, sessions={0: session})
    said = [(one.from_client, one.clear, one.xml.partition(" ")[0]) for one in found.stanzas]
    assert said == [
        (True, True, "<stream:stream"),
        (True, True, "<starttls"),
        (True, False, "<stream:stream"),
        (True, False, "<iq"),
        (False, True, "<stream:stream"),
        (False, True, "<proceed"),
        (False, False, "<stream:stream"),
        (False, False, "<iq"),
    ]
    assert len({one.connection for one in found.stanzas}) == 1
    closed = carried(sides, sessions={0: decrypt.session(*sides, None, flow=0, start=(len(asked), len(agreed)))})
    assert [one.xml.partition(" ")[0] for one in closed.stanzas] == [
        "<stream:stream",
        "<starttls",
        "<stream:stream",
        "<proceed",
    ]
    assert not found.problems
    assert not closed.problems


@pytest.mark.tool("tshark")
def test_jabber_in_clear_as_tshark_reads_it(data: Path) -> None:
    pcap = data / "pcaps" / "jabber.pcap"
    table = capture.load(pcap).xmpp
    assert list(table.loc[table["name"] == "auth", "frame"]) == [14, 100, 230]
    assert table["clear"].all()
    assert set(table["carrier"]) == {"tcp"}
    for name in ("message", "presence"):
        argv = ["tshark", "-r", pcap, "-Y", f"xmpp.{name}", "-T", "fields", "-e", "frame.number"]
        out = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        assert list(table.loc[table["name"] == name, "frame"]) == [int(line) for line in out.split()]


BOMB = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'>" + "".join(
    f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(9)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB + "]><iq>&j;</iq>", "not XML"),
        ("<!DOCTYPE iq SYSTEM 'file:///etc/passwd'><iq/>", "not XML"),
        ("<iq>&unknown;</iq>", "an entity that XML does not predefine"),
        ("<iq id='big'>" + "a" * (10 << 20) + "</iq>", "an element of 10485"),
        ("<iq>" * 10_000 + "</iq>" * 10_000, "deep"),
        ("<a>" * 3_000_000, "deep"),
        ("<iq id='\x01'/>", "not XML"),
        ("<iq><body></iq>", "mismatched tag"),
        ("<x:iq/>", "unbound prefix"),
        ("no element at all", "without an element"),
    ],
)
@pytest.mark.parametrize("carrier", ["ws", "tcp"])
def test_hostile_stanzas_are_refused_with_a_reason(text: str, reason: str, carrier: str) -> None:
    with bounds.processor(8):
        if carrier == "ws":
            up, down = upgrade()
            good = frame(b"<presence xmlns='jabber:client'/>", mask=MASK)
            mask = bytes(4)  # masks nothing: ten megabytes need no minute to make
            found = carried(
                (Bytes(up + good + frame(text.encode(), mask=mask)[:0] + head(text) + good), Bytes(down, first=50))
            )
            assert [one.xml[:9] for one in found.stanzas] == ["<presence"] * 2
        else:
            if reason == "without an element":
                pytest.skip("text between stanzas is white space to keep a connection open, or nothing")
            found = carried((Bytes((HEADER + "<presence/>" + text).encode()), Bytes(HEADER.encode(), first=50)))
            assert [one.xml[:9] for one in found.stanzas if one.from_client] == ["<stream:s", "<presence"]
    assert any(reason in problem.message for problem in found.problems), found.problems


def head(text: str) -> bytes:
    """A masked frame whose mask changes nothing."""
    size = len(text.encode())
    start = (
        bytes([0x81, 0xFF]) + size.to_bytes(8, "big") if size > 65535 else bytes([0x81, 0xFE]) + size.to_bytes(2, "big")
    )
    return (start if size > 125 else bytes([0x81, 0x80 | size])) + bytes(4) + text.encode()


def test_a_doctype_before_a_stream_is_refused() -> None:
    found = carried(
        (Bytes(("<?xml version='1.0'?>" + BOMB + "]>" + HEADER[21:] + "<iq/>").encode()), Bytes(HEADER.encode()))
    )
    assert not [one for one in found.stanzas if one.from_client]


def test_invalid_utf_8_is_refused() -> None:
    up, down = upgrade()
    found = carried((Bytes(up + frame(b"<iq id='\xff\xfe'/>", mask=MASK)), Bytes(down, first=50)))
    assert not found.stanzas
    assert "not XML" in found.problems[0].message


# both sides of a proxy ------------------------------------------------------------------------------------------------


def talk(first: int, stream_id: str, key: str, count: int = 3) -> tuple[Bytes, Bytes]:
    up, down = upgrade(key=key)
    ask = [b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>", *[b"<r xmlns='urn:xmpp:sm:3'/>"] * count]
    tell = f"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='{stream_id}'/>".encode()
    return Bytes(up + b"".join(frame(x, mask=MASK) for x in ask), first=first), Bytes(down + frame(tell), first=first)


def test_two_clients_that_say_the_same_stay_two() -> None:
    found = carried(talk(1, "one", "a2V5"), talk(2, "two", "b3RoZXI="))
    assert len(found.stanzas) == 10
    assert len({one.connection for one in found.stanzas}) == 2
    assert not any(one.copies for one in found.stanzas)


def test_repeats_stay_and_the_other_side_of_a_proxy_goes() -> None:
    found = carried(talk(5, "same", "other key"), talk(1, "same", "a2V5"))
    assert [one.xml[:3] for one in found.stanzas if one.from_client] == ["<op", "<r ", "<r ", "<r "]
    assert {one.flow for one in found.stanzas} == {1}  # the one that spoke first is the outermost
    assert all(len(one.copies) == 1 for one in found.stanzas)


def test_what_only_one_side_has_is_kept() -> None:
    found = carried(talk(1, "same", "a2V5", count=2), talk(5, "same", "a2V5", count=3))
    assert sum(one.xml.startswith("<r ") for one in found.stanzas) == 3


@given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.integers(0, 3), max_size=12))
def test_an_alignment_is_in_order_and_pairs_equals(ours: list[int], theirs: list[int]) -> None:
    pairs = merge.align(ours, theirs)
    assert all(ours[i] == theirs[j] for i, j in pairs)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert len(merge.align(ours, ours)) == len(ours)


# streams --------------------------------------------------------------------------------------------------------------


def test_a_spliced_stream_knows_its_frames() -> None:
    inner = Spliced(Bytes(b"x" * 100))
    inner.append(5, b"abc")
    inner.append(50, b"defgh")
    inner.append(90, b"ij", after_gap=True)
    assert inner.pieces == [Piece(0, b"abcdefgh"), Piece(9, b"ij")]
    assert (inner.span(0, 3), inner.span(2, 5), inner.span(9, 11)) == ((1, 1), (1, 6), (10, 10))


def test_a_cursor_stops_at_holes() -> None:
    cursor = Cursor(Bytes(b"abc", (10, b"def")))
    assert cursor.seek(11)
    assert (cursor.offset, cursor.last) == (11, True)
    cursor = Cursor(Bytes(b"abc", (10, b"def")))
    assert not cursor.seek(5)
    assert cursor.offset == 10


# recordings -----------------------------------------------------------------------------------------------------------


@pytest.mark.tool("tshark")
@pytest.mark.parametrize("name", ["jvb-3", "jvb-lossy"])
def test_tshark_reads_the_same_websocket_payloads(name: str, recording: Callable[[str], Path]) -> None:
    folder = recording(name)
    argv = ["tshark", "-r", folder / "capture-eth0.pcapng", "-o", f"tls.keylog_file:{folder / 'keys.txt'}"]
    argv += ["-o", "tcp.reassemble_out_of_order:TRUE", "-Y", "websocket", "-T", "fields", "-E", "aggregator=\x1f"]
    argv += ["-e", "tcp.stream", "-e", "tcp.srcport", "-e", "websocket.payload.text", "-E", "separator=\x1e"]
    out = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    theirs = defaultdict(list)
    for line in out.rstrip("\n").split("\n"):
        stream, port, text = line.split("\x1e")
        theirs[int(stream), int(port) == 443] += [one for one in text.split("\x1f") if one]
    wire = captured(folder).wire
    assert wire is not None
    ours = defaultdict(list)
    for one in wire.carried.messages:
        if one.opcode == 1:
            ours[one.flow, not one.from_client].append(one.data.decode())
    assert sorted(ours.values()) == sorted(some for some in theirs.values() if some)
    assert sum(map(len, ours.values())) > 150


def test_both_points_of_capture_tell_the_same_stanzas(recording: Callable[[str], Path]) -> None:
    folder = recording("jvb-bosh")
    tables = [
        captured(folder),
        captured(folder, "any"),
        captured(folder, "any", keys=False),
    ]
    outside, both, inside = (one.xmpp for one in tables)
    assert sorted(outside["xml"]) == sorted(both["xml"]) == sorted(inside["xml"])
    assert not outside["clear"].any()
    assert inside["clear"].all()
    assert (both["copies"].str.split().str.len() == 2).all()  # behind the TLS router, and behind nginx
    assert set(both["src"]) == set(outside["src"])  # the row nearest to the client is the one that is kept
    assert not tables[1].wire.carried.problems  # type: ignore[union-attr]


def test_every_logged_bridge_message_is_found(recording: Callable[[str], Path]) -> None:
    folder = recording("jvb-3")
    table = captured(folder, "any").bridge
    logged = [
        json.loads(line)["json"] for log in folder.glob("bridge-*.jsonl") for line in log.read_text().splitlines()
    ]
    assert not set(logged) - set(table["json"])
    assert len(table) < len(logged) + 20  # once, though three connections carry each
    assert {"AudioSourcesMap", "VideoSourcesMap", "ServerHello"} <= set(table["colibri_class"])
    assert table.groupby("connection")["endpoint"].nunique().eq(1).all()
