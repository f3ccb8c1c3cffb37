# ruff: noqa: E501  (a pattern is one line)
"""Which program wrote a record: by its own prefix, the name of its stream, its classes, in this order."""

import re

NAMES = (
    ("jibri", re.compile(r"jibri")), ("jigasi", re.compile(r"jigasi|transcriber")),
    ("etherpad", re.compile(r"etherpad")), ("excalidraw", re.compile(r"excalidraw")),
    ("jvb", re.compile(r"jvb|videobridge")), ("jicofo", re.compile(r"jicofo|focus")),
    ("prosody", re.compile(r"prosody|xmpp(?!-websocket)")), ("coturn", re.compile(r"turn(?!s?tile)")),
    ("nginx", re.compile(r"nginx|web\b|web[-_.]|proxy|traefik|apache|caddy|access|ingress")),
)  # fmt: skip

#: recognised, and said to be seen and not judged
SEEN_ONLY = ("jibri", "jigasi", "etherpad", "excalidraw")

_CLASSES = (
    ("jibri", re.compile(r"org\.jitsi\.jibri\.|(?:\b|\.)Jibri\w*\.(?!log\b)|(?:\b|^)(?:FfmpegCapturer|FileRecording|JibriSelenium)")),
    ("jigasi", re.compile(r"org\.jitsi\.jigasi\.|JvbConference\.|CallContext\.")),
    ("jicofo", re.compile(
        r"org\.jitsi\.(?:jicofo|impl\.protocol|protocol\.xmpp)\.|(?:^|\.)(?:JitsiMeetConferenceImpl|BridgeSelector|BaseBrewery|XmppProvider\w*"
        r"|ConferenceIqHandler|FocusManager|FocusComponent|JicofoServices|ColibriV2SessionManager|Colibri2Session|JvbDoctor"
        r"|ParticipantInviteRunnable|ParticipantChannelAllocator|AbstractChannelAllocator|BridgeSelectionStrategy|ChatRoom\w*)\b")),
    ("jvb", re.compile(
        r"org\.(?:ice4j|jitsi\.(?:videobridge|nlj|rtp|xmpp\.mucclient))\.|(?:^|\.)(?:MucClient|Videobridge\w*|ColibriWebSocketService|Conference"
        r"|EndpointConnectionStatusMonitor|Endpoint|EndpointMessageTransport|Relay|IceTransport|DtlsTransport|Agent|ConnectivityCheckClient"
        r"|HealthChecker|Health|Component|CheckList|TlsServerImpl|DtlsServer|BitrateProber|DefaultNominator|MainKt|SinglePortUdpHarvester)\b")),
)  # fmt: skip

_WORDS = (
    ("jvb", re.compile(
        r"(?:Initialized SinglePortUdpHarvester|Joined MUC|ICE state changed|create_conf|Pair (?:succeeded|failed|validated)|Running expire\(\)"
        r"|Performed a successful health check|Health check failed in|Disabling certificate verification|Starting jitsi-videobridge"
        r"|org\.jitsi\.videobridge|Logging in\.)")),
    ("jicofo", re.compile(
        r"(?:Focus request for room|Conference request for room|XMPP provider Jabber:focus|Added (?:new )?videobridge|Failed to create room"
        r"|Initialized with JID=|Joined brewery room|Starting Jicofo|Member \S+ joined|org\.jitsi\.jicofo)")),
)  # fmt: skip


def by_name(name: str) -> str:
    """The program that a container, unit, tag or file of this name runs, empty where the name says nothing."""
    name = name.lower()
    for program, words in NAMES:
        if words.search(name):
            return program
    return ""


def by_place(place: str, context: str, message: str) -> str:
    """The Java program that has such a class, context or words; empty where several have."""
    for program, words in _CLASSES:
        if words.search(place):
            return program
    if "confId=" in context or "epId=" in context:
        return "jvb"
    if (
        "meeting_id=" in context
        or "xmpp_connection=" in context
        or "brewery=" in context
        or context.startswith("room=")
    ):
        return "jicofo"
    for program, words in _WORDS:
        if words.match(message):
            return program
    return ""
