"""All that is known of a deployment, kind by kind."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from jitsilab.errors import Problem
from jitsilab.facts.model import Fact, Input

if TYPE_CHECKING:  # whoever has no file of a kind needs no parser of it
    from jitsilab.facts.certificates import Placed
    from jitsilab.facts.compose import Compose
    from jitsilab.facts.deployment import Deployment
    from jitsilab.facts.directives import Directive
    from jitsilab.facts.hocon import Hocon
    from jitsilab.facts.nginx import Nginx
    from jitsilab.facts.packetfilter import Filters
    from jitsilab.facts.prosody import Prosody
    from jitsilab.facts.settings import Settings
    from jitsilab.facts.sockets import Handed, Listener, Named
    from jitsilab.facts.turnserver import TurnServer
    from jitsilab.facts.webconfig import WebConfig


@dataclass
class Facts:
    """What is known of a deployment; None where no file of that kind was there."""

    folder: str = ""
    prosody: "Prosody | None" = None
    turn: "TurnServer | None" = None
    bridge: "Hocon | None" = None
    other_bridges: "list[Hocon]" = field(default_factory=list)
    focus: "Hocon | None" = None
    properties: "dict[str, Settings]" = field(default_factory=dict)  # sip-communicator.properties, by program
    shell: "dict[str, Settings]" = field(default_factory=dict)  # /etc/jitsi/NAME/config, /etc/default/NAME, by program
    system: "dict[str, Settings]" = field(default_factory=dict)  # -D of a program's command line
    environment: "Settings | None" = None  # compose's .env
    compose: "Compose | None" = None
    handed_on: "list[Handed] | None" = None  # what `docker ps` lists as published
    nginx: "Nginx | None" = None
    apache: "Directive | None" = None
    web: "WebConfig | None" = None
    listeners: "list[Listener] | None" = None
    firewall: "Filters | None" = None
    addresses: list[str] = field(default_factory=list)
    interfaces: list[str] = field(default_factory=list)
    default_route: str = ""
    names: "list[Named]" = field(default_factory=list)
    certificates: "list[Placed]" = field(default_factory=list)
    versions: dict[str, Fact] = field(default_factory=dict)
    private_keys: list[str] = field(default_factory=list)  # files that hold one
    problems: list[Problem] = field(default_factory=list)
    ambiguous: set[str] = field(default_factory=set)  # kinds of which there are two main files
    inputs: list[Input] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict, repr=False)  # of the files read, secrets among it

    def listening(self, transport: str, port: int) -> "list[Listener]":
        """The sockets on a port."""
        return [
            listener for listener in self.listeners or () if (listener.transport, listener.port) == (transport, port)
        ]

    def version(self, *packages: str) -> Fact | None:
        """The version of the first of these packages that is known."""
        return next((self.versions[name] for name in packages if name in self.versions), None)

    @cached_property
    def deployment(self) -> "Deployment":
        """The files as one deployment, for who asks questions of it."""
        from jitsilab.facts.deployment import Deployment

        return Deployment(self)

    @property
    def empty(self) -> bool:
        """Whether nothing that was given says anything of a deployment."""
        used = [file for file in self.inputs if not file.note.endswith("left out")]
        return not any(file.kind not in ("unknown", "known") for file in used)
