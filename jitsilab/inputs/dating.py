"""What each piece tells of its clock, in the form in which `jitsilab.case.clocks` takes it."""

from collections.abc import Iterator

from jitsilab.case.clocks import Dating, begin_of
from jitsilab.inputs import Evidence

_BROWSER = ("console", "webrtc-internals", "rtcstats", "har")


def sources(evidence: Evidence) -> Iterator[Dating]:
    """One for each piece that dates something; asked when the pieces have been read."""
    for packets in evidence.packets:
        yield Dating(packets.input, "packets", dated=begin_of(packets) is not None)
    if not evidence.lines:
        return
    from jitsilab.inputs.logs import LogSource  # whoever has no line needs no reader of logs

    for source in evidence.lines:
        if isinstance(source, LogSource):
            yield Dating(source.input, "log", frozenset(source.zoneless), source.fragments, given=source.given_zone)
        elif source.kind in _BROWSER or source.kind.startswith("rtcstats"):
            names = getattr(source, "identity", {})
            yield Dating(
                source.input, "browser", own=names.get("local_ufrag", ()), remote=names.get("remote_ufrag", ())
            )
        else:
            yield Dating(source.input, "rest")
