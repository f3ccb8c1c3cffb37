"""A running server, looked at from outside: the only room that sends anything, and only when it is asked to.

`check` walks the steps of a call from the name to the relay; `reach`, `signaling` and `relaying` are the clients.
"""

from jitsilab.deploy.probing.steps import PROBES, Step, check, lines

__all__ = ["PROBES", "Step", "check", "lines"]
