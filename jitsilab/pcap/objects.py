"""Frames as scapy packets, for those who want to look at one; the only importer of scapy besides `jitsilab.share`."""

import logging
from typing import Any


def packet(data: bytes, link: int) -> Any:
    """A frame of a link type as a scapy packet; a Raw one where scapy does not know the link, or the header is cut."""
    logging.getLogger("scapy.runtime").setLevel(logging.ERROR)  # warnings about this machine's routes
    from scapy.config import conf
    from scapy.layers import inet, inet6, l2
    from scapy.packet import Raw

    layer: Any
    if link in (12, 14, 101, 228, 229):
        layer = inet6.IPv6 if data[:1] and data[0] >> 4 == 6 else inet.IP
    elif link == 0:
        layer = l2.Loopback
    else:
        layer = conf.l2types.num2layer.get(link, Raw)
    try:
        return layer(data)
    except Exception:  # scapy raises what it likes where a header is cut
        return Raw(data)
