"""The ladder as SVG: text that can be searched, colours by class, a group a row that a script may hide or move."""

from html import escape

from jitsilab.pages.casereport.document import Event, Ladder
from jitsilab.pages.markdown import visible

ROW, HEAD = 24, 30  # pixels
TIME, FRAME = 56, 52  # widths: of the time, of the frame number
ACROSS, NARROW = 528, 88  # what the lanes of a small call share, and the least of one
LETTER = 6.4  # pixels of a character, about
LABEL = 46  # characters of a label; the whole of it stands in the tooltip

#: colours of a drawing that stands alone, light and dark; in a page its own style gives them
ALONE = """
text{font:12px system-ui,sans-serif;fill:#1c1c1c}.head text{font-weight:600}.soft{fill:#5c5c5c}
.lane{stroke:#b8bcc4}.arrow,.dot{stroke:#1f3b57;fill:#1f3b57}.hidden .arrow{stroke-dasharray:5 3}
.bad .arrow,.bad .dot{stroke:#a3231d;fill:#a3231d}.bad .label{fill:#a3231d;font-weight:600}
.proof:not(.bad) .label{fill:#1a4f96}.proof .label{font-weight:600;text-decoration:underline}
.row .back{fill:none}.back{fill:#fff}.label{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}
@media (prefers-color-scheme:dark){text{fill:#e4e4e4}.soft{fill:#a8a8a8}.lane{stroke:#4a4f58}.back{fill:#17191c}
.arrow,.dot{stroke:#9db8d9;fill:#9db8d9}.bad .arrow,.bad .dot{stroke:#ff8f87;fill:#ff8f87}.bad .label{fill:#ff8f87}
.proof:not(.bad) .label{fill:#8fb8f2}
.label{stroke:#17191c}}
"""


def width(ladder: Ladder) -> int:
    """Of the whole drawing."""
    return TIME + _lane(ladder) * max(len(ladder.lanes), 1) + FRAME


def _lane(ladder: Ladder) -> int:
    return max(NARROW, ACROSS // max(len(ladder.lanes), 1))


def lane_x(place: int, ladder: Ladder) -> int:
    """Where a lane stands."""
    return TIME + _lane(ladder) // 2 + _lane(ladder) * place


def head(ladder: Ladder) -> str:
    """The names of the lanes."""
    most = int(_lane(ladder) / 7.5)
    names = "".join(
        f'<text x="{lane_x(i, ladder)}" y="19" text-anchor="middle">{_words(lane, most)}'
        f"<title>{_words(lane)}</title></text>"
        for i, lane in enumerate(ladder.lanes)
    )
    edges = f'<text class="soft" x="{TIME - 12}" y="19" text-anchor="end">s</text>'
    edges += f'<text class="soft" x="{width(ladder) - 6}" y="19" text-anchor="end">{_column(ladder)}</text>'
    return f'<g class="head">{names}{edges}</g>'


def rows(ladder: Ladder, linked: bool = True) -> str:
    """The upright lines, then a group for each event in order."""
    down = ROW * len(ladder.events)
    upright = "".join(f"M{lane_x(i, ladder)} 0v{down}" for i in range(len(ladder.lanes)))
    every = "".join(_row(event, i, ladder, linked) for i, event in enumerate(ladder.events))
    return f'<path class="lane" d="{upright}"/>{every}'


def _row(event: Event, number: int, ladder: Ladder, linked: bool) -> str:
    place = {lane: i for i, lane in enumerate(ladder.lanes)}
    start, end = lane_x(place[event.source], ladder), lane_x(place[event.target], ladder)
    ends = f"{event.source} to {event.target}" if event.source != event.target else event.source
    tip = f"{event.seconds:.3f} s, {event.place._replace(input='').__str__().strip()}: {ends}: {event.label}"
    if event.hidden:
        tip += " (read from the length of an encrypted record)"
    if start == end:
        drawn = f'<circle class="dot" cx="{start}" cy="18" r="4"/>'
        x, anchor = _beside(start, event.label, ladder)
        label = f'<text class="label" x="{x}" y="22" text-anchor="{anchor}">{_words(event.label, LABEL)}</text>'
    else:
        middle = _middle((start + end) // 2, event.label, ladder)
        side = 1 if end > start else -1
        tip_x = end - side * 2
        drawn = f'<path class="arrow" d="M{start} 18H{tip_x - side * 6}"/>'
        drawn += f'<path class="dot" d="M{tip_x} 18l{-side * 8} -4v8z"/>'
        label = f'<text class="label" x="{middle}" y="13" text-anchor="middle">{_words(event.label, LABEL)}</text>'
    body = (
        f"<title>{_words(tip)}</title>"
        f'<rect class="back" x="0" y="0" width="{width(ladder)}" height="{ROW}"/>'
        f"{drawn}{label}"
        f'<text class="soft" x="{TIME - 12}" y="22" text-anchor="end">{event.seconds:.3f}</text>'
        f'<text class="soft" x="{width(ladder) - 6}" y="22" text-anchor="end">{_words(event.where)}</text>'
    )
    if linked:
        body = f'<a href="#{event.id}">{body}</a>'
    kinds = " ".join(filter(None, ("row", event.tone, "hidden" if event.hidden else "")))
    who = " ".join(str(place[name]) for name in dict.fromkeys((event.source, event.target)))
    data = f' data-layer="{event.kind}" data-lanes="{who}" data-event="{event.id}"' if linked else ""
    return f'<g class="{kinds}" transform="translate(0,{number * ROW})"{data}>{body}</g>'


def _column(ladder: Ladder) -> str:
    """What the last column holds."""
    kinds = {"line" if event.place.frame is None else "frame" for event in ladder.events}
    return kinds.pop() if len(kinds) == 1 else "place"


def _middle(wanted: int, label: str, ladder: Ladder) -> int:
    """Where a label stands, moved so far that it ends before the time and the frame."""
    half = int(min(len(label), LABEL) * LETTER / 2)
    return max(TIME + half - 6, min(wanted, width(ladder) - FRAME + 6 - half))


def _beside(start: int, label: str, ladder: Ladder) -> tuple[int, str]:
    """Where the label of a dot stands: to the right where there is room, else to the left."""
    right, left = width(ladder) - FRAME - start - 9, start - 9 - TIME
    wide = min(len(label), LABEL) * LETTER
    return (start + 9, "start") if wide <= right or right >= left else (start - 9, "end")


def alone(ladder: Ladder) -> str:
    """A whole file, with its own colours."""
    across, down = width(ladder), HEAD + ROW * len(ladder.events) + 8
    body = f'{head(ladder)}<g transform="translate(0,{HEAD})">{rows(ladder, linked=False)}</g>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across} {down}" width="{across}" height="{down}" '
        f'role="img"><title>The ladder</title><style>{ALONE}</style>'
        f'<rect class="back" width="{across}" height="{down}"/>{body}</svg>\n'
    )


def _words(words: str, most: int = 300) -> str:
    return escape(visible(words, most))
