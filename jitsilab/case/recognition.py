"""What shows that a capture is one of a Jitsi call, how surely, and what could be one without being shown to be.

A page and a WebSocket on one host are what a Jitsi Meet page opens, and many another page does: no reason by
themselves. What Jitsi alone says or is asked for is one, and so is TURN inside TLS behind the page's own address and
port, which tells a video conference apart from a page that merely talks.
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

from jitsilab.analysis import turn_in_tls
from jitsilab.case.signaling import XmppStream
from jitsilab.protocols import stanza as stanzas
from jitsilab.tables import Tables, frame
from jitsilab.tables.parsed import stanzas_of

#: paths that the pages, bridges and focuses of Jitsi Meet ask for
PATHS = r"/(?:xmpp-websocket|http-bind|colibri-ws/|conference-request/v\d|colibri/(?:stats|v2|conferences))"
_JITSI = (stanzas.FOCUS, stanzas.JITMEET, stanzas.COLIBRI, stanzas.COLIBRI2)


@dataclass(frozen=True, slots=True)
class Recognition:
    """Whether a capture is one of a Jitsi call."""

    evidence: str = ""  # what shows it; empty if nothing does
    certainty: str = ""  # measured, deduced or inferred; empty without evidence
    frames: tuple[int, ...] = ()
    could_be: str = ""  # what a Jitsi call would show too, where nothing shows that it is one


def recognised(
    tables: Tables,
    xmpp_streams: Collection[XmppStream],
    servers: Collection[str],
    bridges: Collection[tuple[str, int]],
) -> Recognition:
    """The surest reason that there is; servers and bridges are those of the call, as the topology has them."""
    for stream in xmpp_streams:
        if stream.asked or stream.focus:
            return Recognition("a request to the conference focus", "measured", (stream.asked or stream.focus,))
    xmpp, stun, http = tables.get("xmpp"), frame(tables, "stun"), frame(tables, "http")
    if bridges:
        sent = zip(stun["frame"], stun["src"], stun["src_port"].fillna(-1), strict=True)
        shown = (int(number) for number, a, p in sent if (str(a), int(p)) in bridges)
        return Recognition("a Jitsi bridge's ICE", "measured", tuple(islice(shown, 2)))
    if xmpp is not None:
        for number, stanza in zip(xmpp["frame"], stanzas_of(xmpp), strict=True):
            if stanza is not None and stanzas.child(stanza, *_JITSI) is not None:
                return Recognition("stanzas of Jitsi Meet", "measured", (int(number),))
    if len(http):
        asked = http.loc[http["target"].fillna("").str.contains(PATHS), "frame"]
        if len(asked):
            return Recognition("HTTP requests of a Jitsi Meet page", "measured", (int(asked.iloc[0]),))
    return _of_flows(tables, servers)


def _of_flows(tables: Tables, servers: Collection[str]) -> Recognition:
    """Of what runs inside TLS only the beginning is to be seen."""
    tls, flows = frame(tables, "tls"), frame(tables, "flows")
    if not len(tls) or not len(flows):
        return Recognition()
    hellos = tls.loc[tls["handshake"].fillna("").str.contains("client_hello"), ["flow", "frame", "alpn"]]
    places = flows.set_index("flow")[["server", "server_port"]]
    pages: dict[tuple[str, int], int] = {}
    sockets: dict[tuple[str, int], int] = {}
    for flow, number, alpn in zip(hellos["flow"], hellos["frame"], hellos["alpn"].fillna(""), strict=True):
        if flow not in places.index:
            continue
        server, port = places.loc[flow]
        if servers and server not in servers:
            continue
        kind = pages if "h2" in alpn.split() else sockets if alpn == "http/1.1" else None
        if kind is not None:
            kind.setdefault((str(server), int(port)), int(number))
    both = [place for place in pages if place in sockets]
    if not both:
        return Recognition()
    turn = turn_in_tls.stages(tls, flows)
    for row in turn[turn["certainty"].eq("deduced") & turn["score"].gt(0)].itertuples():
        server, port = places.loc[row.flow]
        if (str(server), int(port)) in both and _numbers(row.allocated_frames):
            frames = (
                pages[str(server), int(port)],
                sockets[str(server), int(port)],
                *_numbers(row.allocated_frames)[:1],
            )
            return Recognition("a page, a WebSocket and TURN inside TLS at one address and port", "inferred", frames)
    place = both[0]
    return Recognition(could_be="a browser's page and WebSocket on one host, as many pages open them",
                       frames=(pages[place], sockets[place]))  # fmt: skip


def _numbers(text: object) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split()) if isinstance(text, str) else ()
