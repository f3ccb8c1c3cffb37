"""What to run on a server of one's own: planning it, looking at it, collecting what it knows, recording what is needed.

`facts_command` and `capture_commands` print what whoever owns the server runs; `collect_here` alone runs something, on
this machine, when it is asked to.
"""

from jitsilab.deploy.here import collect_here
from jitsilab.deploy.plans import PLANS, Plan, capture_commands, plan_capture
from jitsilab.deploy.script import facts_command

__all__ = ["PLANS", "Plan", "capture_commands", "collect_here", "facts_command", "plan_capture"]
