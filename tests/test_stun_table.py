"""The table ``stun`` against tshark, field by field, and against the passwords that the browsers held."""

import hashlib
import hmac
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datagrams
import pandas as pd
import pytest
from datagrams import Sent, stun, xored

from jitsilab import pcap
from jitsilab.pcap import columns
from jitsilab.protocols import stun as decoder
from jitsilab.tables import stun as table
from jitsilab.wire import Wire, decrypt

A, B = (1, 40000), (2, 3478)
CAPTURES = [
    "stun.pcap",
    "stun_dtls_rtp.pcapng",
    "stun_signal.pcapng",
    "stun_tcp_multiple_msgs_same_pkt.pcap",
    "stun_wa_call.pcapng",
    "telegram_videocall.pcapng",
]
FIELDS = {  # tshark's field: what a message of ours says in its place
    "stun.id": lambda m: [m.transaction_id.hex()],
    "stun.type.class": lambda m: [CLASS_BITS[m.message_class]],
    "stun.type.method": lambda m: [f"0x{m.method:04x}"],
    "stun.att.username": lambda m: texts(m, decoder.USERNAME),
    "stun.att.realm": lambda m: texts(m, decoder.REALM),
    "stun.att.software": lambda m: texts(m, decoder.SOFTWARE),
    "stun.att.priority": lambda m: numbers(m, decoder.PRIORITY),
    "stun.att.lifetime": lambda m: numbers(m, decoder.LIFETIME),
    "stun.att.error": lambda m: [str(m.error.code % 100)] if m.error else [],
    "stun.att.error.class": lambda m: [str(m.error.code // 100)] if m.error else [],
    "stun.att.error.reason": lambda m: [m.error.reason] if m.error else [],
    "stun.att.ipv4": lambda m: [one.address for one in addresses(m) if ":" not in one.address],
    "stun.att.ipv6": lambda m: [one.address for one in addresses(m) if ":" in one.address],
    "stun.att.port": lambda m: [str(one.port) for one in addresses(m)],
}
ADDRESSES = {0x0001, 0x0012, 0x0016, 0x0020, 0x802B, 0x802C, 0x8023}


CLASS_BITS = {"request": "0x0000", "indication": "0x0001", "success": "0x0010", "error": "0x0011"}


def texts(message: decoder.Message, kind: int) -> list[str]:
    return [a.value.rstrip(b"\0").decode("utf-8", "replace") for a in message.attributes if a.type == kind]


def numbers(message: decoder.Message, kind: int) -> list[str]:
    return [str(int.from_bytes(a.value)) for a in message.attributes if a.type == kind]


def addresses(message: decoder.Message) -> list[decoder.Endpoint]:
    found = []
    for a in message.attributes:
        if a.type in ADDRESSES:
            one = decoder.endpoint(a.value, message.raw, a.type in (0x0012, 0x0016, 0x0020))
            found += [one] if one else []
    return found


def tshark(source: Path, *fields: str) -> dict[int, list[list[str]]]:
    argv = ["tshark", "-r", str(source), "-Y", "stun.id && !icmp && !icmpv6", "-T", "fields", "-E", "aggregator=;"]
    argv += [word for name in ("frame.number", *fields) for word in ("-e", name)]
    lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split("\t") for line in lines]
    return {int(row[0]): [cell.split(";") if cell else [] for cell in row[1:]] for row in rows}


def read(source: Path) -> Wire:
    return Wire(pcap.read(source))


@pytest.mark.tool("tshark")
@pytest.mark.parametrize("name", CAPTURES)
def test_each_field_as_tshark_has_it(data: Path, name: str) -> None:
    """Messages of several in a frame are compared as one list.

    tshark leaves the DATA of some Send and Data indications closed; what is read there has its cookie to show.
    """
    source = data / "pcaps" / name
    theirs = tshark(source, *FIELDS)
    ours: dict[int, list[decoder.Message]] = {}
    for unit, message in table.messages(read(source)):
        if isinstance(message, decoder.Message):
            if unit.frame in theirs and message.transaction_id.hex() not in theirs[unit.frame][0]:
                assert unit.depth
                assert unit.data[4:8] == decoder.COOKIE
                continue
            ours.setdefault(unit.frame, []).append(message)
    assert set(theirs) <= set(ours)
    for frame, cells in theirs.items():
        for (field, mine), cell in zip(FIELDS.items(), cells, strict=True):
            have = sorted(value.lower() for m in ours[frame] for value in mine(m) if value)
            assert have == sorted(value.lower() for value in cell), (frame, field)


@pytest.mark.tool("tshark")
def test_only_messages_of_private_types_are_ours_alone(data: Path) -> None:
    """tshark 4.0 takes the types 0x0800 to 0x0805 for no STUN; their bytes hold the cookie and the next transaction."""
    source = data / "pcaps" / "stun_wa_call.pcapng"
    theirs = tshark(source)
    for unit, message in table.messages(read(source)):
        if unit.frame not in theirs:
            assert unit.data[0] == 8
            assert unit.data[4:8] == decoder.COOKIE
            assert isinstance(message, decoder.Message)
            assert message.method_name.startswith("WhatsApp")


@pytest.mark.tool("tshark")
@pytest.mark.parametrize("name", CAPTURES)
def test_attributes_in_order_as_tshark_lists_them(data: Path, name: str) -> None:
    """But for types between 0x4000 and 0x7fff, which tshark 4.0 shows without the field for their type."""
    source = data / "pcaps" / name
    rows = table.table(read(source)).rows
    rows = rows[rows["message_class"].notna()]
    theirs = tshark(source, "stun.id", "stun.att.type")
    for frame, group in rows.groupby("frame"):
        if len(group) == 1 and frame in theirs and len(theirs[frame][0]) == 1:
            kinds = [k for k in str(group["attributes"].iloc[0]).split() if not "4000" <= k < "8000"]
            assert kinds == [f"{int(kind, 16):04x}" for kind in theirs[frame][1]]


@pytest.mark.tool("tshark")
def test_responses_find_their_requests_as_in_tshark(recording: Callable[[str], Path]) -> None:
    source = recording("jvb-3") / "capture-eth0.pcapng"
    rows = table.table(read(source)).rows.set_index("frame")
    theirs = {frame: cells for frame, cells in tshark(source, "stun.response-to", "stun.time").items() if cells[0]}
    assert len(theirs) > 20
    for frame, (request, seconds) in theirs.items():
        assert rows.loc[frame, "request_frame"] == int(request[0])
        assert rows.loc[frame, "rtt"] == pytest.approx(float(seconds[0]), abs=1e-9)


def browsers_passwords(where: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for log in where.glob("sdp-*.jsonl"):
        for line in log.read_text().splitlines():
            sdp = json.loads(line)["sdp"]
            pairs = zip(re.findall(r"a=ice-ufrag:(\S+)", sdp), re.findall(r"a=ice-pwd:(\S+)", sdp), strict=True)
            for ufrag, password in pairs:
                found.setdefault(ufrag, set()).add(password)
    return found


def integrity(wire: Wire, *secrets: Any) -> "pd.Series[Any]":
    return table.table(wire, table.Secrets(*secrets)).rows["integrity_ok"]


def test_every_check_is_signed_with_the_password_that_was_signalled(recording: Callable[[str], Path]) -> None:
    where = recording("jvb-3")
    passwords = browsers_passwords(where)
    if not passwords:
        pytest.skip("the recording keeps no log of the browsers' descriptions")
    wire = Wire(pcap.read(where / "capture-eth0.pcapng"), decrypt.KeyLog.load(where / "keys.txt"))
    rows = table.table(wire, table.Secrets(passwords)).rows
    signed = rows[(rows["method"] == "Binding") & rows["attributes"].fillna("").str.contains("0008")]
    assert set(signed["depth"]) == {0, 1}
    assert signed["integrity_ok"].all()
    wrong = integrity(wire, {ufrag: "x" * 24 for ufrag in passwords})
    assert not wrong[signed.index].any()
    assert integrity(wire, {}).isna().all()


def test_long_term_credentials_reach_the_answers() -> None:
    """The sample request of RFC 5769 section 2.4, and an answer signed with the same key."""
    lines = (Path(__file__).parent / "vectors/stun/rfc5769-2.4-long-term.hex").read_text("utf-8").splitlines()
    request = bytes.fromhex("".join(lines[1:]))
    key = decoder.long_term_key("マトリックス", "example.org", "TheMatrIX")
    head = bytes.fromhex("010100182112a442") + request[8:20]
    answer = head + bytes.fromhex("00080014") + hmac.new(key, head, hashlib.sha1).digest()
    wire = datagrams.wire(Sent(A, B, request), Sent(B, A, answer), Sent(B, A, answer[:-1] + b"\0"))
    for realm in ("", "example.org"):
        account = ("マトリックス", realm, "The\u00adM\u00aatr\u2168")
        assert integrity(wire, {}, [account]).tolist() == [True, True, False]
    assert integrity(wire, {}, [("マトリックス", "elsewhere", "TheMatrIX")]).isna().all()


def test_a_request_sent_again_keeps_its_first_frame() -> None:
    request, answer = stun(0x0001, 5, (0x0006, b"a:b")), stun(0x0101, 5, (0x0020, xored("10.0.0.1", 40000)))
    sent = [Sent(A, B, request), Sent(A, B, request), Sent(B, A, answer), Sent(B, A, answer), Sent(A, B, answer)]
    rows = table.table(datagrams.wire(*sent)).rows
    assert rows["retransmission"].tolist() == [False, True, False, True, False]
    assert rows["request_frame"].fillna(0).tolist() == [0, 0, 1, 1, 0]  # the last goes the wrong way
    assert rows["rtt"].tolist()[2] == pytest.approx(0.02)
    assert rows["mapped_address"].tolist()[2:] == ["10.0.0.1"] * 3


def test_a_copy_on_another_interface_is_a_row_and_no_retransmission() -> None:
    request = stun(0x0001, 5, (0x0006, b"a:b"))
    sent = [Sent(A, B, request, 1.0), Sent(A, B, request, 1.0005, None, 1)]
    rows = table.table(datagrams.wire(*sent, one_identification=2)).rows
    assert rows["duplicate"].tolist() == [False, True]
    assert rows["retransmission"].tolist() == [False, False]


def test_channel_data_and_what_it_holds() -> None:
    peer = (0x0012, xored("192.0.2.9", 5000))
    check = stun(0x0001, 7, (0x0006, b"a:b"))
    sent = [
        Sent(A, B, stun(0x0009, 1, (0x000C, b"\x40\x01\0\0"), peer)),
        Sent(A, B, b"\x40\x01" + len(check).to_bytes(2) + check),
        Sent(A, B, stun(0x0008, 2, peer, (0x0012, xored("192.0.2.10", 1)))),
    ]
    rows = table.table(datagrams.wire(*sent)).rows
    assert rows["method"].tolist() == ["ChannelBind", "ChannelData", "Binding", "CreatePermission"]
    assert rows["depth"].tolist() == [0, 0, 1, 0]
    assert rows["channel"].fillna(0).tolist() == [0x4001, 0x4001, 0, 0]
    assert rows["peer_address"].fillna("").tolist() == ["192.0.2.9", "192.0.2.9", "", "192.0.2.9"]
    assert rows["wrapper_peer"].fillna("").tolist() == ["", "", "192.0.2.9", ""]
    assert rows["peers"].iloc[3] == "192.0.2.9:5000 192.0.2.10:1"
    assert rows["message_class"].isna().tolist() == [False, True, False, False]


@pytest.mark.parametrize("rows_at_once", [7, 1 << 18])
def test_of_what_carries_media_the_first_and_the_last_are_told(
    rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To each peer in each direction; checks inside the relay are all there."""
    monkeypatch.setattr(columns, "SLICE", rows_at_once)
    sent = [Sent(A, B, stun(0x0003, 1, (0x0019, b"\x11\0\0\0")))]
    for number in range(20):
        for peer in ("192.0.2.9", "192.0.2.10"):
            held = (0x0013, datagrams.rtp(sequence=number))
            sent.append(Sent(B, A, stun(0x0017, 100 + number, (0x0012, xored(peer, 5000)), held)))
        check = (0x0013, stun(0x0001, 500 + number, (0x0006, b"a:b")))
        sent.append(Sent(A, B, stun(0x0016, 300 + number, (0x0012, xored("192.0.2.9", 5000)), check)))
    wire = datagrams.wire(*sent)
    whole, some = table.table(wire).rows, table.spoken(wire)
    assert whole["method"].value_counts().to_dict() == {"Data": 40, "Send": 20, "Binding": 20, "Allocate": 1}
    assert some["stands_for"].sum() == len(whole)
    assert some["method"].value_counts().to_dict() == {"Data": 18, "Send": 20, "Binding": 20, "Allocate": 1}
    data = some[some["method"] == "Data"]
    for peer in ("192.0.2.9", "192.0.2.10"):
        of_peer = data[data["peer_address"] == peer]
        every = whole.loc[(whole["method"] == "Data") & (whole["peer_address"] == peer), "frame"].tolist()
        assert of_peer["frame"].tolist() == [*every[: table.FIRST], every[-1]]
        assert of_peer["stands_for"].tolist() == [1] * table.FIRST + [12]


def test_lengths_that_lie_are_errors_and_rows() -> None:
    packet = stun(0x0001, 5, (0x0006, b"a:b"))
    rows, problems = table.table(datagrams.wire(Sent(A, B, packet[:-2]), Sent(A, B, packet + b"xx")))
    assert rows["username"].tolist() == ["a:", "a:b"]
    assert [(p.frame, p.protocol) for p in problems] == [(1, "stun"), (1, "stun"), (2, "stun")]


def test_what_the_capture_cut_is_no_error() -> None:
    packet = stun(0x0001, 5, (0x8022, b"x" * 100), (0x8028, bytes(4)))
    rows, problems = table.table(datagrams.wire(Sent(A, B, packet, kept=60)))
    assert not problems
    assert rows["size"].tolist() == [len(packet)]
    assert rows["fingerprint_ok"].isna().all()


def test_an_empty_table_has_the_same_form() -> None:
    empty, full = (table.table(datagrams.wire(Sent(A, B, data))).rows for data in (b"x", stun(0x0001, 5)))
    assert list(empty.columns) == list(full.columns) == list(table.STUN)
    assert (empty.dtypes == full.dtypes).all()
    assert isinstance(empty, pd.DataFrame)
