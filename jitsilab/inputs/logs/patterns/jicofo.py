# ruff: noqa: E501  (a pattern is one line)
"""Lines of Jitsi Conference Focus (github.com/jitsi/jicofo), of 2019 to 2026."""

import re
from collections.abc import Iterator

from jitsilab.inputs.logs.patterns import Columns, Pattern
from jitsilab.inputs.logs.patterns.smack import CONNECTING, component, virtual_machine

_BRIDGE = r"(?:Bridge\[jid=)?(?P<value>[^\s,\]]+)"
_WHO = r"(?:Participant\[)?(?P<room>[^\s/\]@\[]+)@[^\s/\]]+/(?P<participant>[^\s\]@]+)"
_ROOM = r"(?P<room>[^\s@,]+)@\S+?"


def _initial_sources(text: str) -> Iterator[Columns]:
    """How many sources of sound and picture an answer brought; repair and layers count too."""
    who = re.search(r"from (?:\S+/)?(\w+)", text)
    lists = re.findall(r"(?:audio|video)=\[([\d, ]*)\]", text)
    count = sum(len(re.findall(r"\d+", listed)) for listed in lists) if lists else len(re.findall(r"ssrc=\d+", text))
    yield {"participant": who[1] if who else "", "value": str(count)}


def _accepted_sources(text: str) -> Iterator[Columns]:
    """Of 2018 to 2021: the answer and its sources in one line."""
    for columns in _initial_sources(text):
        yield {"event": "answer-received", "participant": columns["participant"], "value": ""}
        yield {"event": "sources-announced", **columns}


def _reinvited(text: str) -> Iterator[Columns]:
    match = re.match(r"Re-inviting \[([^\]]*)\] because (\S+) (?:was|is)", text)
    for name in match[1].split(",") if match else ():
        if match and name.strip():
            yield {"participant": name.strip().rpartition("/")[2], "value": match[2]}


def _unhealthy(text: str) -> Iterator[Columns]:
    jid = re.search(r"(?:jid=|on: |for: (?!Bridge\[))(\S+?)[,\s\]]", text)
    words = re.search(r"<text\b[^<>]*>([^<]+)", text) or re.search(r"<error\b[^<>]*>\s*<([\w-]+)", text)
    if not words and text.endswith("error: timeout"):
        yield {"event": "health-timeout", "value": jid[1] if jid else ""}
    else:
        yield {"value": words[1] if words else "", "detail": jid[1] if jid else ""}


PATTERNS = (
    Pattern("jicofo", "Main", r"Starting Jicofo\.", "program-started", "2021-02"),
    Pattern("jicofo", "Main", r"An uncaught exception occurred in thread=Thread\[(?:#\d+,)?main\b.*(?:\n(?:[\w.$]*\.)?(?P<value>.*))?", "program-ended", "2020-05"),
    # XMPP
    Pattern("jicofo", "XmppProvider|XmppProviderImpl", r"Connected, JID=", "xmpp-connected", "2021-02"),
    Pattern("jicofo", "XmppProvider", r"Registered \(resumed=", "logged-in", "2024-12"),
    Pattern("jicofo", "XmppProtocolProvider|Logger", r"XMPP provider \S+ connected \(JID: (?P<value>[^)]+)\)", "logged-in", "2014-11", "2021-02"),
    Pattern("jicofo", "XmppProvider|XmppProviderImpl|XmppProtocolProvider", r"Failed to connect/login: (?P<value>[^\n]{0,200})", "xmpp-unreachable", "2016-11", because=CONNECTING),
    Pattern("jicofo", "BaseBrewery", r"Initialized with JID=(?P<value>(?!jibri|sipjibri|jigasi)\S+)", "brewery-watched", "2021-02"),
    Pattern("jicofo", "BaseBrewery", r"Joined brewery room: (?P<value>(?!jibri|sipjibri|jigasi)\S+)", "brewery-watched", "2017-04", "2021-02"),
    Pattern("jicofo", "BaseBrewery", r"Failed to create room(?:: (?P<value>(?!jibri|sipjibri|jigasi)\S+)|\.)", "room-refused", "2016-03"),
    Pattern("jicofo", "BridgeSelector", r"Added (?:new )?videobridge: " + _BRIDGE, "bridge-joined", "2015-05"),
    Pattern("jicofo", "BridgeSelector", r"Removing JVB: (?P<value>\S+)", "bridge-left", "2015-05", detail="reason not written"),
    Pattern("jicofo", "BridgeSelector", r"Lost a bridge: (?P<value>\S+)", "bridge-lost", "2022-07"),
    Pattern("jicofo", "BridgeSelector", r"(?P<value>\S+@\S+) entered SHUTTING_DOWN", "bridge-left", "2022-06", detail="shutting down", anywhere=False),
    Pattern("jicofo", "JitsiMeetConferenceImpl", r"One of our bridges failed: (?P<value>\S+)", "bridge-lost", "2017-05", "2022-04"),
    Pattern("jicofo", "JitsiMeetConferenceImpl", r"Re-inviting \[", "bridge-lost", "2022-05", expand=_reinvited),
    # health of bridges
    Pattern("jicofo", "JvbDoctor", r"Health check failed (?:for|on): ", "health-failed", "2016-02", expand=_unhealthy),
    Pattern("jicofo", "JvbDoctor", r"Health check timed out for: " + _BRIDGE, "health-timeout", "2020-05"),
    Pattern("jicofo", "JvbDoctor", r"(?:Bridge\[jid=)?(?P<value>[^\s,\]]++)[^\n]* health-check timed out, but will give it another try", "health-timeout", "2016-03", anywhere=False),
    # conferences
    Pattern("jicofo", "ConferenceIqHandler|FocusComponent", r"(?:Conference|Focus) request for room:? " + _ROOM + r"(?:,|$| )", "conference-requested", "2014-11", value="{room}"),
    Pattern("jicofo", "JitsiMeetConferenceImpl", r"Created new conference(?:\.|, roomJid=" + _ROOM + "$)", "conference-created", "2021-02"),
    Pattern("jicofo", "FocusManager", r"Created new focus for " + _ROOM + r"(?:[,. ]|$)", "conference-created", "2014-11", "2021-02"),
    Pattern("jicofo", "JitsiMeetConferenceImpl", r"Stopped\.", "conference-ended", "2021-02", anywhere=False),
    Pattern("jicofo", "FocusManager", r"Disposed conference for room: " + _ROOM + r"(?:[,. ]|$)", "conference-ended", "2014-11", "2021-02"),
    Pattern("jicofo", "JitsiMeetConferenceImpl", r"Exception while trying to start the conference(?P<value>[^\n]*)", "room-refused", "2015-06"),
    Pattern("jicofo", "JitsiMeetConferenceImpl", r"Member joined:(?P<participant>[^\s,]+)", "participant-joined", "2021-02"),
    Pattern("jicofo", "JitsiMeetConferenceImpl", r"Member " + _WHO + r" joined\.", "participant-joined", "2014-11", "2021-02"),
    Pattern("jicofo", "JitsiMeetConferenceImpl", r"Member left:(?P<participant>[^\s,]+)", "participant-left", "2021-02"),
    Pattern("jicofo", "JitsiMeetConferenceImpl", r"Member " + _WHO + r" is leaving", "participant-left", "2015-03", "2021-02"),
    Pattern("jicofo", "JitsiMeetConferenceImpl", r"Terminating (?:\S+/)?(?P<participant>[^\s,/]+), reason: (?P<value>[\w-]+)", "session-ended", "2020-07"),
    # bridges for participants
    Pattern("jicofo", "BridgeSelector", r"(?P<value>There are no operational bridges)\.", "bridge-unavailable", "2022-02"),
    Pattern("jicofo", "BridgeSelector", r"(?P<value>All operational bridges are SHUTTING_DOWN)", "bridge-unavailable", "2022"),
    Pattern("jicofo", "BridgeSelector", r"(?P<value>There are no bridges with the required version: \S+)", "bridge-unavailable", "2021"),
    Pattern("jicofo", "BridgeSelectionStrategy", r"(?P<value>Failed to select initial bridge) for", "bridge-unavailable", "2020-03"),
    Pattern("jicofo", "JitsiMeetConferenceImpl|ParticipantInviteRunnable", r"Can not invite participant(?:,| --) no bridge available(?:\.|: (?P<participant>\S+))", "bridge-unavailable", "2017-05", value="no bridge available"),
    Pattern("jicofo", "JitsiMeetConferenceImpl", r"Failed to select a bridge for " + _WHO, "bridge-unavailable", "2021", "2022", value="no bridge available"),
    Pattern("jicofo", "ColibriV2SessionManager", r"Selected (?P<value>\S+) for \$?(?P<participant>\S+) \(", "bridge-chosen", "2022-12"),
    Pattern("jicofo", "AbstractChannelAllocator", r"Using (?P<value>\S+) to allocate channels for: " + _WHO, "bridge-chosen", "2015-03", "2022-04"),
    Pattern("jicofo", "ColibriV2SessionManager", r"Failed to allocate a colibri2 endpoint for (?P<participant>[^\s:]+): (?P<value>[^\n]{1,200})", "allocation-failed", "2022-01"),
    Pattern("jicofo", "AbstractChannelAllocator", r"[^\n]{1,300}? - failed to allocate channels, will consider the bridge faulty: (?P<value>[^\n]{0,200})", "allocation-failed", "2014-11", "2022-04", anywhere=False),
    # Jingle
    Pattern("jicofo", "ParticipantInviteRunnable|ParticipantChannelAllocator", r"Sending session-initiate to: " + _WHO, "offer-sent", "2020-03"),
    Pattern("jicofo", "Participant", r"Received session-accept$", "answer-received", "2022-11"),
    Pattern("jicofo", "JitsiMeetConferenceImpl", r"(?:Got|Receive) session-accept from:? " + _WHO, "answer-received", "2020-04", "2022-11"),
    Pattern("jicofo", "JitsiMeetConferenceImpl", r"Received session-accept from \S+ with accepted sources", "", "2018-03", "2021-08", expand=_accepted_sources),
    Pattern("jicofo", "JitsiMeetConferenceImpl", r"Accepted initial sources from ", "sources-announced", "2021-08", expand=_initial_sources),
    Pattern("jicofo", "JitsiMeetConferenceImpl|Participant", r"Received ICE failed notification from (?:\S+/)?(?P<participant>[^\s,/]+)", "ice-failed", "2019-02"),
    *component("jicofo"),
    *virtual_machine("jicofo"),
)  # fmt: skip
