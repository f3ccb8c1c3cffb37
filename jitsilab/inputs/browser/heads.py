"""What stands before the text of a console's line: Chrome's, Firefox's, Safari's, Android's, and lib-jitsi-meet's own.

A browser's stamp has no date, so that only the library's is a time; Android's log has a date without a year.
"""

import re
from typing import NamedTuple

from jitsilab.inputs.moments import from_iso


class Head(NamedTuple):
    """A line of a console, taken apart."""

    time: int | None  # ns since the epoch, of the library's stamp
    clock: float | None  # s since midnight, of the browser's stamp, to tell what comes soon after what
    level: str  # debug, info, warning, error, or empty
    module: str  # xmpp:Moderator, modules/xmpp/moderator.js; browser; the tag of a log of Android
    text: str
    process: str  # of Android's log


LEVELS = {
    "trace": "debug", "debug": "debug", "verbose": "debug", "log": "info", "info": "info", "warn": "warning",
    "warning": "warning", "error": "error", "fatal": "error", "assert": "error",
    "v": "debug", "d": "debug", "i": "info", "w": "warning", "e": "error", "f": "error",
}  # fmt: skip

_ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?"
_CLOCK = re.compile(r"\[?(\d{1,2}):(\d\d):(\d\d)(?:[.,](\d{1,3}))?\]?\s+(?:([AaPp]M)\s+)?")
_LEVEL = re.compile(
    r"\[?(TRACE|DEBUG|VERBOSE|LOG|INFO|WARN|WARNING|ERROR|Log|Debug|Info|Warning|Warn|Error)\]?(?::|\s|$)\s*"
)
#: the script that wrote: Logger.js:125, lib-jitsi-meet.min.js?v=7177:2, react-dom.production.min.js:98, VM12:3
_SCRIPT = re.compile(
    r"(?:VM\d+ )?(?:[\w.@%+-]+\.(?:js|ts|tsx|jsx|html?)(?:\?[^\s:]*)?|VM\d+|\(index\)|<anonymous>)(?::\d+){1,2}\s+"
)
_ADDRESS = re.compile(r"https?://\S+\s+(?=\S)")
_INSIDE = re.compile(rf"\s({_ISO})\s+(?=\[)")
_STAMP = re.compile(rf"({_ISO})\s*[–-]?\s*")
#: `[xmpp:Moderator]`, `[modules/xmpp/moderator.js]`, `[features/base/conference]`, `[conference.js]`, `[JitsiMeetJS]`
_MODULE = re.compile(
    r"\[((?:[a-z][\w-]*:[\w.$-]+)|(?:(?:modules|features|service|react)/[\w./$-]+)|"
    r"[A-Za-z][\w.-]*\.(?:js|ts|tsx))\]:?\s*"
)
_FUNCTION = re.compile(r"<[^>\n]{0,120}>\s*:\s{0,2}|<[^>\n]{0,120}>:?\s*$")
_TAIL = re.compile(r"\s+(?:\((?:[\w.-]+\.js(?:\?\S*)?, line \d+(?::\d+)?)\)|[\w.@-]+\.js(?:\?\S*)?:\d+:\d+)\s*$")
#: the same in a copy of Firefox's console as Markdown
_LINKED = re.compile(r"\s*\[[\w.-]+\.js:\d+:\d+\]\(webpack:[^)\s]{0,200}\)\s*$")
#: quotes of Safari's and React Native's arguments, and what stands between two
_BETWEEN = re.compile(r"(?<=[\"'])\s*(?:–|,)\s*(?=[\"'\d{[-])")

_ANDROID = (  # threadtime, Android Studio of today, brief and time forms; the year is missing in most
    re.compile(r"(?:\d{4}-)?\d\d-\d\d (\d\d:\d\d:\d\d\.\d+) +(\d+) +\d+ "
               r"([VDIWEFA]) ([^:]{1,60}?)\s*: ?(.*)", re.DOTALL),
    re.compile(r"\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d\.\d+) +(\d+)-\d+ +(\S{1,60}) +\S+ +([VDIWEFA]) +(.*)", re.DOTALL),
    re.compile(r"(?:(?:\d{4}-)?\d\d-\d\d (\d\d:\d\d:\d\d\.\d+) )?(?:(\d+)-\d+/\S+ )?"
               r"([VDIWEFA])/([^(:]{1,60}?)\s*(?:\( *(\d+)\))?: (.*)", re.DOTALL),
)  # fmt: skip
#: a page in a WebView: [INFO:CONSOLE(2)] "text", source: https://... (2)
_WEB_VIEW = re.compile(r"\[(?:\d+:\d+:)?(?:[\d/.]+:)?(\w+):CONSOLE(?:\(\d+\)|:\d+)\] \"(.*)\", source: .*", re.DOTALL)
#: the app's own log of an Apple system: 2017-12-18 18:09:13.727897+0200 jitsi-meet[381:30196] 'text'
_APPLE = re.compile(r"\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d\.\d+)(?:[+-]\d{4})? [\w .-]{1,60}\[\d+:\d+\] (.*)", re.DOTALL)
#: React Native on iOS: 2021-02-05 21:02:11.118 [info][tid:com.facebook.react.JavaScript] 'text'
_REACT_IOS = re.compile(
    r"\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d\.\d+)\S* \[(\w+)\]\[tid:[^\]]*\](?:\[[^\]]*\])? (.*)", re.DOTALL
)


def _seconds(clock: str | None) -> float | None:
    match = _CLOCK.match(clock + " ") if clock else None
    if not match:
        return None
    hours, minutes, seconds, part, half = match.groups()
    hour = int(hours) % 12 + (12 if half.upper() == "PM" else 0) if half else int(hours)
    return hour * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{part}" if part else 0)


def android(line: str) -> tuple[str, str, str, str, str] | None:
    """Clock, process, level, tag and text of a line of Android's log; None for any other line."""
    if (match := _ANDROID[0].match(line)) is not None:
        clock, process, level, tag, text = match.groups()
        return clock, process, level, tag, text
    if (match := _ANDROID[1].match(line)) is not None:
        clock, process, tag, level, text = match.groups()
        return clock, process, level, tag, text
    if (match := _ANDROID[2].match(line)) is not None:
        clock, process, level, tag, brief, text = match.groups()
        return clock or "", process or brief or "", level, tag, text
    return None


def split(line: str) -> Head:
    """A line taken apart; what is not known of its head stays in its text."""
    clock, level, process, module = None, "", "", ""
    text = line.strip()
    if (parts := android(text)) is not None:
        time, process, letter, module, text = parts
        clock, level = _seconds(time), LEVELS[letter.lower() if letter != "A" else "f"]
    elif (match := _REACT_IOS.match(text)) is not None:
        clock, level, text = _seconds(match[1]), LEVELS.get(match[2].lower(), ""), match[3]
    elif (match := _APPLE.match(text)) is not None:
        clock, text = _seconds(match[1]), match[2]
    if (match := _WEB_VIEW.match(text)) is not None:
        level, text = LEVELS.get(match[1].lower(), level), match[2]
    quoted = text.startswith(("'", '"')) or ' – "' in text or '] "' in text[:60]
    if (match := _CLOCK.match(text)) is not None:
        clock, text = _seconds(text) if clock is None else clock, text[match.end() :]
    if (match := _LEVEL.match(text)) is not None:
        level, text = LEVELS[match[1].lower()], text[match.end() :]
    if (match := _SCRIPT.match(text)) is not None:
        text = text[match.end() :]
    if quoted:
        text = unquoted(text)
    time_ns, text, level, own = _own(text, level)
    if own:
        module = own
    elif not module:
        module = "browser"
    tail = _TAIL.search(text[-300:]) or _LINKED.search(text[-300:])
    if tail:
        text = text[: len(text) - len(text[-300:]) + tail.start()]
    return Head(time_ns, clock, level, module, text.strip(), process)


def _own(text: str, level: str) -> tuple[int | None, str, str, str]:
    """The library's own stamp, level and module; the time, the rest, the level, the module or an empty one."""
    time = None
    start = text.find("[", 0, 160)
    if (match := _STAMP.match(text)) is not None or (match := _INSIDE.search(text, 0, 240)) is not None:
        time, text = from_iso(match[1]), text[match.end() :]
    if (match := _LEVEL.match(text)) is not None and text.startswith("["):
        level, text = LEVELS[match[1].lower()], text[match.end() :]
    match = _MODULE.match(text)
    if not match and time is None and start > 0:
        match = _MODULE.search(text, 0, 220)
        if match and not _ADDRESS.fullmatch(text[: match.start()] or "x"):
            match = match if len(text[: match.start()].split()) <= 2 else None
    if not match:
        return time, text, level, "library" if time is not None else ""
    module, text = match[1], text[match.end() :]
    if (function := _FUNCTION.match(text)) is not None:
        text = text[function.end() :]
    return time, text.lstrip(), level, module


def unquoted(text: str) -> str:
    """Arguments as Safari and React Native print them, each in quotes, as one text."""
    joined = _BETWEEN.sub(" ", text)
    return re.sub(r"(?:(?<=\s)|^)[\"'](?=\S)|(?<=\S|\s)[\"'](?=\s|$)", "", joined)


def stem(module: str) -> str:
    """A module's name in every generation: ``modules/xmpp/moderator.js`` and ``xmpp:Moderator`` are ``moderator``."""
    name = re.split(r"[:/]", module)[-1].lower()
    return re.sub(r"\.(?:js|ts|tsx)$", "", name)
