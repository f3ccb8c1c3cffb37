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
    browsers = {one.input: one.identity for one in sources if getattr(one, "identity", None) and one.kind != "rest"}
    found = {
        input: next(iter(known["endpoint"])) for input, known in browsers.items() if len(known.get("endpoint", ())) == 1
    }
    mine = {
        fragment: stream.endpoint
        for cast in casts for person in cast.people for stream in person.xmpp_streams if stream.endpoint
        for session in stream.sessions.values() for fragment in session.own
    }  # fmt: skip
    for input, known in browsers.items():
        if input in found:
            continue
        alike = {
            found[other] for other, names in browsers.items()
            if other in found and any(known.get(name, set()) & names.get(name, set()) for name in _SHARED)
        }  # fmt: skip
        alike |= {mine[one] for one in known.get("local_ufrag", ()) if one in mine}
        alike |= {who for one in known.get("remote_ufrag", ()) if (who := (fragments or {}).get(one, ""))}
        if len(alike) == 1:
            found[input] = alike.pop()
    nameless = [input for input in browsers if input not in found]
    if len(nameless) == 1 and len({*found.values()}) == 1:
        found[nameless[0]] = next(iter(found.values()))
    return found
