"""Logs of the servers: of the bridge, the focus, Prosody, nginx and coturn, alone or several in one stream.

`KINDS` are the lines of the registry; `stranger` names the program whose log has no part in this. Words of the
programs are data in `jitsilab.inputs.logs.patterns`.
"""

from functools import lru_cache, partial

from jitsilab.inputs.logs.detection import kind_of, stranger
from jitsilab.inputs.logs.reader import LogSource
from jitsilab.inputs.source import Delivery, Kind

_WORDS = {
    "jvb-log": "log of the video bridge",
    "jicofo-log": "log of the focus",
    "prosody-log": "log of the XMPP server",
    "nginx-access-log": "access log of the web server",
    "nginx-error-log": "error log of the web server",
    "coturn-log": "log of the TURN server",
    "compose-log": "logs of several containers in one stream",
    "journal": "journal or syslog of several programs",
    "mixed-log": "logs of several programs in one piece",
    "jibri-log": "log of the recorder: seen, not judged",
    "jigasi-log": "log of the SIP gateway: seen, not judged",
    "kernel-log": "log of the kernel",
    "systemd-log": "log of the service manager",
    "docker-log": "log of the container engine",
}
_LOG = frozenset({"log", "events"})
_TABLES = {
    name: _LOG | {"requests"} if name.startswith(("nginx", "compose", "journal", "mixed")) else _LOG for name in _WORDS
}


_kind_of = lru_cache(maxsize=8)(kind_of)  # each kind asks the same of the same bytes


def _recognise(kind: str, delivery: Delivery) -> float:
    name, certainty = _kind_of(delivery.head)
    return certainty if name == kind else 0.0


def _open(kind: str, delivery: Delivery) -> LogSource:
    return LogSource(delivery, kind, _TABLES[kind])


KINDS: tuple[Kind, ...] = tuple(
    Kind(name, words, _TABLES[name], partial(_recognise, name), partial(_open, name)) for name, words in _WORDS.items()
)

__all__ = ["KINDS", "LogSource", "kind_of", "stranger"]
