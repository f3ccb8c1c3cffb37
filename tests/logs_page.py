"""Writes docs/logs.md from the patterns of log lines: `python tests/logs_page.py`."""

from pathlib import Path

from jitsilab.inputs.logs.reader import PATTERNS
from jitsilab.tables.evidence import EVENTS

HEAD = """# Logs

`jitsilab diagnose jvb.log`, a folder, an archive, `docker compose logs | jitsilab diagnose -`: logs are known by their
content. `jitsilab table log`, `events` and `requests` show what was read.

- **Programs.** Videobridge, Jicofo, Prosody, nginx (access and error), coturn, the kernel's and systemd's lines about
  processes that were killed. Jibri, Jigasi, Etherpad and Excalidraw are recognised and not judged. The log of a program
  that has no part in Jitsi Meet (Asterisk, FreeSWITCH, Tomcat, ...) is refused by its name.
- **Around the lines.** docker compose of both generations (coloured, with times, grepped), docker's JSON files, syslog
  (RFC 3164 and 5424), journalctl (short, short-iso, short-precise, short-full, short-unix, with-unit, json), kubectl's
  and grep's prefixes, `tail` of several files, one inside the other. Several programs in one stream are told apart.
- **The lines.** `JVB 2026-11-29 15:35:33.871 INFO: [45] [confId=…] Class.method#12: text`, the forms before it, and
  java.util.logging's two lines; levels in any language are taken by their place. Lines below a record belong to it:
  exceptions give the reason. A record that a terminal broke into two is put together.
- **Times** are what the program wrote. Where no zone is written, the stream around the lines tells it (journald,
  docker's stamps), for nginx's errors its access lines, else `--tz Europe/Berlin`; else times stand as UTC, which
  `inputs` says. A time without a year takes the year of other lines of the piece, else the one nearest to the other
  pieces, else the last one before the file's own date; where nothing tells it, times stay empty.
- **One clock.** Sources that name the same happening (an offer to an endpoint, a login, a user fragment, a check) bound
  how far their clocks stand apart; the bridge's user fragments hold its clock in UTC, so its log tells its zone alone.
  `inputs` of `diagnose --json` has `clock_offset_s` (add it to get UTC), `clock_bounds_s` and `clock_certainty`:
  measured (bounded by what both name, or the clock that others are held against), deduced (the one zone that the bounds
  leave), inferred (nothing else dates what this source dates). An offset that is not known is null, its bounds those of
  all zones. A browser whose clock is wrong is `clock-wrong`. Tables show what was written; the answer has UTC.
- **A part of it.** `diagnose --since 2026-11-29T16:00 --until 17:00 --room standup` takes what was then and there;
  times are in `--tz`, else UTC, or `15m` before the end. What is of no room, the servers' own lines, stays.
- **Several calls** in one log are several `calls`; a cause of an earlier one that does not hold at the end has `ended`.
- **Hidden addresses.** Since 2024 the bridge writes its clients' addresses as `xx.xx.xx.xx`: the value is then empty,
  or the port alone in a pair.
- **Old bridges** name no participant in some lines: the ICE user fragment stands for him (`participant`).
- **`candidate-offered`** whose detail ends in `base` comes from a pair: ice4j puts the base in place of a mapped
  address there, so more may have been offered.
- **Prosody** does not log refused logins: a session that was encrypted and ended without one is `login-failed`.
- **nginx** writes a WebSocket's line when it ends. A 101 without one byte is `signaling-refused`, `no-upgrade`.
- **Secrets.** Events and requests hold no query, password, token or TURN user.

What a line means is data: `jitsilab/inputs/logs/patterns/`. Each pattern stands beside lines of the program in
`tests/evidence/logs/`, and no line matches two. `by` in `events` says how a line was known: `place` (class and text) or
`words` (the text alone: older forms). This page is written by `tests/logs_page.py`; a test keeps it so.

100 MB of a bridge's log take 4 to 6 s and 45 MB of memory (`python -m benchmarks.logs LOG`).
"""


def _first(pattern: str) -> str:
    text = pattern.replace("\\", "")
    return "`" + (text[:76] + "…" if len(text) > 76 else text).replace("|", "\\|").replace("`", "'") + "`"


def page() -> str:
    """The page's text."""
    parts = [HEAD]
    for program in dict.fromkeys(pattern.program for pattern in PATTERNS):
        parts.append(f"\n## {program}\n\n| printed by | text | event | since | until |\n|---|---|---|---|---|\n")
        for one in PATTERNS:
            if one.program == program:
                event = one.event or "several"
                if one.because:
                    event += ", or by the reason"
                place = one.place.replace("|", ", ")
                parts.append(f"| {place} | {_first(one.text)} | {event} | {one.since} | {one.until} |\n")
    used = {pattern.event for pattern in PATTERNS} | {event for p in PATTERNS for _, event, _ in p.because}
    parts.append("\n## Events of these lines\n\n| event | what it says, and what `value` is |\n|---|---|\n")
    parts += [f"| {name} | {words} |\n" for name, words in EVENTS.items() if name in used]
    return "".join(parts)


if __name__ == "__main__":
    Path(__file__).parent.parent.joinpath("docs", "logs.md").write_text(page(), encoding="utf-8")
