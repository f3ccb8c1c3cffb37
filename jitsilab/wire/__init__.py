"""A capture on its way from frames to messages: each floor is built once, when it is first asked for."""

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from jitsilab.pcap import Packets
    from jitsilab.wire.carriers import Carried
    from jitsilab.wire.decrypt import KeyLog, Session
    from jitsilab.wire.flows import Flows
    from jitsilab.wire.units import Units


class Wire:
    """The floors below the tables, over one capture and, where there is one, its key log."""

    def __init__(self, packets: "Packets", keylog: "KeyLog | None" = None) -> None:
        self.packets = packets
        self.keylog = keylog

    @cached_property
    def flows(self) -> "Flows":
        """UDP and TCP five-tuples, with reassembled streams."""
        from jitsilab.wire import flows

        return flows.build(self.packets)

    @cached_property
    def labels(self) -> "np.ndarray":
        """What each frame is, as an index into ``labels.NAMES``."""
        from jitsilab.wire import labelling

        return labelling.build(self.packets, self.flows)

    @cached_property
    def sessions(self) -> "dict[int, Session]":
        """The TLS session of each TCP flow that carries one, decrypted where a key is known."""
        from jitsilab.wire import decrypt

        return decrypt.sessions(self.packets, self.flows, self.keylog)

    @cached_property
    def units(self) -> "Units":
        """STUN, TURN, DTLS units wherever they run: UDP, TCP, inside TLS, inside TURN."""
        from jitsilab.wire import units

        return units.build(self)

    @cached_property
    def carried(self) -> "Carried":
        """HTTP exchanges, WebSocket messages and XMPP stanzas, in clear or decrypted."""
        from jitsilab.wire import carriers

        return carriers.build(self)

    def time(self, frame: int) -> int:
        """Nanoseconds since the epoch of a frame number."""
        return int(self.packets.time[frame - 1])

    def seconds(self, frame: int) -> float:
        """Seconds since the first frame, to the nanosecond."""
        return int(self.packets.time[frame - 1] - self.packets.time[0]) / 1e9
