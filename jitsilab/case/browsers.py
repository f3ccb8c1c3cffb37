"""Whose browser each console, dump or HAR is of: by the names that it shares with others."""

from collections.abc import Iterable, Mapping
from typing import Any

from jitsilab.case.cast import Cast

_SHARED = ("endpoint", "sid", "local_ufrag", "ssrc")  # names of which one alike makes two pieces one browser's


def owners(sources: Iterable[Any], casts: Iterable[Cast], fragments: Mapping[str, str] | None = None) -> dict[str, str]:
    """The endpoint id of the participant whose browser each input is of, where a shared name tells.

    ``fragments`` is for whom the bridge's log says that it made a user fragment. A dump without any name is that of the
    only console given beside it, if it is the only one without.
    """
    browsers = {
        source.input: source.identity
        for source in sources
        if getattr(source, "identity", None) and source.kind != "rest"
    }
    by_input = {
        input: next(iter(known["endpoint"])) for input, known in browsers.items() if len(known.get("endpoint", ())) == 1
    }
    by_fragment = {
        fragment: stream.endpoint
        for cast in casts for person in cast.people for stream in person.xmpp_streams if stream.endpoint
        for session in stream.sessions.values() for fragment in session.own
    }  # fmt: skip
    for input, known in browsers.items():
        if input in by_input:
            continue
        alike = {
            by_input[other] for other, names in browsers.items()
            if other in by_input and any(known.get(name, set()) & names.get(name, set()) for name in _SHARED)
        }  # fmt: skip
        alike |= {by_fragment[fragment] for fragment in known.get("local_ufrag", ()) if fragment in by_fragment}
        alike |= {who for fragment in known.get("remote_ufrag", ()) if (who := (fragments or {}).get(fragment, ""))}
        if len(alike) == 1:
            by_input[input] = alike.pop()
    nameless = [input for input in browsers if input not in by_input]
    if len(nameless) == 1 and len({*by_input.values()}) == 1:
        by_input[nameless[0]] = next(iter(by_input.values()))
    return by_input
