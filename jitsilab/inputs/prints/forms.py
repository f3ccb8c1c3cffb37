"""Which print a text is: by its first lines, and by what it is where it is none that is read."""

import re
from collections.abc import Sequence

from jitsilab.errors import CaptureError, ParseError
from jitsilab.inputs.prints import details, exports, lines, tcpdump

LOOKED_AT = 400  # lines
_OBJECTS = re.compile(r'"(?:_source|layers)"\s*:')
_HEX = re.compile(r"[0-9a-f]{4,8}  (?:[0-9a-f]{2} ){1,16}")
_XML = r"<\?xml[^>]*>\s*(?:<[?!][^>]*>\s*)*"
_OTHERS = (  # what is recognised and not read: how it begins, and a sentence
    (re.compile(_XML + "<pdml"), "tshark's -T pdml, which is not read here: print it with -T json"),
    (re.compile(_XML + "<psml"), "tshark's -T psml, which is not read here: print it without -T"),
    (re.compile(r"%!\s*%?!?PS-Adobe"), "PostScript of tshark's -T ps, which is not read here: print it without -T"),
)  # fmt: skip


def known(text: str) -> tuple[str, float]:
    """The form of a print and how sure it is, of 1: summaries, tcpdump, details, objects, fields; else empty and 0.

    ``refused`` is a print that is recognised, and is not read.
    """
    sample = [line for line in text[: 1 << 18].split("\n")[:LOOKED_AT] if line.strip()]
    if refusal(text):
        return "refused", 0.9
    if any(details.HEAD.match(line) for line in sample):
        return "details", 0.95
    begin = text.lstrip()[:1]
    if _OBJECTS.search(text[:8192]) and (begin in ("[", "{") or "\n{" in text[:8192] or "\n[" in text[:8192]):
        return "objects", 0.95
    counts = {
        "summaries": sum(map(_is_summary, sample)),
        "tcpdump": sum(tcpdump.starts(line) is not None for line in sample),
    }
    form = max(counts, key=lambda name: counts[name])
    if counts[form]:
        return form, 0.95 if counts[form] * 2 >= len(sample) else 0.7
    if sample and (at := exports.header_of(sample)) >= 0:
        columns = exports.names(sample[at])
        return "fields", 0.95 if not exports.suffices(columns) else 0.5
    if sum(map(tcpdump.looks_timeless, sample)) * 2 > len(sample):
        return "refused", 0.6
    if sample and _headerless(sample):
        return "fields", 0.5
    return "", 0.0


def _is_summary(line: str) -> bool:
    try:
        lines.parse(line.rstrip("\r"))
    except ParseError:
        return False
    return True


def _headerless(sample: Sequence[str]) -> bool:
    """Whether lines look like fields of frames whose names were not printed."""
    cells = [line.rstrip("\r").split(exports.separator(sample[0])) for line in sample[:20]]
    if len(cells[0]) < 3 or len({len(row) for row in cells}) > 2:
        return False
    try:
        exports.guessed("", [row for row in cells if len(row) == len(cells[0])])
    except CaptureError:
        return False
    return True


def refusal(text: str) -> str:
    """What a text is that is recognised and not read, as the end of a sentence; else empty."""
    begin = text[:65_536].lstrip("\ufeff \r\n\t")
    for pattern, sentence in _OTHERS:
        if pattern.match(begin):
            return sentence
    sample = [line for line in begin.split("\n")[:60] if line.strip()]
    if (
        sample
        and sum(bool(_HEX.match(line)) for line in sample) * 2 > len(sample)
        and not any(details.HEAD.match(line) or _is_summary(line) or tcpdump.starts(line) for line in sample)
    ):
        return "a hex dump without summaries: make a capture of it with text2pcap"
    if sample and sum(map(tcpdump.looks_timeless, sample)) * 2 > len(sample) and not any(map(tcpdump.starts, sample)):
        return "tcpdump's text without times: tcpdump with -t prints no time of a packet; print it with -tttt"
    return ""
