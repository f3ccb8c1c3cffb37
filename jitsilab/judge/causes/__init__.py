"""Causes of missing media, and conditions beside media: closed sets, as data, for whatever evidence there is.

`catalogue` holds the words: every cause with its reasons and what to change, in the order in which the first that holds
is the answer. The rules (`servers`, `entry`, `reach`, `media`, `configuration`) take a `Case` and give statements,
each with its places; `diagnosis` brings them together with what packets show of each participant. A rule that lacks
what it needs is not asked, and what would decide is named instead.
"""

from jitsilab.judge.causes.catalogue import CAUSES, CONDITIONS, OPEN
from jitsilab.judge.causes.statement import Case, Rule, Statement
from jitsilab.place import Place

__all__ = ["CAUSES", "CONDITIONS", "OPEN", "Case", "Place", "Rule", "Statement"]
