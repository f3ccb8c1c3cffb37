"""The same conversation seen twice, in front of a proxy and behind it: recognised, and each stanza kept once.

A stanza that is said twice in one conversation stays twice: conversations are laid side by side in their own order.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from jitsilab.wire.carriers.model import Frames

CLOSE_BY = 5_000_000_000  # ns between two sightings of one stanza; a proxy takes milliseconds
MAX_WORK = 4_000_000  # pairs of stanzas that are compared one by one

_ADDRESSED = re.compile(r"<(?:iq|message|presence)\s[^>]*\bto\s*=\s*['\"][^'\"]+@[^'\"]+/[^'\"]+['\"]")


@dataclass(frozen=True, slots=True)
class Item:
    """A stanza of a conversation."""

    from_client: bool
    frames: Frames
    ready: int  # frame by which all that was sent before it had arrived too
    clear: bool
    xml: str


@dataclass
class Conversation:
    """The stanzas of one connection, in the order they were sent in each direction."""

    flow: int
    up: bool  # its client is the flow's client
    carrier: str
    names: set[str] = field(default_factory=set)  # what nobody else has: stream ids of the server, a WebSocket key
    items: list[Item] = field(default_factory=list)

    @property
    def begins(self) -> int:
        """The frame that began it: of the client, where one was seen."""
        ours = [item.frames[1] for item in self.items if item.from_client]
        return min(ours) if ours else min((item.frames[1] for item in self.items), default=0)


def align(ours: Sequence[Hashable], theirs: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Pairs of indices at which two sequences say the same, in order, each index at most once."""
    head = 0
    while head < min(len(ours), len(theirs)) and ours[head] == theirs[head]:
        head += 1
    pairs = [(n, n) for n in range(head)]
    a, b = ours[head:], theirs[head:]
    if not a or not b:
        return pairs
    if len(a) * len(b) > MAX_WORK:
        waiting: dict[Hashable, list[int]] = defaultdict(list)
        for n, item in enumerate(b):
            waiting[item].append(n)
        for places in waiting.values():
            places.reverse()
        matched = [(n, waiting[item].pop()) for n, item in enumerate(a) if waiting.get(item)]
    else:
        blocks = SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
        matched = [(block.a + n, block.b + n) for block in blocks for n in range(block.size)]
    return pairs + [(head + i, head + j) for i, j in matched]


def groups(conversations: Sequence[Conversation], time: Callable[[int], int]) -> list[list[Conversation]]:
    """Conversations that are one, the outermost first: the one whose client spoke first.

    They share what the server or the client chose at random (a stream id, a WebSocket key). Where the beginning of one
    was not captured, a stanza that the server addressed to one full JID at nearly the same ``time`` shows it.
    """
    parent = list(range(len(conversations)))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    named: dict[str, int] = {}
    for n, talk in enumerate(conversations):
        for name in talk.names:
            parent[root(n)] = root(named.setdefault(name, n))
    addressed: dict[str, list[tuple[int, int]]] = defaultdict(list)
    nameless = [n for n, talk in enumerate(conversations) if not talk.names]
    if nameless:
        for n, text, when in _addressed(enumerate(conversations), time):
            addressed[text].append((n, when))
        for n, text, when in _addressed(((n, conversations[n]) for n in nameless), time):
            for other, then in addressed[text][:16]:
                if root(other) != root(n) and abs(then - when) < CLOSE_BY:
                    parent[root(n)] = root(other)
    by_root: dict[int, list[Conversation]] = defaultdict(list)
    for n, talk in enumerate(conversations):
        by_root[root(n)].append(talk)
    return [sorted(talks, key=lambda talk: talk.begins) for talks in by_root.values()]


def _addressed(
    numbered: Iterable[tuple[int, Conversation]], time: Callable[[int], int]
) -> Iterable[tuple[int, str, int]]:
    for n, talk in numbered:
        for item in talk.items:
            if not item.from_client and _ADDRESSED.match(item.xml):
                yield n, item.xml, time(item.frames[1])


def merged(group: Sequence[Conversation]) -> list[tuple[Conversation, Item, tuple[int, ...]]]:
    """Each stanza of a group once: as it was seen first (outermost), with the frames in which it was seen again."""
    kept: list[tuple[Conversation, Item, list[int]]] = [(group[0], item, []) for item in group[0].items]
    for other in group[1:]:
        for from_client in (True, False):
            ours = [row for row in kept if row[1].from_client == from_client]
            theirs = [item for item in other.items if item.from_client == from_client]
            pairs = align([row[1].xml for row in ours], [item.xml for item in theirs])
            for i, j in pairs:
                ours[i][2].append(theirs[j].frames[1])
            shared = {j for _, j in pairs}
            kept += [(other, item, []) for j, item in enumerate(theirs) if j not in shared]
        kept.sort(key=lambda row: row[1].ready)
    return [(talk, item, tuple(copies)) for talk, item, copies in kept]
