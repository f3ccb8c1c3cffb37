"""STUN against the vectors of the RFCs, against tshark's names, and against any bytes."""

import contextlib
import hashlib
import hmac
import os
import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitsilab.errors import ParseError
from jitsilab.protocols import stun, stun_registry

VECTORS = Path(__file__).parent / "vectors" / "stun"
SHORT_TERM = stun.short_term_key("VOkJxbRl1RmTxUk/WvJxBt")
MATRIX = ("マトリックス", "example.org", "The\u00adM\u00aatr\u2168")  # RFC 5769 2.4, before SASLprep


def vector(name: str) -> bytes:
    lines = (VECTORS / f"{name}.hex").read_text("utf-8").splitlines()
    return bytes.fromhex("".join(line for line in lines if not line.startswith("#")))


ALL = [vector(path.stem) for path in sorted(VECTORS.glob("*.hex"))]


def test_the_sample_request_of_rfc_5769() -> None:
    message = stun.decode(vector("rfc5769-2.1-request"))
    assert (message.message_class, message.method_name) == ("request", "Binding")
    assert message.transaction_id.hex() == "b7e7a701bc34d686fa87dfae"
    assert [a.type for a in message.attributes] == [0x8022, 0x0024, 0x8029, 0x0006, 0x0008, 0x8028]
    assert message.text(stun.SOFTWARE) == "STUN test client"
    assert message.number(stun.PRIORITY) == 0x6E0001FF
    assert (message.role, message.tie_breaker) == ("controlled", 0x932FF9B151263B36)
    assert message.text(stun.USERNAME) == "evtj:h6vY"
    assert stun.integrity_ok(message, SHORT_TERM) is True
    assert stun.integrity_ok(message, SHORT_TERM + b"x") is False
    assert stun.fingerprint_ok(message) is True
    assert message.problems == ()


@pytest.mark.parametrize(
    ("name", "address"),
    [("rfc5769-2.2-ipv4", "192.0.2.1"), ("rfc5769-2.3-ipv6", "2001:db8:1234:5678:11:2233:4455:6677")],
)
def test_the_sample_responses_of_rfc_5769(name: str, address: str) -> None:
    message = stun.decode(vector(name))
    assert message.message_class == "success"
    assert message.mapped == (address, 32853)
    assert stun.integrity_ok(message, SHORT_TERM) is True
    assert stun.fingerprint_ok(message) is True


def test_long_term_credentials_of_rfc_5769() -> None:
    message = stun.decode(vector("rfc5769-2.4-long-term"))
    assert message.text(stun.USERNAME) == MATRIX[0]
    assert message.text(stun.NONCE) == "f//499k954d6OL34oL9FSTvy64sA"
    assert stun.password_algorithm(message) == "MD5"
    assert stun.integrity_ok(message, stun.long_term_key(*MATRIX)) is True
    assert stun.integrity_ok(message, stun.long_term_key(*MATRIX, algorithm="SHA-256")) is False
    assert stun.fingerprint_ok(message) is None


def test_sha_256_of_rfc_8489_with_its_erratum() -> None:
    message = stun.decode(vector("rfc8489-b.1-erratum-6268"))
    assert stun.password_algorithm(message) == "SHA-256"
    assert message.get(stun.USERHASH) == stun.userhash(*MATRIX[:2])
    key = stun.long_term_key(*MATRIX, algorithm="SHA-256")
    assert stun.verify_integrity(vector("rfc8489-b.1-erratum-6268"), key)


def test_the_printed_example_of_rfc_8489_is_wrong_and_still_read() -> None:
    message = stun.decode(vector("rfc8489-b.1-printed"))
    assert message.problems == ("length 156, but 136 bytes follow the header",)
    assert [a.type for a in message.attributes] == [0x001E, 0x0015, 0x0014, 0x001C]
    for algorithm in ("MD5", "SHA-256"):
        assert stun.integrity_ok(message, stun.long_term_key(*MATRIX, algorithm=algorithm)) is False


def test_a_truncated_sha_256_is_accepted_in_steps_of_four() -> None:
    whole = vector("rfc8489-b.1-erratum-6268")
    key = stun.long_term_key(*MATRIX, algorithm="SHA-256")
    for size, right in ((16, True), (28, True), (12, False), (18, False)):
        head = whole[:2] + (len(whole) - 20 - 32 + size).to_bytes(2) + whole[4:-36]
        mac = hmac.new(key, head, hashlib.sha256).digest()[:size]
        message = stun.decode(head + b"\x00\x1c" + size.to_bytes(2) + mac + bytes(-size % 4))
        assert stun.integrity_ok(message, key) is right


def test_rfc_3489_integrity_pads_to_64_bytes() -> None:
    head = bytes.fromhex("00010024") + bytes(range(16)) + bytes.fromhex("00060008") + b"username"
    mac = hmac.new(b"key", head + bytes(-len(head) % 64), hashlib.sha1).digest()
    message = stun.decode(head + bytes.fromhex("00080014") + mac)
    assert message.classic
    assert message.transaction_id == bytes(range(16))
    assert stun.integrity_ok(message, b"key") is True


def test_repeated_and_unknown_attributes_stay_in_order() -> None:
    message = stun.decode(
        bytes.fromhex("0008 0024 2112a442 000000000000000000000000")
        + bytes.fromhex("0012 0008 0001 0000 2112a442 7777 0003 616263ff 0012 0008 0001 2113 2112a443")
        + bytes.fromhex("0014 0000")
    )
    assert [a.type for a in message.attributes] == [0x12, 0x7777, 0x12, 0x14]
    assert message.endpoints(stun.XOR_PEER_ADDRESS) == [("0.0.0.0", 0x2112), ("0.0.0.1", 1)]
    assert message.attributes[1].value == b"abc"
    assert message.text(stun.REALM) == ""
    assert message.problems == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0001 0002 2112a442 000000000000000000000000 0000", "length 2 is not a multiple of 4"),
        ("0001 0008 2112a442 000000000000000000000000 80220008 61626364", "attribute 0x8022 at 20 has 4 of 8 bytes"),
        ("0001 0007 2112a442 000000000000000000000000 80220003 616263", "the last attribute is not padded"),
        ("0001 0000 2112a442 000000000000000000000000 8022", "2 bytes after the message"),
        ("0001 0006 2112a442 000000000000000000000000 80220000 6162", "2 bytes after the last attribute"),
    ],
)
def test_a_length_that_lies_is_described(text: str, problem: str) -> None:
    assert problem in stun.decode(bytes.fromhex(text)).problems


@pytest.mark.parametrize(("size", "offset"), [(0, 0), (19, 19)])
def test_a_short_header_says_where_it_ends(size: int, offset: int) -> None:
    with pytest.raises(ParseError) as error:
        stun.decode(ALL[0][:size])
    assert error.value.offset == offset


def test_the_class_bits_are_inside_the_type() -> None:
    """RFC 8489 section 5, figure 3."""
    kinds = {0x0001: ("request", 1), 0x0016: ("indication", 6), 0x0117: ("error", 7), 0x0103: ("success", 3)}
    kinds |= {0x3EEF: ("request", 0xFFF), 0x0100: ("success", 0), 0x0801: ("request", 0x201)}
    for kind, expected in kinds.items():
        message = stun.decode(kind.to_bytes(2) + bytes.fromhex("00002112a442") + bytes(12))
        assert (message.message_class, message.method) == expected


def test_channel_data() -> None:
    assert stun.decode_channel(bytes.fromhex("40000003616263ff")) == (0x4000, 3, b"abc", 1)
    assert stun.decode_channel(bytes.fromhex("4fff0008616263")) == (0x4FFF, 8, b"abc", 0)
    for wrong in ("400000", "80000000", "3fff0000"):
        with pytest.raises(ParseError):
            stun.decode_channel(bytes.fromhex(wrong))


@pytest.mark.tool("tshark")
def test_every_attribute_that_tshark_names_is_named() -> None:
    """The names of tshark's dissector, which its authors keep from IANA's registry and Microsoft's specifications."""
    names = subprocess.run(["tshark", "-G", "values"], capture_output=True, text=True, check=True).stdout
    rows = [line.split("\t") for line in names.splitlines() if "\tstun." in line]
    ours = {**stun_registry.ATTRIBUTES, **stun_registry.PRIVATE_ATTRIBUTES}

    def plain(name: str) -> str:
        return re.sub("[^A-Z0-9]", "", name.upper())

    known = {int(value, 16): text for _, field, value, text, *_ in rows if field == "stun.att.type"}
    for number, text in known.items():
        assert number in ours, text
    same = [n for n, text in known.items() if plain(ours[n]).removeprefix("MS") == plain(text).removeprefix("MS")]
    assert len(same) >= 0.8 * len(known)


def test_the_registry_is_complete() -> None:
    """IANA "STUN Parameters", 2024-12-20: counted by range, reserved numbers included."""
    assert set(stun_registry.METHODS) == {0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 0x80}
    required = {*range(0x1F), *range(0x20, 0x2B), 0x30}
    optional = {*range(0x8000, 0x8005), *range(0x8022, 0x802F), 0x8030}
    expert = {*range(0xC000, 0xC004), *range(0xC056, 0xC05F), 0xC060, 0xC070, 0xC071}
    assert set(stun_registry.ATTRIBUTES) == required | optional | expert
    assert len(stun_registry.ERRORS) == 18
    assert stun_registry.attribute_name(0x9999) == "0x9999"
    assert stun_registry.method_name(0x055) == "0x055"
    assert stun_registry.error_name(487) == "Role Conflict"
    assert not set(stun_registry.ATTRIBUTES) & set(stun_registry.PRIVATE_ATTRIBUTES)


def look_at_everything(message: stun.Message) -> None:
    for attribute in message.attributes:
        message.endpoints(attribute.type)
        message.text(attribute.type)
        assert message.raw[attribute.offset : attribute.offset + 2] == attribute.type.to_bytes(2)
    for value in (message.mapped, message.error, message.role, message.tie_breaker, message.channel):
        assert value is None or value is not False
    stun.fingerprint_ok(message)
    stun.integrity_ok(message, b"key")
    assert message.message_class in stun.CLASSES


@given(st.binary(max_size=96) | st.binary(max_size=80).map(lambda tail: ALL[0][:8] + tail))
def test_any_bytes_decode_or_raise_parse_error(packet: bytes) -> None:
    with contextlib.suppress(ParseError):
        look_at_everything(stun.decode(packet))
    with contextlib.suppress(ParseError):
        stun.decode_channel(packet)


@pytest.mark.parametrize("packet", ALL)
def test_every_truncation_decodes_or_says_where_it_ends(packet: bytes) -> None:
    for size in range(len(packet)):
        if size < 20:
            with pytest.raises(ParseError):
                stun.decode(packet[:size])
        else:
            message = stun.decode(packet[:size])
            assert message.problems
            look_at_everything(message)


@pytest.fixture(scope="module")
def real(recording: Callable[[str], Path]) -> list[bytes]:
    """Every STUN and ChannelData message of a call, also inside TLS and TURN, and the RFCs' vectors."""
    from jitsilab import pcap
    from jitsilab.wire import Wire, decrypt

    where = recording("jvb-3")
    wire = Wire(pcap.read(where / "capture-eth0.pcapng"), decrypt.KeyLog.load(where / "keys.txt"))
    found = {unit.data for unit in wire.units if unit.kind == "stun" or (unit.kind == "channel" and unit.size < 200)}
    assert len(found) > 150
    return [*ALL, *sorted(found)]


def test_real_messages_are_proper(real: list[bytes]) -> None:
    for packet in real[len(ALL) :]:
        if packet[0] < 64:
            message = stun.decode(packet)
            assert message.problems == ()
            assert stun.fingerprint_ok(message) is not False
            assert all(not name.startswith("0x") for name in map(attribute_name, message.attributes))


def attribute_name(attribute: stun.Attribute) -> str:
    return stun_registry.attribute_name(attribute.type)


def test_every_truncation_of_every_real_message(real: list[bytes]) -> None:
    for packet in real:
        for size in range(len(packet)):
            with contextlib.suppress(ParseError):
                stun.decode(packet[:size])
            with contextlib.suppress(ParseError):
                stun.decode_channel(packet[:size])


@pytest.mark.slow
def test_mutations_of_real_messages_raise_nothing_else(real: list[bytes]) -> None:
    """A million by night, fewer by day; JITSILAB_MUTATIONS sets another number."""
    dice = random.Random(6)
    places, values = dice.random, dice.randbytes(1 << 16)
    for number in range(
        int(os.environ.get("JITSILAB_MUTATIONS", "1000000" if "JITSILAB_NIGHTLY" in os.environ else "200000"))
    ):
        packet = bytearray(real[number % len(real)])
        size = len(packet)
        for k in range(1 + (number & 3)):
            packet[int(places() * size)] = values[(number * 4 + k) & 0xFFFF]
        if number % 5 == 0:
            del packet[int(places() * size) :]
        try:
            message = stun.decode(bytes(packet))
        except ParseError:
            continue
        if number % 8 == 0:
            look_at_everything(message)
