"""Captures: a file becomes columns of frames, and a frame number becomes its bytes again.

`sources` gives unpacked bytes, `containers` walks the records of pcap and pcapng, `links` goes from the first byte of a
frame to its transport payload, `fragments` puts datagrams together, and `reading` makes `Packets` of it all.
"""

from jitsilab.pcap.containers import Comment, EmptyCapture, Interface, is_magic
from jitsilab.pcap.packets import Packets
from jitsilab.pcap.reading import is_capture, read, scan

__all__ = ["Comment", "EmptyCapture", "Interface", "Packets", "is_capture", "is_magic", "read", "scan"]
