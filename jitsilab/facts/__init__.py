"""Deployment facts: what a server's own files say, value by value, with the place of each (``file:line``).

A folder of files goes in, whatever their names and state: unknown or broken ones are reported, never fatal. Secrets
turn into marks while they are read (`jitsilab.facts.model.Secret`); private keys are not opened.
"""

from jitsilab.facts.facts import Facts
from jitsilab.facts.kinds import recognise
from jitsilab.facts.loading import DEEPEST, LARGEST, MOST, Given, from_versions, load
from jitsilab.facts.model import Fact, Input

__all__ = ["DEEPEST", "LARGEST", "MOST", "Fact", "Facts", "Given", "Input", "from_versions", "load", "recognise"]
