"""RTCP (RFC 3550 section 6) and what SRTCP leaves readable of it (RFC 3711 section 3.4).

A datagram holds a compound of packets, or a single one in reduced size (RFC 5506). SRTCP encrypts all but the first
eight bytes, so there only the first packet's header, its sender and the SRTCP index are known.
"""

import struct
from typing import NamedTuple

from jitsilab.errors import ParseError

NAMES: dict[int, str] = {  # IANA "RTCP Control Packet types (PT)"
    192: "FIR",
    193: "NACK",
    194: "SMPTETC",
    195: "IJ",
    200: "SR",
    201: "RR",
    202: "SDES",
    203: "BYE",
    204: "APP",
    205: "RTPFB",
    206: "PSFB",
    207: "XR",
    208: "AVB",
    209: "RSI",
    210: "TOKEN",
    211: "IDMS",
    212: "RGRS",
    213: "SNM",
}

FEEDBACK: dict[tuple[int, int], str] = {  # (packet type, format): IANA "FMT Values"
    (205, 1): "Generic NACK",
    (205, 3): "TMMBR",
    (205, 4): "TMMBN",
    (205, 5): "RTCP-SR-REQ",
    (205, 6): "RAMS",
    (205, 7): "TLLEI",
    (205, 8): "RTCP-ECN-FB",
    (205, 9): "PAUSE-RESUME",
    (205, 10): "DBI",
    (205, 11): "CCFB",
    (205, 15): "TWCC",  # draft-holmer-rmcat-transport-wide-cc-extensions
    (206, 1): "PLI",
    (206, 2): "SLI",
    (206, 3): "RPSI",
    (206, 4): "FIR",
    (206, 5): "TSTR",
    (206, 6): "TSTN",
    (206, 7): "VBCM",
    (206, 8): "PSLEI",
    (206, 9): "ROI",
    (206, 10): "LRR",
    (206, 15): "AFB",  # application layer; REMB is one
}


_LIKELY_INDEX = 1 << 24  # an index counts packets from zero: half a year at one a second


class Report(NamedTuple):
    """A report block (RFC 3550 section 6.4.1)."""

    ssrc: int  # of the stream reported on
    fraction_lost: int  # 1/256 since the last report
    cumulative_lost: int  # signed, 24 bits
    highest_sequence: int  # with the count of wraps in the upper 16 bits
    jitter: int  # ticks of the media clock
    last_sr: int  # middle 32 bits of the NTP time of the last sender report
    delay: int  # 1/65536 s since that report


class Sender(NamedTuple):
    """Sender information of an SR (RFC 3550 section 6.4.1)."""

    ntp: int  # 64 bits: seconds since 1900, and 1/2**32 s
    timestamp: int  # the same moment on the media clock
    packets: int
    octets: int


class Packet(NamedTuple):
    """One RTCP packet of a compound."""

    type: int
    number: int  # five bits: count of reports or sources, or the feedback's format
    ssrc: int | None  # of the sender; None where the packet ends before it or is an SDES or BYE of nobody
    size: int  # bytes, header included, as announced
    sender: Sender | None
    reports: tuple[Report, ...]
    media_ssrc: int | None  # of a feedback: the stream it is about
    text: str | None  # CNAME of an SDES, reason of a BYE, name of an APP
    offset: int  # in the datagram

    @property
    def name(self) -> str:
        """The packet type's name, or its number."""
        return NAMES.get(self.type, str(self.type))

    @property
    def format(self) -> str | None:
        """What a feedback is: PLI, Generic NACK and so on; None for the other types."""
        return FEEDBACK.get((self.type, self.number), str(self.number)) if self.type in (205, 206) else None


class Compound(NamedTuple):
    """What a datagram holds."""

    packets: tuple[Packet, ...]
    encrypted: bool  # SRTCP: of the first packet the header and the sender alone are known
    srtcp_index: int | None  # where its place is certain
    problems: tuple[str, ...]


def is_rtcp(first: int, second: int) -> bool:
    """Whether the first two bytes are RTCP's rather than RTP's (RFC 5761 section 4)."""
    return first >> 6 == 2 and 192 <= second <= 223


def decode(data: bytes, size: int | None = None, encrypted: bool | None = None) -> Compound:
    """Decode one datagram.

    ``size`` is its length on the wire where the capture cut it. ``encrypted`` says that it is SRTCP; by default the
    lengths decide: in clear they chain to the last byte.

    Raises ParseError when there are fewer than 4 bytes, the version is not 2 or the type is not one of RTCP's.
    """
    if len(data) < 4:
        raise ParseError(f"an RTCP header has 4 bytes, this {len(data)}", offset=len(data))
    if not is_rtcp(data[0], data[1]):
        raise ParseError(f"version {data[0] >> 6} and type {data[1]} are not RTCP's", offset=0)
    total = max(size or 0, len(data))
    places, offset = [], 0
    while offset + 4 <= len(data) and is_rtcp(data[offset], data[offset + 1]):
        places.append(offset)
        offset += 4 + 4 * int.from_bytes(data[offset + 2 : offset + 4])
    left = total - offset
    cut = len(data) < total and offset >= len(data) and left > 0  # the chain goes on where the capture does not
    if encrypted is None:
        encrypted = left != 0 and not cut and not _authenticated_only(data, total, offset)
    if encrypted:
        return Compound((_header(data, 0),), True, _index(data, total), ())
    problems = () if left >= 0 else (f"the last packet announces {-left} bytes more than there are",)
    if left > 0 and cut:
        problems = (f"cut after {len(data)} of {total} bytes",)
    return Compound(tuple(_packet(data, place) for place in places), False, None, problems)


def _authenticated_only(data: bytes, total: int, offset: int) -> bool:
    """Whether what follows the packets is index and tag of an SRTCP without encryption: its E bit is zero.

    Of AES-CM the index comes first, then a tag of 4 or 10 bytes (RFC 3711 section 3.4); of an AEAD it comes last,
    after a tag of 16 (RFC 7714 section 9.2).
    """
    place = {8: offset, 14: offset, 20: total - 4}.get(total - offset, -1)
    return total == len(data) and place >= 0 and not data[place] & 0x80


def _index(data: bytes, total: int) -> int | None:
    """The SRTCP index, from the end of the datagram; None where the capture cut it or both places could hold it."""
    if len(data) < total or total < 12:
        return None
    words = [int.from_bytes(data[-4:]), int.from_bytes(data[-14:-10]) if total >= 22 else 0]
    indices = [word & 0x7FFFFFFF for word in words if word >> 31 and word & 0x7FFFFFFF < _LIKELY_INDEX]
    return indices[0] if len(indices) == 1 else None


def _header(data: bytes, offset: int) -> Packet:
    """Only what SRTCP leaves in clear."""
    size = 4 + 4 * int.from_bytes(data[offset + 2 : offset + 4])
    ssrc = int.from_bytes(data[offset + 4 : offset + 8]) if size >= 8 and len(data) >= offset + 8 else None
    return Packet(data[offset + 1], data[offset] & 31, ssrc, size, None, (), None, None, offset)


def _packet(data: bytes, offset: int) -> Packet:
    """A packet in clear."""
    head = _header(data, offset)
    body = data[offset + 8 : offset + head.size]
    sender: Sender | None = None
    reports: tuple[Report, ...] = ()
    media, text = None, None
    if head.type == 200 and len(body) >= 20:
        sender = Sender(*struct.unpack_from("!QIII", body))
        reports = _reports(body[20:], head.number)
    elif head.type == 201:
        reports = _reports(body, head.number)
    elif head.type == 202:
        text = _cname(body)
    elif head.type == 203:
        reason = body[4 * (head.number - 1) :] if head.number else b""
        text = reason[1 : 1 + reason[0]].decode("utf-8", "replace") if reason else None
    elif head.type == 204:
        text = body[:4].decode("ascii", "replace")
    elif head.type in (205, 206) and len(body) >= 4:
        media = int.from_bytes(body[:4])
    return head._replace(sender=sender, reports=reports, media_ssrc=media, text=text)


def _reports(body: bytes, count: int) -> tuple[Report, ...]:
    reports = []
    for start in range(0, min(24 * count, len(body) - 23), 24):
        ssrc, lost, highest, jitter, last_sr, delay = struct.unpack_from("!6I", body, start)
        total = lost & 0xFFFFFF
        reports.append(
            Report(ssrc, lost >> 24, total - (1 << 24) if total >> 23 else total, highest, jitter, last_sr, delay)
        )
    return tuple(reports)


def _cname(items: bytes) -> str | None:
    """The CNAME of the first chunk of an SDES (RFC 3550 section 6.5), whose SSRC was read already."""
    offset = 0
    while offset + 2 <= len(items) and items[offset]:
        length = items[offset + 1]
        if items[offset] == 1:
            return items[offset + 2 : offset + 2 + length].decode("utf-8", "replace")
        offset += 2 + length
    return None
