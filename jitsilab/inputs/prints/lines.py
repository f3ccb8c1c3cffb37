"""tshark's and Wireshark's one line a frame: default columns and others', between tabs or spaces, in any form of time.

A line is taken apart by what its words are, since columns may be added anywhere: a number, a time, addresses around an
arrow (or side by side, as Wireshark exports them), the protocol, the length. What numbers beside these mean is asked of
the whole print: a column is that of ports where it agrees with the ports that summaries name.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from jitsilab.errors import ParseError
from jitsilab.inputs.prints.times import TIME, Stamp, stamp

LONGEST = 65_536  # characters of a line
_SUMMARY = 4096  # of a summary that are read; none of those that are read in fields is nearly as long
_START = re.compile(rf"\s*(?P<frame>\d{{1,12}})\s+(?P<time>{TIME})(?:\s+|$)")
_PREFIX = re.compile(r"^[>|\s]*(?:[^\s:]{1,200}?[:-])?(?:\d{1,9}[:-])?(?=\s*\d+\s)")  # of grep, or of a quotation
_WORD = re.compile(r"\S+")
_NUMBER = re.compile(r"\d{1,10}")
_ARROWS = ("→", "->", "?")
_PORTS = re.compile(r"(?:\[[^\]]*\] ?)*(\d{1,5}) (?:→|->|\?) (\d{1,5})(?!\S)")
_NAMES = ("Broadcast", "localhost")
_TWO_WORDS = {("RTP", "EVENT"), ("IEEE", "802.11"), ("PPP", "LCP"), ("PPP", "IPCP"), ("PPP", "CHAP"), ("PPP", "PAP")}
_MOST_WORDS = 3  # of a protocol's name
_PORT = 65_535


@dataclass(slots=True)
class Summary:
    """One line of a print."""

    frame: int
    stamp: Stamp
    src: str
    dst: str
    protocol: str  # as the column has it: TLSv1.3, DTLSv1.2, RTP EVENT, ...
    length: int  # bytes on the wire
    info: str
    before: list[int] = field(default_factory=list)  # numbers between the addresses and the protocol
    after: list[int] = field(default_factory=list)  # numbers from the protocol to the summary
    src_port: int | None = None
    dst_port: int | None = None
    line: int = 0


def parse(text: str) -> Summary:
    """Take a line apart.

    Raises ParseError for a line without number, time, two addresses, protocol and length.
    """
    if len(text) > LONGEST:
        raise ParseError(f"a line of {len(text)} characters")
    start = _START.match(text)
    if not start:
        prefix = _PREFIX.match(text)
        rest = text[prefix.end() :] if prefix else text
        start = _START.match(rest)
        if not start or rest == text:
            raise ParseError(f"not a summary line of tshark: {text[:60]!r}")
        text = rest
    when = stamp(start["time"])
    if when is None:
        raise ParseError(f"not a summary line of tshark: {text[:60]!r}")
    body, tabs = text[start.end() :], "\t" in text
    if tabs:
        words = [cell.strip() for cell in body.split("\t")]
        ends = []
    else:
        spans = [(match[0], match.end()) for match in _WORD.finditer(body)]
        words, ends = [word for word, _ in spans], [end for _, end in spans]
    src, dst, at = _addresses(words, text)
    before = [int(words[at - 2])] if at > 2 and _is_between(words, at, src, dst) else []
    while at < len(words) and _NUMBER.fullmatch(words[at]):
        before.append(int(words[at]))
        at += 1
    last = next((i for i in range(at + 1, min(at + 1 + _MOST_WORDS, len(words))) if _NUMBER.fullmatch(words[i])), 0)
    if tabs and (last != at + 1 or not set(words) & set(_ARROWS)):
        last = 0  # between tabs a protocol is one cell, and the length the next; without an arrow it is an export
    if not last or not any(letter.isalpha() or letter == "0" for letter in words[at]):
        raise ParseError(f"not a summary line of tshark: {text[:60]!r}")
    after = []
    for i in range(last, min(last + 8, len(words))):
        if not _NUMBER.fullmatch(words[i]) or (i + 1 < len(words) and words[i + 1] in _ARROWS):
            break
        after.append(int(words[i]))
    info = " ".join(words[last + 1 :]) if tabs else body[ends[last] + 1 :]
    info = info[:_SUMMARY]
    if "?" in words[:12]:  # an arrow that a console could not show
        info = info.replace(" ? ", " → ")
    return Summary(
        int(start["frame"]), when, src, dst, " ".join(words[at:last]), after[0] if after else int(words[last]), info,
        before, after,
    )  # fmt: skip


def _addresses(words: Sequence[str], text: str) -> tuple[str, str, int]:
    """Source, destination and the place of the word after them."""
    arrow = next((i for i, word in enumerate(words[:12]) if word in _ARROWS), -1)
    between_ports = (
        arrow >= 4 and _NUMBER.fullmatch(words[arrow - 1]) and arrow + 1 < len(words)
        and _NUMBER.fullmatch(words[arrow + 1])
    )  # fmt: skip
    if arrow >= 0 and not between_ports:
        first = 0
        while first < arrow - 1 and re.fullmatch(r"-?\d+(\.\d+)?", words[first]):
            first += 1  # a further column of times
        src, at = " ".join(words[first:arrow]), arrow + 1
        if at >= len(words):
            raise ParseError(f"nothing behind the arrow: {text[:60]!r}")
        if _is_address(words[at]):
            return src, words[at], at + 1
        if at + 1 < len(words) and _NUMBER.fullmatch(words[at + 1]):
            return src, "", at  # the protocol already
        stop = next((i for i in range(at + 1, len(words)) if _NUMBER.fullmatch(words[i])), len(words))
        name = stop - 2 if tuple(words[stop - 2 : stop]) in _TWO_WORDS else stop - 1
        return src, " ".join(words[at:name]), name
    for at in range(min(4, len(words) - 3)):
        if _is_address(words[at]) and _is_address(words[at + 1]):
            return words[at], words[at + 1], at + 2
        port = _NUMBER.fullmatch(words[at + 1]) or not words[at + 1]  # between tabs a column may be empty
        if _is_address(words[at]) and port and _is_address(words[at + 2]):
            return words[at], words[at + 2], at + 3
    raise ParseError(f"not a summary line of tshark: {text[:60]!r}")


def _is_between(words: Sequence[str], at: int, src: str, dst: str) -> bool:
    """Whether a number stands between source and destination."""
    return words[at - 1] == dst and words[at - 3] == src and bool(_NUMBER.fullmatch(words[at - 2]))


def _is_address(word: str) -> bool:
    """Whether a word is an address or a host's name and not a protocol's."""
    if word in _NAMES:
        return True
    if re.fullmatch(r"-?\d+(?:\.\d+)?", word):
        return False
    return bool(re.fullmatch(r"[\w.:%/-]*[\w]", word)) and (word.count(".") >= 2 or ":" in word or "_" in word)


def settle(summaries: Sequence[Summary]) -> None:
    """Find the columns of ports and of the length where a print has more numbers than the default columns; in place."""
    if not any(summary.before or len(summary.after) > 1 for summary in summaries):
        return
    further = _further(summaries)
    for summary in summaries if further else ():
        own = min(further, len(summary.after) - 1)
        summary.info = re.sub(rf"^\s*(?:\d+\s+){{{own}}}\s*", "", summary.info, count=1)
    votes: Counter[tuple[str, int, str]] = Counter()
    asked: Counter[tuple[str, int]] = Counter()
    fits: Counter[int] = Counter()
    for summary in summaries:
        ports = _PORTS.match(summary.info)
        for side, numbers in (("before", summary.before), ("after", summary.after)):
            for place, number in enumerate(numbers):
                asked[side, place] += ports is not None
                if ports:
                    votes[side, place, "src"] += number == int(ports[1])
                    votes[side, place, "dst"] += number == int(ports[2])
        payload = re.search(r"\bLen=(\d+)", summary.info)
        for place, number in enumerate(summary.after):
            fits[place] += payload is not None and 28 <= number - int(payload[1]) <= 160
    columns = {
        end: next((where for where in asked if asked[where] and votes[*where, end] * 10 >= asked[where] * 9), None)
        for end in ("src", "dst")
    }
    if not any(columns.values()) and not sum(asked.values()) and _are_ports(summaries):
        columns = {"src": ("before", 0), "dst": ("before", 1)}
    taken = {where for where in columns.values() if where}
    lengths = [place for place in range(8) if ("after", place) not in taken]
    best = max(lengths, key=lambda place: (fits[place], -place))
    for summary in summaries:
        if len(summary.after) > best:
            summary.length = summary.after[best]
        for end, where in columns.items():
            numbers = getattr(summary, where[0]) if where else []
            if where and len(numbers) > where[1] and numbers[where[1]] <= _PORT:
                setattr(summary, f"{end}_port", numbers[where[1]])


def _further(summaries: Sequence[Summary]) -> int:
    """How many columns of numbers stand between the length and the summary, whose own first number is none of them."""
    sure = Counter(
        len(summary.after) - 1 for summary in summaries if re.match(r"\s*(?:\d+\s+)*\d+ (?:→|->) \d+", summary.info)
    )
    return sure.most_common(1)[0][0] if sure else min(len(summary.after) for summary in summaries) - 1


def _are_ports(summaries: Sequence[Summary]) -> bool:
    """Whether two numbers behind the addresses are ports: an answer has them the other way round."""
    shown = {(summary.src, summary.dst, *summary.before) for summary in summaries if len(summary.before) == 2}
    answered = any((dst, src, b, a) in shown for src, dst, a, b in shown if (src, dst) != (dst, src))
    return answered and all(max(summary.before, default=0) <= _PORT for summary in summaries)


def ports(info: str) -> tuple[int, int] | None:
    """The ports that a summary begins with, behind tshark's remarks."""
    match = _PORTS.match(info)
    return (int(match[1]), int(match[2])) if match else None
