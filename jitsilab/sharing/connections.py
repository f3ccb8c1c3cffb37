"""TCP connections of a capture, each direction as a new stream with the way from old sequence numbers to new ones."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jitsilab.pcap.columns import slices
from jitsilab.pcap.cores import processes
from jitsilab.pcap.links import TCP
from jitsilab.pcap.shelf import Place, Shelf
from jitsilab.protocols import stun
from jitsilab.sharing.encryption import Encryption, body
from jitsilab.sharing.h2 import PREFACE, Frames
from jitsilab.sharing.layout import Block, Layout
from jitsilab.sharing.messages import Messages
from jitsilab.sharing.several import rewritten
from jitsilab.sharing.talk import NOISE, Talk
from jitsilab.wire.decrypt import sizes, split

if TYPE_CHECKING:
    from jitsilab.sharing.floors import Floors
    from jitsilab.wire.decrypt import Session
    from jitsilab.wire.flows import Flow
    from jitsilab.wire.streams import Stream

LARGE = 1 << 22  # bytes of a connection; a larger one is not handed over between processes
WORTH = 1 << 18  # bytes of connections for which another process is worth its while
_DEFLATE = re.compile(rb"(?im)^sec-websocket-extensions:.*permessage-deflate")
_SWITCHED = re.compile(rb"HTTP/1\.[01] 101[ \r]")

Runs = list[tuple[int, bytes]]


class Side:
    """One direction of a flow."""

    def __init__(self, layout: Layout, base: int) -> None:
        self.layout, self.base = layout, base  # base: sequence number of the stream's first byte
        self._near = 0  # an offset that was asked for last: sequence numbers wrap

    def offset(self, sequence: int) -> int:
        """Where in the stream a sequence number is."""
        expected = self.base + self._near & 0xFFFFFFFF
        self._near += ((sequence - expected + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        return self._near

    def sequence(self, sequence: int) -> int:
        """The new sequence number of an old one."""
        return self.base + self.layout.at(self.offset(sequence)) & 0xFFFFFFFF


class Made(NamedTuple):
    """What a connection became."""

    sides: tuple[Side, Side] | None  # None where they are on a shelf
    random: bytes = b""  # of the client's hello, by which noise is told apart
    secrets: bytes = b""  # lines of a key log
    relays: bool = False  # whether it carries TURN, which Wireshark takes for HTTP on port 443


class Connections:
    """Every TCP flow of a capture, rewritten before its first frame passes, and let go behind its last."""

    def __init__(self, wire: "Floors", messages: Messages) -> None:
        self.wire, self.messages = wire, messages
        self._made: dict[int, tuple[Side, Side]] = {}
        self._laid: dict[int, Callable[[], tuple[Side, Side]]] = {}  # made, and not asked for yet
        self._begun = np.zeros(len(wire.flows), bool)
        self._sizes = sizes(wire.packets, wire.flows)
        of_frame = wire.flows.of_frame
        self._last = np.full(len(wire.flows) + 1, -1, np.int64)
        for window in slices(len(of_frame)):  # of several rows of a flow the last one written stays
            self._last[of_frame[window]] = np.arange(window.start, window.stop)
        self.relayed: dict[bytes, bytes] = {}  # key log lines of each that carries TURN

    def side(self, flow: int, up: bool) -> Side:
        """One direction of a flow."""
        if flow not in self._made:
            laid = self._laid.pop(flow, None)
            self._made[flow] = laid() if laid is not None else self._taken(Shelf(), (0, 0), self._rewritten(flow))
        return self._made[flow][not up]

    def begin(self, low: int, high: int) -> bytes:
        """Rewrite the connections that begin in these rows; gives the key log of those that keys opened."""
        window, secrets = slice(low, high), dict[bytes, bytes]()
        here = np.unique(self.wire.flows.of_frame[window][self.wire.packets.ip_protocol[window] == TCP])
        here = here[here >= 0]
        here = here[~self._begun[here]]
        self._begun[here] = True
        parts = split(here, self._sizes[here], processes(), LARGE, WORTH)
        for made, shelf in rewritten(self.messages.wording, self._several, parts):
            for number, (place, one) in made.items():
                self._laid[number] = partial(self._taken, shelf, place, one)
                (self.relayed if one.relays else secrets)[one.random] = one.secrets
                self.wire.release(number)
        return b"".join(secrets.values())

    def _several(self, numbers: Sequence[int], shelf: Shelf) -> dict[int, tuple[Place, Made]]:
        """What some connections became: long ones as they are, of others where they lie on the shelf."""
        made: dict[int, tuple[Place, Made]] = {}
        for number in numbers:
            one = self._rewritten(number)
            if self._sizes[number] <= LARGE:
                made[number] = shelf.put(one.sides), one._replace(sides=None)
            else:
                made[number] = (0, 0), one
            self.wire.release(number)
        return made

    def _taken(self, shelf: Shelf, place: Place, made: Made) -> tuple[Side, Side]:
        sides: tuple[Side, Side] = made.sides or shelf.get(place)
        for up, side in zip((True, False), sides, strict=True):
            side.layout.make = partial(body, self.messages.names, made.random, up)
        return sides

    def again(self, flow: int) -> None:
        """Make the noise in a flow once more."""
        for side in self._made.get(flow, ()):
            side.layout.again()

    def passed(self, row: int) -> None:
        """Let go of the flows of which no frame follows."""
        for laid in (self._made, self._laid):
            for number in [flow for flow in laid if self._last[flow] < row]:
                del laid[number]

    def _rewritten(self, number: int) -> Made:
        flow = self.wire.flows[number]
        streams = flow.stream(True), flow.stream(False)
        bases = _base(flow, streams[0], True), _base(flow, streams[1], False)
        session = self.wire.sessions.get(number)
        if session is None:
            runs = tuple([(piece.offset, piece.data) for piece in stream.pieces] for stream in streams)
            layouts = self._content(runs[0], runs[1])
            return Made((Side(layouts[0], bases[0]), Side(layouts[1], bases[1])))
        encryption = Encryption(session, self.messages.handshakes)
        plain: tuple[Layout | None, Layout | None] = None, None
        if encryption.open:
            sent, received = ([(p.offset, p.data) for p in encryption.plaintext[up].pieces] for up in (True, False))
            plain = self._content(sent, received, h2=session.alpn == "h2")
        asks = self._asks(session)
        layouts = Layout(), Layout()
        for up, layout, stream, start, content in zip(
            (True, False), layouts, streams, session.start, plain, strict=True
        ):
            layout.make = partial(body, self.messages.names, session.client_random, up)
            self._before(stream, start, layout)
            encryption.direction(up, asks == up, content, layout)
            self._behind(stream, layout)
        sides = Side(layouts[0], bases[0]), Side(layouts[1], bases[1])
        if not encryption.open:
            return Made(sides, session.client_random)
        relays = any(data[4:8] == stun.COOKIE for _, data in (*sent[:1], *received[:1]))
        return Made(sides, session.client_random, encryption.lines(), relays)

    @staticmethod
    def _asks(session: "Session") -> bool:
        """Whether the flow's client is the client of TLS: hellos know better than flows."""
        records = session.records
        for place, content in records.contents.items():
            for message in content.messages:
                if message.type in (1, 2):
                    return records[place].up == (message.type == 1)
        return True

    def _before(self, stream: "Stream", start: int, layout: Layout) -> None:
        """Clear text before TLS (STARTTLS)."""
        pieces = stream.pieces
        if start and pieces:
            layout.place(pieces[0].offset)
            for block in Talk(self.messages).rewrite(pieces[0].data[: start - pieces[0].offset], first=True):
                layout.add(block)

    def _behind(self, stream: "Stream", layout: Layout) -> None:
        """What no record accounts for at the end."""
        ends = (piece.offset + len(piece.data) for piece in stream.pieces if piece.offset <= layout.end)
        for end in [end for end in ends if end > layout.end]:
            for begin in range(layout.end, end, NOISE):
                layout.add_made(min(NOISE, end - begin))

    def _content(self, sent: Runs, received: Runs, *, h2: bool = False) -> tuple[Layout, Layout]:
        switched = any(_SWITCHED.search(data[:65536]) for _, data in (*sent[:3], *received[:3]))
        return self._one(sent, switched, h2), self._one(received, switched, h2)

    def _one(self, runs: Runs, switched: bool, h2: bool) -> Layout:
        layout = Layout()
        talk = Talk(self.messages, upgraded=switched)
        frames = Frames(talk)
        for number, (begin, data) in enumerate(runs):
            layout.place(begin)
            if (h2 and not number) or data.startswith(PREFACE):
                blocks = frames.rewrite(data)
            elif data.startswith(b"SSH-"):
                line = data.find(b"\n") + 1
                blocks = chain([Block(line, self.messages.wording.text(data[:line]))], talk.noise(data, line))
            else:
                blocks = talk.rewrite(data, first=not number)
            for block in blocks:
                layout.add(block)
        return layout


def _base(flow: "Flow", stream: "Stream", up: bool) -> int:
    """Sequence number of the first byte of a stream."""
    rows = flow.up == up
    fields = flow.fields[rows]
    if not len(fields):
        return 0
    opening = fields["flags"] & 2 > 0
    if opening.any():
        return int(fields["seq"][opening.argmax()]) + 1 & 0xFFFFFFFF
    if not stream._frames:
        return int(fields["seq"][0])
    frames = flow.frames[rows].tolist()
    first = frames.index(stream._frames[0])
    skipped = stream._skips[0] if stream._skips is not None else 0
    return int(fields["seq"][first]) + skipped - stream._begins[0] & 0xFFFFFFFF
