"""Where practice leaves the cited texts in healthy calls too: no fault of the call, and no verdict against it."""

from typing import NamedTuple


class Departure(NamedTuple):
    """One difference between a text and what healthy calls do."""

    step: str
    text: str  # what the source says
    source: str
    practice: str  # what is seen instead
    judged: str  # how the step is judged, so that healthy calls conform


DEPARTURES: tuple[Departure, ...] = (
    Departure(
        "S04",
        "TLS is below the stream already, so the server does not offer STARTTLS",
        "RFC 7395 section 3.4 for WebSocket",
        "over BOSH the features list STARTTLS, and nobody takes it",
        "a deviation on a WebSocket alone",
    ),
    Departure(
        "S10",
        "a room that did not exist is created by whoever enters first, with status 201",
        "XEP-0045 section 10.1",
        "the focus has made the room: clients see 110 and 100, never 201",
        "own presence with 110 is enough",
    ),
    Departure(
        "S13",
        "initiator and responder are the full JIDs of the two sides",
        "XEP-0166 section 7.1",
        "the accept names the focus by its JID in the room, the offer by its account",
        "sessions are told by sid alone",
    ),
    Departure(
        "S14",
        "candidates are sent as they are found",
        "XEP-0176 section 5.5",
        "with the bridge neither side sends any: the bridge's are in the offer, the client's are found by its checks",
        "no transport-info in a session with the bridge conforms",
    ),
    Departure(
        "S15",
        "each SSRC is signalled before it is sent",
        "XEP-0339 section 2.1",
        "with SSRC rewriting the bridge's numbers stand in the source maps of the bridge channel alone",
        "what the participant sends is judged, what the bridge sends is counted",
    ),
    Departure(
        "S16",
        "the session with the bridge comes first",
        "jitsi/lib-jitsi-meet JitsiConference.ts",
        "between two the direct offer may come before the bridge's",
        "the order of the two sessions is not judged",
    ),
    Departure(
        "S18",
        "USERNAME is an attribute of requests, and SOFTWARE optional",
        "RFC 8489 sections 14.3 and 14.14",
        "the bridge's answers carry both; Chromium's requests carry a network cost (0xc057) too",
        "more attributes than asked for conform",
    ),
    Departure(
        "S20",
        "once a pair is nominated, data use it",
        "RFC 8445 sections 8.1.1 and 12",
        "USE-CANDIDATE comes again with each check that keeps a pair alive; each direction may use its own pair",
        "pairs are counted, not flags",
    ),
    Departure(
        "S22",
        "a client asks for permissions for its peers",
        "RFC 8656 section 9",
        "a browser that needs no relay asks for nothing; peer to peer the other's private address is refused",
        "asked only where a permission was; refused only where none was granted",
    ),
    Departure(
        "S25",
        "intervals between checks are drawn at random from 0.8 to 1.2 of their mean",
        "RFC 7675 section 5.1",
        "Chromium checks every 2.5 to 2.7 s, always the same, the bridge of 2020 every 3.000 s; today's draws them",
        "an answer every 30 s conforms; a fixed interval is told as the variant",
    ),
    Departure(
        "S26",
        "one handshake on one five-tuple",
        "RFC 5763 section 5",
        "the ClientHello may go through a relay and its answer come over UDP",
        "judged over all pairs of the session",
    ),
    Departure(
        "S29",
        "every simulcast layer that is announced may be sent",
        "RFC 8853 section 6.1",
        "three layers are announced and one is sent; the bridge's probes carry any payload type",
        "what is sent was announced; the bridge's own streams are not judged",
    ),
    Departure(
        "S29",
        "RTCP without a report before it (reduced size) is negotiated, and sent after a compound with one",
        "RFC 5506 sections 4 and 5",
        "nothing in the Jingle of these calls says so; browser and bridge send feedback alone from the first packet on",
        "feedback alone conforms while reports go on beside it: never 25 s of RTCP without one",
    ),
    Departure(
        "S30",
        "the bridge channel's password is the ICE user fragment or password",
        "jitsi/jitsi-videobridge doc/web-sockets.md",
        "it is neither; and the channel opens before ICE, or without it",
        "101 conforms",
    ),
    Departure(
        "S34",
        "either side ends a session with session-terminate",
        "XEP-0166 section 6.7",
        "whoever leaves the room sends none: presence, a DTLS alert and an end of the relay's lease",
        "presence or session-terminate conforms",
    ),
)
