import random
import re
from collections.abc import Iterator
from pathlib import Path

import bounds
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import Bytes, Talk, contexts, programs, talk

from jitsilab.protocols import demux, tls
from jitsilab.wire import decrypt
from jitsilab.wire.decrypt import KeyLog, Session

VECTORS = Path(__file__).parent / "vectors" / "tls"
NUMBERS = bytes(range(50))  # the application data of RFC 8448


def trace(section: int) -> Talk:
    """Records and secrets of a section of RFC 8448; each record is a segment."""
    parts = dict(re.findall(r"\[(\w+)\]\n([^\[]*)", (VECTORS / f"rfc8448-{section}.hex").read_text()))
    made = Talk(keylog=parts["keylog"].encode())
    for name in ("up", "down"):
        data = bytes.fromhex(parts[name].replace("\n", ""))
        while data:
            size = 5 + int.from_bytes(data[3:5], "big")
            made.segments.append((name == "up", data[:size]))
            data = data[size:]
    return made


def read(made: Talk, keylog: bytes | None = None, lost: frozenset[int] = frozenset()) -> Session:
    log = KeyLog.load(made.keylog if keylog is None else keylog)
    return decrypt.session(made.stream(True, lost), made.stream(False, lost), log)


def text(session: Session, up: bool) -> bytes:
    return b"".join(piece.data for piece in session.plaintext(up).pieces)


def handshake(session: Session, up: bool) -> list[int]:
    return [message.type for record in session.records if record.up == up for message in record.messages]


# --- RFC 8448: every record of its traces opens


@pytest.mark.parametrize("section", [3, 4, 5, 6, 7])
def test_every_record_of_the_rfc_8448_traces_opens(section: int) -> None:
    session = read(trace(section))
    assert (session.version, session.suite) == ("TLS 1.3", "TLS_AES_128_GCM_SHA256")
    assert session.sni == "server"
    assert session.decrypted
    assert not session.reason
    assert not session.problems
    assert all(record.plaintext is not None for record in session.records)
    assert [record.alert for record in session.records if record.alert] == ["warning close_notify"] * 2


def test_a_simple_handshake_carries_data_both_ways() -> None:
    session = read(trace(3))
    assert text(session, True) == text(session, False) == NUMBERS
    assert handshake(session, False) == [2, 8, 11, 15, 20, 4]
    assert handshake(session, True) == [1, 20]
    assert session.resumed is False
    assert len(session.certificates) == 1


def test_early_data_are_read_and_noted() -> None:
    session = read(trace(4))
    assert session.early_data == "accepted"
    assert session.resumed is True
    assert text(session, True) == b"ABCDEF" + NUMBERS
    assert handshake(session, True) == [1, 5, 20]


def test_early_data_without_their_secret_cost_only_themselves() -> None:
    made = trace(4)
    lines = [line for line in made.keylog.splitlines() if b"EARLY" not in line]
    session = read(made, b"\n".join(lines))
    assert text(session, True) == NUMBERS
    # EndOfEarlyData is under that secret too
    assert ["early data" in problem.message for problem in session.problems] == [True, True]
    assert sum(record.plaintext is None for record in session.records) == 2


def test_a_hello_retry_request_is_no_server_hello() -> None:
    session = read(trace(5))
    assert session.retried
    assert handshake(session, True)[:2] == [1, 1]


def test_a_client_certificate_is_kept_apart() -> None:
    session = read(trace(6))
    assert len(session.client_certificates) == 1
    assert session.client_certificates != session.certificates


# --- OpenSSL's peers


SUITES = [  # version, OpenSSL's name, IANA's name, certificate
    ("TLSv1_2", "ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ec"),
    ("TLSv1_2", "ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "rsa"),
    ("TLSv1_2", "ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ec"),
    ("TLSv1_2", "ECDHE-ECDSA-AES128-CCM", "TLS_ECDHE_ECDSA_WITH_AES_128_CCM", "ec"),
    ("TLSv1_2", "ECDHE-ECDSA-AES256-CCM8", "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8", "ec"),
    ("TLSv1_2", "ECDHE-ECDSA-AES128-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ec"),
    ("TLSv1_2", "ECDHE-ECDSA-AES256-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", "ec"),
    ("TLSv1_2", "AES256-SHA", "TLS_RSA_WITH_AES_256_CBC_SHA", "rsa"),
    ("TLSv1_2", "AES128-GCM-SHA256", "TLS_RSA_WITH_AES_128_GCM_SHA256", "rsa"),
    ("TLSv1_2", "NULL-SHA256", "TLS_RSA_WITH_NULL_SHA256", "rsa"),
    ("TLSv1_1", "ECDHE-ECDSA-AES256-SHA", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ec"),
    ("TLSv1", "ECDHE-RSA-AES128-SHA", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "rsa"),
]
EXCHANGE = [(True, b"GET / HTTP/1.1\r\n\r\n"), (False, bytes(range(256)) * 200), (True, b"x"), (False, b"y" * 17)]


def said(up: bool) -> bytes:
    return b"".join(data for side, data in EXCHANGE if side == up)


@pytest.mark.parametrize(
    ("version", "openssl", "iana", "kind", "etm"),
    [(*suite, True) for suite in SUITES] + [(*suite, False) for suite in SUITES if "_CBC_" in suite[2]],
)
def test_suites_before_tls_13(tmp_path: Path, version: str, openssl: str, iana: str, kind: str, etm: bool) -> None:
    client, server = contexts(tmp_path, version, openssl, kind)
    if not etm:
        server.options |= 1 << 19  # SSL_OP_NO_ENCRYPT_THEN_MAC
    made, _ = talk(client, server, EXCHANGE)
    session = read(made)
    assert session.suite == iana
    assert (session.alpn_offered, session.alpn) == (("h2", "http/1.1"), "http/1.1")
    assert session.resumed is False
    assert not session.problems
    assert not session.reason
    assert all(record.plaintext is not None for record in session.records)
    assert (text(session, True), text(session, False)) == (said(True), said(False))


def test_a_session_of_tls_12_is_resumed_also_without_a_line_of_its_own(tmp_path: Path) -> None:
    client, server = contexts(tmp_path, "TLSv1_2", "ECDHE-ECDSA-AES128-GCM-SHA256")
    first, peer = talk(client, server, EXCHANGE)
    second, again = talk(client, server, EXCHANGE, peer.session)
    assert again.session_reused
    session = read(second)
    assert session.resumed is True
    assert text(session, True) == said(True)
    masters: dict[bytes, bytes] = {}
    known = KeyLog.load(first.keylog)
    decrypt.session(first.stream(True), first.stream(False), known, masters=masters)
    bare = decrypt.session(second.stream(True), second.stream(False), known, masters=masters)
    assert text(bare, False) == said(False)


def test_a_session_of_tls_13_is_resumed(tmp_path: Path) -> None:
    client, server = contexts(tmp_path, "TLSv1_3")
    _, peer = talk(client, server, EXCHANGE)
    second, again = talk(client, server, EXCHANGE, peer.session)
    assert again.session_reused
    session = read(second)
    assert (session.resumed, session.certificates) == (True, ())
    assert text(session, False) == said(False)


def test_a_retry_for_another_group(tmp_path: Path) -> None:
    client, server = contexts(tmp_path, "TLSv1_3")
    server.set_ecdh_curve("secp521r1")
    made, _ = talk(client, server, EXCHANGE)
    session = read(made)
    assert session.retried
    assert session.suite == "TLS_AES_256_GCM_SHA384"
    assert (text(session, True), text(session, False)) == (said(True), said(False))


@pytest.mark.tool("openssl")
def test_key_updates_of_either_side(tmp_path: Path) -> None:
    lines = [
        (True, b"one"),
        (True, b"K"),
        (True, b"two"),
        (False, b"K"),
        (False, b"three"),
        (True, b"k"),
        (True, b"four"),
    ]
    (made,) = programs(tmp_path, ["-quiet", "-no_ign_eof"], ["-tls1_3"], [*lines, (False, b"five")])
    session = read(made)
    assert not session.problems
    assert handshake(session, True).count(24) >= 2
    assert text(session, True) == b"one\ntwo\nfour\n"
    assert b"five" in text(session, False)


@pytest.mark.tool("openssl")
@pytest.mark.parametrize(
    "suite", ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"]
)
def test_the_other_suites_of_tls_13(tmp_path: Path, suite: str) -> None:
    options = ["-tls1_3", "-ciphersuites", suite]
    (made,) = programs(tmp_path, ["-quiet", *options], options, [(True, b"ping"), (False, b"pong")])
    session = read(made)
    assert session.suite == suite
    assert (text(session, True), text(session, False)) == (b"ping\n", b"pong\n")


@pytest.mark.tool("openssl")
def test_early_data_of_openssl(tmp_path: Path) -> None:
    early = tmp_path / "early.txt"
    early.write_bytes(b"before the handshake")
    ticket = tmp_path / "ticket.pem"
    server = ["-quiet", "-tls1_3", "-early_data"]
    first = programs(tmp_path, server, ["-tls1_3", "-sess_out", str(ticket)], [(True, b"ping"), (False, b"pong")])
    assert read(first[0]).early_data is None
    # a ticket of another server process is refused, and what was sent early with it
    options = ["-tls1_3", "-sess_in", str(ticket), "-early_data", str(early)]
    (made,) = programs(tmp_path, server, options, [(True, b"after")])
    session = read(made)
    assert session.early_data == "rejected"
    assert b"after\n" in text(session, True)


@pytest.mark.tool("openssl")
def test_a_renegotiation_of_tls_12(tmp_path: Path) -> None:
    options = ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"]
    lines = [(True, b"before"), (True, b"R"), (True, b"behind"), (False, b"answer")]
    (made,) = programs(tmp_path, ["-quiet", "-client_renegotiation", *options], options, lines)
    session = read(made)
    assert not session.problems
    assert handshake(session, True).count(1) == 2
    assert (text(session, True), text(session, False)) == (b"before\nbehind\n", b"answer\n")


# --- loss, wrong keys, hostile bytes


def made_talk(folder: Path, version: str = "TLSv1_3", ciphers: str = "", size: int = 400) -> Talk:
    client, server = contexts(folder, version, ciphers)
    exchange = [(number % 3 > 0, bytes([number]) * (40 * number)) for number in range(1, 40)]
    return talk(client, server, exchange, size=size)[0]


@pytest.fixture(scope="module", params=["TLSv1_3", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "TLSv1"])
def long_talk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Talk:
    folder, name = tmp_path_factory.mktemp("tls"), request.param
    if name == "TLSv1":
        return made_talk(folder, "TLSv1", "ECDHE-ECDSA-AES128-SHA")
    return made_talk(folder, name) if name == "TLSv1_3" else made_talk(folder, "TLSv1_2", name)


def test_lost_segments_cost_only_the_records_they_hit(long_talk: Talk) -> None:
    whole = read(long_talk)
    assert not whole.problems
    chance = random.Random(20)
    hello = max(number for number, (_, data) in enumerate(long_talk.segments[:12], 1))
    for _ in range(30):
        lost = frozenset(chance.sample(range(hello + 1, len(long_talk.segments) + 1), chance.randint(1, 12)))
        session = read(long_talk, lost=lost)
        there = {(record.up, record.offset): record for record in session.records}
        for record in whole.records:
            touched = lost & set(range(record.first_frame, record.frame + 1))
            mine = {number for number in touched if long_talk.segments[number - 1][0] == record.up}
            found = there.get((record.up, record.offset))
            if mine:
                assert found is None or found.plaintext is None
            elif found is not None:  # a whole record is found unless its neighbours hid where it begins
                assert found.plaintext == record.plaintext or _chained_to_loss(long_talk, found, session)
        assert {key for key in there} <= {(record.up, record.offset) for record in whole.records}
        opened = sum(record.plaintext is not None for record in session.records)
        assert opened > len(whole.records) - 3 * len(lost) - 3


def _chained_to_loss(made: Talk, record: decrypt.Record, session: Session) -> bool:
    """TLS 1.0 chains a record to the one before it; only the first behind a loss may stay shut."""
    mine = [one for one in session.records if one.up == record.up]
    before = mine[mine.index(record) - 1]
    gap = not before.complete or before.offset + 5 + before.length != record.offset
    return session.version == "TLS 1.0" and gap


def test_a_changed_record_is_a_problem_and_the_stream_goes_on(long_talk: Talk) -> None:
    whole = read(long_talk)
    target = [record for record in whole.records if record.encrypted and record.up][5]
    data = bytearray(long_talk.said(True))
    data[target.offset + 5 + target.length // 2] ^= 1
    session = decrypt.session(Bytes([(1, bytes(data))]), long_talk.stream(False), KeyLog.load(long_talk.keylog))
    shut = [record for record in session.records if record.plaintext is None]
    assert next(record.offset for record in shut) == target.offset
    assert len(shut) <= 1 + (session.version == "TLS 1.0")  # the next one is chained to it there
    assert session.problems[0].offset == target.offset
    assert len(session.plaintext(True).pieces) == 2


def test_a_repeated_record_does_not_disturb(long_talk: Talk) -> None:
    whole = read(long_talk)
    mine = [record for record in whole.records if record.up]
    target = mine[-6]
    data = long_talk.said(True)
    end = target.offset + 5 + target.length
    doubled = data[:end] + data[target.offset : end] + data[end:]
    session = decrypt.session(Bytes([(1, doubled)]), long_talk.stream(False), KeyLog.load(long_talk.keylog))
    assert sum(record.plaintext is None for record in session.records if record.up) in (1, 2)
    assert session.records[-1].plaintext == whole.records[-1].plaintext


def test_a_missing_client_hello_is_found_in_the_key_log(long_talk: Talk) -> None:
    first = min(number for number, (up, data) in enumerate(long_talk.segments, 1) if up)
    session = read(long_talk, lost=frozenset({first}))
    assert session.decrypted
    assert session.sni is None
    assert text(session, False) == text(read(long_talk), False)


def test_a_missing_server_hello_of_tls_13(tmp_path: Path) -> None:
    made = made_talk(tmp_path)
    first = min(number for number, (up, data) in enumerate(made.segments, 1) if not up)
    session = read(made, lost=frozenset({first}))
    assert session.suite == "TLS_AES_256_GCM_SHA384"
    assert text(session, True) == text(read(made), True)


@pytest.mark.parametrize(
    ("keylog", "reason"),
    [
        (b"", "no key for this client random"),
        (b"CLIENT_RANDOM " + b"00" * 32 + b" " + b"00" * 48, "no key for this client random"),
    ],
)
def test_without_its_key_a_session_says_why(keylog: bytes, reason: str) -> None:
    session = read(trace(3), keylog)
    assert (session.decrypted, session.reason, session.problems) == (False, reason, [])
    assert [record.length for record in session.records] == [record.length for record in read(trace(3)).records]


def test_a_wrong_key_says_that_it_does_not_fit() -> None:
    made = trace(3)
    turned = re.sub(rb"(?m)[0-9a-f]{64}$", lambda match: match[0][::-1], made.keylog)
    session = read(made, turned)
    assert not session.decrypted
    assert session.reason.startswith("the key does not fit")


def test_without_a_handshake_there_is_no_key(long_talk: Talk) -> None:
    begin = frozenset(range(1, 25))
    session = read(long_talk, lost=begin)
    assert session.reason == "handshake not captured"
    assert len(session.records) > 20


def test_a_suite_that_is_not_supported_is_named(tmp_path: Path) -> None:
    client, server = contexts(tmp_path, "TLSv1_2", "ECDHE-ECDSA-AES128-GCM-SHA256")
    made, _ = talk(client, server, EXCHANGE)
    up, down = made.said(True), made.said(False)
    changed = down.replace(b"\xc0\x2b", b"\xc0\x5c", 1)
    session = decrypt.session(Bytes([(1, up)]), Bytes([(2, changed)]), KeyLog.load(made.keylog))
    assert session.reason == "cipher not supported: TLS_ECDHE_ECDSA_WITH_ARIA_128_GCM_SHA256"


def test_without_the_server_hello_tls_12_has_no_keys(tmp_path: Path) -> None:
    made = made_talk(tmp_path, "TLSv1_2", "ECDHE-ECDSA-AES128-SHA256")
    first = min(number for number, (up, _) in enumerate(made.segments, 1) if not up)
    session = read(made, lost=frozenset({first}))
    assert (session.decrypted, session.reason) == (False, "handshake not captured: the ServerHello is missing")


def test_only_application_keys_are_enough() -> None:
    made = trace(3)
    lines = [line for line in made.keylog.splitlines() if b"TRAFFIC_SECRET_0" in line]
    session = read(made, b"\n".join(lines))
    assert text(session, True) == text(session, False) == NUMBERS


def test_padding_of_tls_13_is_no_content(long_talk: Talk) -> None:
    assert all(not piece.data.endswith(b"\0") for piece in read(long_talk).plaintext(True).pieces)


def test_starttls_begins_where_it_is_said_to(long_talk: Talk) -> None:
    clear_up, clear_down = b"<starttls/>", b"<features/><proceed/>"
    up = Bytes([(1, clear_up + long_talk.said(True))])
    down = Bytes([(2, clear_down + long_talk.said(False))])
    log = KeyLog.load(long_talk.keylog)
    session = decrypt.session(up, down, log, start=(len(clear_up), len(clear_down)))
    assert text(session, True) == text(read(long_talk), True)


def test_plaintext_knows_its_frames(long_talk: Talk) -> None:
    session = read(long_talk)
    for up in (True, False):
        stream, at = session.plaintext(up), 0
        for record in session.records:
            if record.up == up and record.inner_type == "application_data" and record.plaintext:
                assert stream.span(at, at + len(record.plaintext)) == (record.first_frame, record.frame)
                assert stream.span(at + len(record.plaintext) - 1, at + len(record.plaintext))[1] == record.frame
                at += len(record.plaintext)
        assert stream.span(at + 10, at + 20) == (0, 0)


def secrets_of(keylog: bytes) -> Iterator[str]:
    for line in keylog.splitlines():
        if line and not line.startswith(b"#"):
            yield line.split()[-1].decode().lower()


def test_no_secret_is_shown_by_anything_but_the_key_log(long_talk: Talk) -> None:
    log = KeyLog.load(long_talk.keylog + b"\nCLIENT_RANDOM deadbeefdeadbeefdeadbeefdeadbeef deadbeef\n")
    damaged = bytearray(long_talk.said(True))
    for at in range(3000, len(damaged), 900):
        damaged[at] ^= 255
    session = decrypt.session(Bytes([(1, bytes(damaged))]), long_talk.stream(False), log)
    shown = (repr(session.problems) + session.reason + repr(log) + str(log)).lower()
    assert session.problems
    assert "deadbeef" not in shown
    for secret in secrets_of(long_talk.keylog):
        assert secret not in shown
        assert repr(bytes.fromhex(secret)) not in shown


@given(st.data())
@settings(max_examples=150, deadline=2000)
def test_any_damage_gives_a_session(data: st.DataObject) -> None:
    made = trace(data.draw(st.sampled_from([3, 4, 5])))
    streams = {}
    for up in (True, False):
        raw = bytearray(made.said(up))
        for _ in range(data.draw(st.integers(0, 3))):
            at = data.draw(st.integers(0, len(raw) - 1))
            raw[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=6))
        cut = data.draw(st.integers(0, len(raw)))
        hole = data.draw(st.integers(0, 40))
        streams[up] = Bytes([(1, bytes(raw[:cut])), (2, bytes(hole)), (3, bytes(raw[cut:]))], frozenset({2}))
    session = decrypt.session(streams[True], streams[False], KeyLog.load(made.keylog))
    assert all(record.frame in (1, 3) for record in session.records)


@given(st.binary(max_size=300), st.binary(max_size=300))
@settings(max_examples=150)
def test_any_bytes_give_a_session(up: bytes, down: bytes) -> None:
    decrypt.session(Bytes([(1, up)]), Bytes([(2, down)]), KeyLog.load(trace(3).keylog))


@pytest.mark.parametrize("size", range(0, 900, 7))
def test_every_truncation_gives_a_session(size: int) -> None:
    made = trace(3)
    log = KeyLog.load(made.keylog)
    session = decrypt.session(Bytes([(1, made.said(True)[:size])]), Bytes([(2, made.said(False)[:size])]), log)
    whole = {(record.up, record.offset): record.plaintext for record in read(made).records}
    assert all(record.plaintext in (None, whole[record.up, record.offset]) for record in session.records)


# --- flows that carry TLS, and flows that do not


class Side(Bytes):
    whole = True


class Flow:
    def __init__(self, up: bytes, down: bytes, whole: bool = True) -> None:
        self.transport = "tcp"
        self.sides = {True: Side([(1, up)]), False: Side([(2, down)])}
        for side in self.sides.values():
            side.whole = whole

    def stream(self, up: bool) -> Side:
        return self.sides[up]


def found_in(*flows: Flow) -> dict[int, Session]:
    return decrypt.sessions((), flows, KeyLog.load(trace(3).keylog))  # type: ignore[arg-type]


def test_a_flow_carries_tls_by_its_bytes() -> None:
    up, down = trace(3).said(True), trace(3).said(False)
    clear = b"<stream:stream><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    found = found_in(
        Flow(up, down),
        Flow(clear + up, b"<proceed/>" + down),  # STARTTLS
        Flow(up[250:], down[800:], whole=False),  # from the middle on
        Flow(up, b""),  # no answer
        Flow(b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n" + up + down),
        Flow(b"SSH-2.0-x\r\n" + random.Random(3).randbytes(100_000), random.Random(4).randbytes(100_000), whole=False),
        Flow(b"", b""),
    )
    assert list(found) == [0, 1, 2, 3]
    assert [session.start for session in found.values()] == [(0, 0), (len(clear), 10), (0, 0), (0, 0)]
    assert text(found[1], True) == NUMBERS
    assert found[2].reason == "handshake not captured"
    assert [record.length for record in found[2].records if record.up] == [67, 19]
    assert (found[3].sni, found[3].suite) == ("server", "TLS_AES_128_GCM_SHA256")  # guessed: the key fits


def test_turn_behind_the_looks_of_tls_is_no_tls() -> None:
    stun = bytes.fromhex("000100002112a442") + bytes(12)
    up = demux.PSEUDO_CLIENT_HELLO.ljust(demux.PSEUDO_CLIENT_SIZE, b"\0") + stun
    down = demux.PSEUDO_SERVER_HELLO.ljust(demux.PSEUDO_SERVER_SIZE, b"\0") + stun
    assert found_in(Flow(up, down)) == {}


def test_time_is_bounded_with_a_key_that_does_not_fit() -> None:
    made = trace(3)
    turned = re.sub(rb"(?m)[0-9a-f]{64}$", lambda match: match[0][::-1], made.keylog)
    many = b"".join(b"\x17\x03\x03\x40\x00" + bytes([n % 256]) * 0x4000 for n in range(1000))
    up, down = Bytes([(1, made.said(True) + many)]), Bytes([(2, made.said(False) + many)])
    for keylog in (turned, made.keylog):
        with bounds.processor(10):
            session = decrypt.session(up, down, KeyLog.load(keylog))
        assert len(session.records) > 2000


def test_a_handshake_message_that_is_too_long_is_said_and_what_follows_is_read() -> None:
    made = trace(3)
    long = bytes([11]) + (tls.MAX_MESSAGE + 1).to_bytes(3, "big") + bytes(tls.MAX_MESSAGE + 1)
    parts = [long[at : at + 16_000] for at in range(0, len(long), 16_000)]
    clear = b"".join(bytes([22, 3, 3]) + len(part).to_bytes(2, "big") + part for part in parts)
    said = made.said(True)
    hello = 5 + int.from_bytes(said[3:5])
    up = Bytes([(1, said[:hello] + clear + said[:hello] + said[hello:])])
    session = decrypt.session(up, Bytes([(2, made.said(False))]), KeyLog.load(made.keylog))
    assert [one.messages[0].type for one in session.records if one.up and one.messages][:2] == [1, 1]
    assert session.version == "TLS 1.3"
    (problem,) = [one for one in session.problems if "longer than" in one.message]
    assert problem.message == "a handshake message of 131073 bytes is longer than 131072, and passed over"
    assert problem.frame == 1
