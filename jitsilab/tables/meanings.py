"""What columns mean, for people in Python, and the words of closed sets in their order."""

import re

import pandas as pd

from jitsilab.tables import TIME, Schema

#: closed sets, from the least to the most: comparisons and sorting follow it
ORDERED = {
    "severity": ("info", "low", "medium", "high", "critical"),
    "verdict": ("NOT_APPLICABLE", "NOT_OBSERVABLE", "INFO", "CONFORMS", "NOT_OBSERVED", "DEVIATES"),
    "result": ("NOT_APPLICABLE", "NOT_OBSERVABLE", "INFO", "PASS", "FAIL"),
    "certainty": ("inferred", "deduced", "measured"),
}
_UNIT = re.compile(r"(ticks a second|s|ms|ns|bytes|packets|Hz|bits per second|ticks)\b")
_NAMED = {"_ms": "ms", "_s": "s", "seconds": "s", "bytes": "bytes", "packets": "packets", "rtt": "s"}
_SOURCE = re.compile(r"(?:RFC|XEP|draft)[ -][\w-]+(?: (?:section )?\d+(?:\.\d+)+| section \d+)?")


def describe(schema: Schema) -> pd.DataFrame:
    """One row a column of a table: its type, unit, meaning, and the text that defines it, as far as the schema says."""
    rows = [(name, "time" if dtype == TIME else dtype, _unit(name, dtype, meaning), meaning, _source(meaning))
            for name, (dtype, meaning) in schema.items()]  # fmt: skip
    return pd.DataFrame(rows, columns=["column", "type", "unit", "meaning", "source"]).set_index("column")


def _unit(name: str, dtype: str, meaning: str) -> str:
    if dtype == TIME:
        return "UTC, ns"
    if "int" not in dtype.lower() and "float" not in dtype:
        return ""
    if match := _UNIT.match(meaning):
        return match[1]
    return next((unit for ending, unit in _NAMED.items() if name.endswith(ending)), "")


def _source(meaning: str) -> str:
    return "; ".join(dict.fromkeys(_SOURCE.findall(meaning)))


def ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """The table with its closed sets as ordered categoricals; a word of another set leaves its column as it is."""
    for name, words in ORDERED.items():
        if name in rows.columns and set(rows[name].dropna()) <= set(words):
            rows = rows.assign(**{name: pd.Categorical(rows[name], words, ordered=True)})
    return rows
