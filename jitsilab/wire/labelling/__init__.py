"""What each frame holds, by content and by what its flow is known to carry; ports alone decide nothing.

The first bytes of a datagram say little: a quarter of all of them would be RTP. So STUN with its cookie and DTLS with
its version are believed at once, and all else is believed where its flow confirms it: RTP where one SSRC comes again
with sequence numbers and timestamps that fit, or where ICE or DTLS runs beside it and nothing contradicts; ChannelData
where TURN runs in the flow and the channel was bound or comes again, or where what it holds is known; STUN of RFC 3489
where its attributes fill it, or where its answer is seen.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from jitsilab.pcap.columns import made, slices
from jitsilab.pcap.cores import side_by_side
from jitsilab.pcap.links import TCP, UDP
from jitsilab.wire.labelling import datagrams, segments
from jitsilab.wire.labelling.heads import Array
from jitsilab.wire.labels import Label

if TYPE_CHECKING:
    from jitsilab.pcap import Packets
    from jitsilab.wire.flows import Flows, Range


def build(packets: "Packets", flows: "Flows") -> Array:
    """For each row of ``packets`` an index into `jitsilab.wire.labels.NAMES`."""
    out: Array = made(len(packets), np.uint8, lambda window: _by_header(packets, window))
    for number, label in ((UDP, datagrams.label), (TCP, segments.label)):
        for rows, labels in side_by_side(_of_flows(packets, flows, label), flows.ranges(_payloads(packets, number))):
            for window in slices(len(rows)):
                out[rows[window]] = labels[window]
    return out


def _payloads(packets: "Packets", protocol: int) -> Callable[[Array], Array]:
    """Which of some rows have a payload over UDP (17) or TCP (6)."""
    full, protocols = packets.payload_length, packets.ip_protocol
    return lambda rows: (full[rows] > 0) & (protocols[rows] == protocol)


def _of_flows(packets: "Packets", flows: "Flows", label: Any) -> "Callable[[Range], tuple[Array, Array]]":
    return lambda part: (part.rows, label(packets, flows, part.rows))


def _by_header(packets: "Packets", window: slice) -> Array:
    """What headers say, before any payload is looked at."""
    protocol = packets.ip_protocol[window]
    out = np.where(packets.ip_version[window] > 0, Label.IP, Label.OTHER).astype(np.uint8)
    out[packets.ethertype[window] == 0x0806] = Label.ARP
    for number, label in ((1, Label.ICMP), (2, Label.IGMP), (6, Label.TCP), (17, Label.UDP), (58, Label.ICMPv6)):
        out[protocol == number] = label
    return out
