"""Deployment facts: what a server's own files say, value by value, with the place of each (``file:line``).

A folder of files goes in, whatever their names and state: unknown or broken ones are reported, never fatal. Secrets
turn into marks while they are read (`jitsilab.facts.model.Secret`); private keys are not opened.
"""

from jitsilab.facts.certificates import Placed
from jitsilab.facts.compose import Compose
from jitsilab.facts.facts import Facts
from jitsilab.facts.hocon import Hocon
from jitsilab.facts.kinds import recognise
from jitsilab.facts.loading import DEEPEST, LARGEST, MOST, Given, from_versions, load
from jitsilab.facts.model import Fact, Input
from jitsilab.facts.nginx import Nginx
from jitsilab.facts.packetfilter import Filters
from jitsilab.facts.prosody import Prosody
from jitsilab.facts.sockets import Listener
from jitsilab.facts.turnserver import TurnServer
from jitsilab.facts.webconfig import WebConfig

__all__ = [
    "DEEPEST", "LARGEST", "MOST", "Compose", "Fact", "Facts", "Filters", "Given", "Hocon", "Input", "Listener",
    "Nginx", "Placed", "Prosody", "TurnServer", "WebConfig", "from_versions", "load", "recognise",
]  # fmt: skip
