"""What a frame holds, as a number in the column ``labels`` of a wire; `jitsilab.wire.labelling` decides it."""

from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from jitsilab.pcap.columns import where

if TYPE_CHECKING:
    from jitsilab.pcap import Packets

Array = npt.NDArray[Any]


class Label(IntEnum):
    """What a frame holds."""

    OTHER = 0
    ARP = 1
    IP = 2
    ICMP = 3
    ICMPv6 = 4
    IGMP = 5
    TCP = 6
    UDP = 7
    DNS = 8
    STUN = 9
    CHANNEL = 10  # ChannelData of TURN
    DTLS = 11
    RTP = 12
    RTCP = 13
    QUIC = 14
    TLS = 15
    HTTP = 16
    XMPP = 17
    SSH = 18


NAMES = tuple(label.name for label in Label)


def rows(packets: "Packets", labelled: Array, *kinds: Label, protocol: int) -> npt.NDArray[np.int64]:
    """Rows whose label, of one a frame, is of some kinds, over UDP (17) or TCP (6)."""
    protocols = packets.ip_protocol
    return where(len(labelled), lambda window: np.isin(labelled[window], kinds) & (protocols[window] == protocol))
