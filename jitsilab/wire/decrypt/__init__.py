"""TLS sessions of a capture, decrypted where a key log has the secrets; what is long of them lies in files."""

import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from jitsilab.pcap.columns import slices
from jitsilab.pcap.cores import apart, processes
from jitsilab.pcap.links import TCP
from jitsilab.pcap.shelf import Place, Shelf
from jitsilab.protocols import demux, tls
from jitsilab.wire.decrypt.keylog import KeyLog
from jitsilab.wire.decrypt.records import Record, Records
from jitsilab.wire.decrypt.tls_session import Plaintext, Read, Session, session

if TYPE_CHECKING:
    from jitsilab.pcap import Packets
    from jitsilab.wire.flows import Flow, Flows

__all__ = [
    "KeyLog",
    "Plaintext",
    "Read",
    "Record",
    "Records",
    "Session",
    "session",
    "sessions",
    "shares",
    "sizes",
    "split",
]

LARGE = 1 << 23  # bytes of a session; a larger one has files of its own
WORTH = 1 << 22  # bytes of TCP for which another process is worth its while
_LOOK = 1 << 16  # bytes of a stream in which its first record is looked for


def sessions(packets: "Packets", flows: "Flows", keylog: KeyLog | None = None) -> dict[int, Session]:
    """The TLS session of each TCP flow that carries one, by flow number.

    A flow carries TLS where its first bytes are records, where records follow each other behind a lost beginning, or
    where both hellos stand behind clear text (STARTTLS).
    """
    found: dict[int, Session] = {}
    parts = [list(range(len(flows)))]
    # what TLS 1.2 resumes hangs on the connections before
    if (several := processes()) > 1 and not (keylog is not None and keylog.resumes):
        parts = shares(packets, flows, several, LARGE // 2)
    for laid, shelf in apart(partial(_laid, flows, keylog), parts):
        for made, place in laid:
            if place is not None:
                made.read = partial(shelf.get, place)
            found[made.flow] = made
    return dict(sorted(found.items()))


def _laid(
    flows: "Flows", keylog: KeyLog | None, numbers: Sequence[int], shelf: Shelf
) -> list[tuple[Session, Place | None]]:
    """The sessions of some flows, and where on the shelf is what is long of them, where that is not large."""
    masters: dict[bytes, bytes] = {}
    known: dict[bytes, bytes] = {}  # a server shows the same certificate again and again
    laid = []
    for number in numbers:
        flow = flows[number]
        if flow.transport != "tcp" or (start := _start(flow)) is None:
            continue
        made = session(flow.stream(True), flow.stream(False), keylog, flow=number, start=start, masters=masters)
        made.certificates = tuple(known.setdefault(der, der) for der in made.certificates)
        made.client_certificates = tuple(known.setdefault(der, der) for der in made.client_certificates)
        place = None
        if made.records.size <= LARGE:
            place, made.read = shelf.put(made.read()), Session.read
        laid.append((made, place))
    return laid


def shares(packets: "Packets", flows: "Flows", several: int, largest: int = sys.maxsize) -> list[list[int]]:
    """All flows, as `split` shares them out between processes."""
    parts = split(np.arange(len(flows)), sizes(packets, flows), several, largest)
    if len(parts) > 1:
        flows.retransmitted  # noqa: B018 (streams are put together here, once, not by each process)
    return parts


def sizes(packets: "Packets", flows: "Flows") -> npt.NDArray[np.int64]:
    """Bytes that TCP carries in each flow."""
    size: npt.NDArray[np.int64] = np.zeros(len(flows) + 1, np.int64)
    for window in slices(len(packets)):
        rows = window.start + np.flatnonzero(packets.ip_protocol[window] == TCP)
        size += np.bincount(flows.of_frame[rows] + 1, packets.payload_length[rows], len(size)).astype(np.int64)
    return size[1:]


def split(
    numbers: npt.NDArray[np.int64],
    size: npt.NDArray[np.int64],
    several: int,
    largest: int = sys.maxsize,
    worth: int | None = None,
) -> list[list[int]]:
    """Flows for each process, neighbours together; larger ones (bytes) cannot be handed over, and are in the first.

    ``worth`` is the bytes for which another process is worth its while, `WORTH` where it is not given.
    """
    large = size > largest
    small = np.where(large, 0, size)
    share = int(size.sum()) // several
    first = max(0, share - int(size[large].sum()))  # bytes that the first process still has time for
    if several < 2 or int(small.sum()) - first < (WORTH if worth is None else worth):
        return [numbers.tolist()]
    before = np.cumsum(small) - small
    part = np.where(before < first, 0, 1 + (before - first) * (several - 1) // (int(small.sum()) - first + 1))
    part[large] = 0
    return [some for number in range(several) if (some := numbers[part == number].tolist())]


def _start(flow: "Flow") -> tuple[int, int] | None:
    """Offsets of the TLS in a flow's streams; None where there is none."""
    pieces = [flow.stream(up).pieces for up in (True, False)]
    heads = [stream[0].data[: 2 * _LOOK] if stream else b"" for stream in pieces]
    offsets = [stream[0].offset if stream else 0 for stream in pieces]
    # Google's pseudo-TLS: STUN behind hellos of which the server's alone looks like one of TLS 1.0
    if demux.framing(heads[0]) == "pseudo-tls" or (not heads[0] and demux.framing(heads[1]) == "pseudo-tls"):
        return None
    if any(tls.is_tls(head) for head in heads):
        return 0, 0
    hellos = [tls.find_hello(head, server=bool(side), limit=_LOOK) for side, head in enumerate(heads)]
    if min(hellos) > 0:
        return offsets[0] + hellos[0], offsets[1] + hellos[1]
    if not all(flow.stream(up).whole for up in (True, False)) and any(
        tls.find_record(piece.data, 0, _LOOK, sure=True) >= 0 for stream in pieces for piece in stream[:2]
    ):
        return 0, 0
    return None
