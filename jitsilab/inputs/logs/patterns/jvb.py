# ruff: noqa: E501  (a pattern is one line)
"""Lines of Jitsi Videobridge and of ice4j, jicoco and jitsi-media-transform inside it (github.com/jitsi)."""

import re
from collections.abc import Iterator

from jitsilab.inputs.logs.patterns import Columns, Pattern
from jitsilab.inputs.logs.patterns.addresses import ADDRESS, PAIR, long, pair, short
from jitsilab.inputs.logs.patterns.colibri import answer, request
from jitsilab.inputs.logs.patterns.smack import CONNECTING, LOGGING_IN, component, virtual_machine

_PAIR = re.compile(PAIR)
_STREAM = re.compile(r"\(stream-([0-9a-f]{8})\b|for stream[- ](?:stream-)?([0-9a-f]{8})\.")
_UFRAG = re.compile(r"Local ufrag (\w+)")


def _named(text: str) -> Columns:
    """The participant, where a line outside of the context names him: by the stream, in old versions by the ufrag."""
    stream, ufrag = _STREAM.search(text), _UFRAG.search(text)
    name = (stream[1] or stream[2]) if stream else ufrag[1] if ufrag else ""
    return {"participant": name} if name else {}


def _succeeded(text: str) -> Iterator[Columns]:
    match = _PAIR.search(text)
    if match:
        yield {"value": pair(match["local"], match["remote"]), "detail": short(match["local"])[2], **_named(text)}


def _validated(text: str) -> Iterator[Columns]:
    """The local end of a validated pair is the address at which the other end saw the bridge."""
    match = _PAIR.search(text)
    if match:
        address, port, kind = short(match["local"])
        yield {"value": address, "detail": f"{port} {kind}".strip(), **_named(text)}


def _pair_added(text: str) -> Iterator[Columns]:
    """ice4j writes the base of a mapped candidate in pairs: the local end is used, which is not all that is offered."""
    match = _PAIR.search(text)
    if match:
        for end, event, more in (("local", "candidate-offered", " base"), ("remote", "candidate-gathered", "")):
            address, port, kind = short(match[end])
            more = more if kind == "host" else ""
            yield {"event": event, "value": address, "detail": f"{port} {kind}{more}".strip(), **_named(text)}


def _remote_candidate(text: str) -> Iterator[Columns]:
    match = re.search(rf": ({ADDRESS})", text)
    if match:
        address, port, kind = short(match[1])
        yield {"value": address, "detail": f"{port} {kind}".strip(), **_named(text)}


def _reflexive(text: str) -> Iterator[Columns]:
    """A check came from an address that was not signalled."""
    _, _, remote = text.partition("RemoteCandidate")
    address, port, kind = long(remote)
    yield {"event": "check-received", "value": address, "detail": f"{port} {kind}".strip()}
    if address:
        yield {"event": "source-address", "value": address, "detail": port}


def _mapping(text: str) -> Iterator[Columns]:
    match = re.search(
        r"(?:localAddress=|face=)/?([\d.a-fA-F:]+?)(?::\d+)?(?:/udp)?, (?:publicAddress=|mask=)/?([\d.a-fA-F:]+?)(?::\d+)?(?:/udp)?(?=[,)\s]|$)",
        text,
    )
    if match:
        yield {"value": f"{match[1]}->{match[2]}"}


def _ice_state(text: str) -> Iterator[Columns]:
    old, new = re.findall(r"(?:from|old=|to|new=) ?(\w+)", text)[:2]
    event = {
        ("Waiting", "Running"): "ice-checking",
        ("Running", "Completed"): "ice-connected",
        ("Running", "Connected"): "ice-connected",
        ("Running", "Failed"): "ice-failed",
        ("Running", "Terminated"): "ice-ended",
        ("Waiting", "Terminated"): "ice-ended",
    }.get((old, new))
    if event:
        yield {"event": event}


PATTERNS = (
    Pattern("jvb", "MainKt|Main", r"Starting jitsi-videobridge version (?P<value>\S+)", "program-started", "2020-09"),
    Pattern("jvb", "MappingCandidateHarvesters", r"Adding a static mapping: ", "mapping", "2021-05", expand=_mapping),
    Pattern("jvb", "MappingCandidateHarvesters", r"Using \S*Harvester[(,]? ?.*face=", "mapping", "2014", expand=_mapping),
    Pattern("jvb", "StunMappingCandidateHarvester", r"We failed to obtain addresses for the following reason:\s*(?P<value>.*)", "stun-failed", "2013"),
    Pattern("jvb", "MappingCandidateHarvesters", r"Initialized mapping harvesters \(delay=\d+ms\)\.\s+stunDiscoveryFailed=true", "stun-failed", "2016", value="discovery"),
    Pattern("jvb", "SinglePortUdpHarvester", r"Initialized SinglePortUdpHarvester with address (?P<value>\S+?:\d+)", "port-bound", "2014"),
    Pattern("jvb", "AbstractConnector", r"Started \w*Connector@\w+\{[^}]*\}\{(?P<value>[^}]+)\}", "port-bound", detail="http"),
    Pattern("jvb", "SinglePortUdpHarvester", r"Failed to create SinglePortUdpHarvester for address (?P<value>[\[\]\w.:%]+:\d+)", "port-taken", "2014"),
    Pattern("jvb", "Exception", r"(?:BindException|IOException): .*(?:Address already in use|[Ff]ailed to bind to (?:\S*/)?(?P<value>[\[\]\w.:]+))", "port-taken"),
    # XMPP
    Pattern("jvb", "MucClient", r"Connected\.", "xmpp-connected", "2018", anywhere=False),
    Pattern("jvb", "MucClient", r"Authenticated, (?:b|resumed)=", "logged-in", "2018"),
    Pattern("jvb", "MucClient", r"Joined MUC: (?P<value>\S+)", "room-joined", "2018"),
    Pattern("jvb", "MucClient", r"Failed to join the MUCs\.", "room-refused", "2018"),
    Pattern("jvb", "MucClient", r"Failed to login\.", "login-failed", "2020-10", because=LOGGING_IN),
    Pattern("jvb", "MucClient", r"Error connecting:", "xmpp-unreachable", "2022-02", because=CONNECTING),
    Pattern("jvb", "MucClient|MucClientManager", r"\[MucClient id=\S+ hostname=(?P<value>[^\s\]]+)\] (?:error connecting|Error connecting)", "xmpp-unreachable", "2018", "2022-02", because=CONNECTING),
    Pattern("jvb", "Exception", r"SASLErrorException: SASLError using \S+: (?P<value>[\w-]+)", "login-refused"),
    # health
    Pattern("jvb", "HealthChecker|Health", r"Performed a successful health check in", "health-passed", "2016"),
    Pattern("jvb", "HealthChecker", r"Health check failed in \w+(?:\.\w+)?: Result\([^\n]{0,300}?message=(?P<value>[^\n]{0,300})\)", "health-failed", "2023-02"),
    Pattern("jvb", "HealthChecker|Health", r"Health check failed in \S+:(?: *$)(?:\n(?:[\w.$]*Exception: )?(?P<value>.*))?", "health-failed", "2016", "2023-02"),
    # ICE
    Pattern("jvb", "Agent|IceTransport", r"ICE state changed (?:from \w+ to \w+|old=\w+ new=\w+)", "", "2014", expand=_ice_state),
    Pattern("jvb", "Endpoint|Relay", r"ICE connected", "ice-connected", "2020", anywhere=False),
    Pattern("jvb", "Agent", r"Add peer CandidatePair with new reflexive address to checkList", "", "2013", expand=_reflexive, unless="relayId"),
    Pattern("jvb", "ConnectivityCheckClient", r"Pair succeeded: ", "check-succeeded", "2013", expand=_succeeded, unless="relayId"),
    Pattern("jvb", "ConnectivityCheckClient", r"Pair validated: ", "mapped-address", "2013", expand=_validated, unless="relayId"),
    Pattern("jvb", "ConnectivityCheckClient", r"Pair failed: ", "check-unanswered", "2013", expand=_succeeded, unless="relayId"),
    Pattern("jvb", "ConnectivityCheckClient", r"timeout for pair: ", "check-unanswered", "2013", expand=_succeeded, unless="relayId"),
    Pattern("jvb", "CheckList", r"Selected pair for stream ", "pair-nominated", "2013", expand=_succeeded, unless="relayId"),
    Pattern("jvb", "Component", r"new Pair added: ", "", "2013", expand=_pair_added, unless="relayId"),
    Pattern("jvb", "Component", r"(?:Add|Update) remote candidate for ", "candidate-gathered", "2013", expand=_remote_candidate, unless="relayId"),
    # DTLS
    Pattern("jvb", "Endpoint", r"DTLS handshake complete", "dtls-done", "2020", unless="relayId"),
    Pattern("jvb", "DtlsServer|DtlsClient", r"Error during DTLS connection: .*None of the fingerprints (?P<value>\S+) match", "fingerprint-mismatch", "2018"),
    Pattern("jvb", "DtlsTransport", r"Error during DTLS negotiation(?:: (?P<detail>[^\n]*)|, closing[^\n]*)?(?:\n(?:[\w.$]*\.)?(?P<value>[^\n]*))?", "dtls-failed", "2018", because=((r"None of the fingerprints (\S+) match", "fingerprint-mismatch", ""),)),
    Pattern("jvb", "DtlsServer|DtlsClient", r"Error during DTLS connection(?!: .*None of the fingerprints)(?:: (?P<value>.*))?", "dtls-failed", "2018"),
    Pattern("jvb", "Endpoint", r"Expiring an endpoint with ICE connected, but not DTLS\.", "dtls-failed", "2020-11", value="not finished when the endpoint expired"),
    # bridge channel
    Pattern("jvb", "EndpointMessageTransport", r"Websocket closed, statusCode (?P<value>\d+)", "channel-closed", "2023-03"),
    Pattern("jvb", "Endpoint", r"(?:EndpointMessageTransport|EndpointConnection|Endpoint's message transport) still not connected", "channel-missing", "2020"),
    Pattern("jvb", "Endpoint|DataChannelHandler", r"Remote side opened a data channel", "channel-opened", "2020", unless="relayId"),
    Pattern("jvb", "ColibriWebSocketServlet", r"Received request for an? nonexistent endpoint: (?P<participant>\w+)", "channel-refused", "2019", detail="endpoint unknown"),
    Pattern("jvb", "ColibriWebSocketServlet", r"Received request for an? nonexistent conference: (?P<conference>\w+)", "channel-refused", "2019", detail="conference unknown"),
    Pattern("jvb", "ColibriWebSocketServlet", r"Received request with a mismatching server ID", "channel-refused", "2019", detail="server id"),
    Pattern("jvb", "Endpoint|Relay", r"Incoming web socket request with an invalid password\.", "channel-refused", "2017-04", detail="password"),
    # conferences
    Pattern("jvb", "Videobridge", r"create_conf, id=(?P<conference>\w+)", "conference-created", "2018"),
    Pattern("jvb", "Videobridge", r"create_conf,(?:conf_)?id=(?P<conference>\w+)(?:.* conf_name=(?P<room>[^\s,@]+))?", "conference-created", "2016-12", "2020"),
    Pattern("jvb", "Conference", r"Expiring\.", "conference-ended", "2020", anywhere=False),
    Pattern("jvb", "Endpoint", r"Expired\.", "endpoint-expired", "2020", anywhere=False),
    Pattern("jvb", "Conference", r"SENT colibri2 response: ", "", "2023-09", expand=answer),
    Pattern("jvb", "Conference", r"RECV colibri2 request: ", "", "2023-09", expand=request),
    # load
    Pattern("jvb", "JvbLoadManager", r"Running load reducer", "overloaded", "2020-05", value="reduced what it forwards"),
    *component("jvb"),
    *virtual_machine("jvb"),
)  # fmt: skip
