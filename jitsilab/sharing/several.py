"""Pieces of a case rewritten by several processes, under the same names as by one."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from jitsilab.pcap.cores import apart
from jitsilab.pcap.shelf import Shelf
from jitsilab.sharing.wording import Wording

Given = TypeVar("Given")
Made = TypeVar("Made")


def rewritten(
    wording: Wording, work: Callable[[Given, Shelf], Made], pieces: Sequence[Given]
) -> Iterator[tuple[Made, Shelf]]:
    """As `jitsilab.pcap.cores.apart`, with what was met on the way as if one process had done all.

    What stands for an address or a digest hangs on the key alone. What stands for a name or a certificate that nobody
    saw before hangs on all that were met: a process that meets such a one leaves its piece to this one.
    """
    here = os.getpid()
    wording.ready()

    def noted(piece: Given, shelf: Shelf) -> "tuple[Made, set[bytes], list[dict[bytes, bytes]]]":
        prints, places, known = set(wording.prints), wording.addresses.places(), wording.known_of()
        made = work(piece, shelf)
        if os.getpid() != here and wording.known_of() != known:
            raise LookupError
        return made, wording.prints - prints, wording.addresses.since(places)

    for (made, prints, addresses), shelf in apart(noted, pieces):
        wording.prints |= prints
        wording.addresses.learn(addresses)
        yield made, shelf
