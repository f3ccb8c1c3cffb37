"""The clients' own logs of a recording as the tables that a capture would give: what a page saw, without a packet."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from jitsilab.errors import ParseError
from jitsilab.protocols import stanza, xmpp
from jitsilab.protocols import xml as markup
from jitsilab.tables import COMMON


class Line(NamedTuple):
    laptop: str
    milliseconds: float
    outgoing: bool
    text: str


def lines(folder: Path, kind: str, key: str) -> list[Line]:
    """All lines of stanzas-*, bridge-* in the order of their times."""
    found = []
    for log in sorted(folder.glob(f"{kind}-*.jsonl")):
        for row in map(json.loads, log.read_text().splitlines()):
            found.append(Line(log.stem.removeprefix(f"{kind}-"), row["t"], row["dir"] == "out", row[key] or ""))
    return sorted(found, key=lambda line: line.milliseconds)


def stanzas(folder: Path) -> Iterator[tuple[Line, xmpp.Stanza, str]]:
    """Each logged stanza by itself, BOSH bodies opened."""
    from xml.etree import ElementTree

    for line in lines(folder, "stanzas", "xml"):
        try:
            root = markup.parse(line.text)
        except ParseError:
            continue
        body = root.tag == "{http://jabber.org/protocol/httpbind}body"
        for one in list(root) if body else [root]:
            yield line, stanza.from_element(one), ElementTree.tostring(one, encoding="unicode")


def xmpp_table(folder: Path) -> pd.DataFrame:
    """The table ``xmpp`` as far as the logs tell it; frames are line numbers, flows are missing."""
    rows: list[dict[str, Any]] = []
    for line, one, text in stanzas(folder):
        about = {"name": one.name, "namespace": one.namespace, "from": one.sender, "to": one.recipient, "id": one.id}
        about |= {"type": one.type, "child": one.child, "child_namespace": one.child_namespace, "xml": text}
        rows.append(_common(len(rows) + 1, line) | about | {"direction": "c2s" if line.outgoing else "s2c"})
        rows[-1] |= {"up": line.outgoing, "carrier": "ws", "clear": False, "connection": line.laptop}
    return pd.DataFrame(rows)


def bridge_table(folder: Path) -> pd.DataFrame:
    """The table ``bridge`` as far as the logs tell it; the endpoint is the one that the session-accept named."""
    endpoints: dict[str, str] = {}
    for line, one, _ in stanzas(folder):
        said = xmpp.presence(one)
        if line.outgoing and said and said.joins:
            endpoints[line.laptop] = said.occupant or ""
    rows = []
    for line in lines(folder, "bridge", "json"):
        colibri = {"colibri_class": json.loads(line.text)["colibriClass"], "endpoint": endpoints[line.laptop]}
        rows.append(_common(len(rows) + 1, line) | colibri | {"up": line.outgoing, "json": line.text, "clear": False})
    return pd.DataFrame(rows, columns=[*COMMON, "colibri_class", "endpoint", "up", "json", "clear"])


def _common(frame: int, line: Line) -> dict[str, Any]:
    time = pd.Timestamp(line.milliseconds, unit="ms", tz="UTC")
    return dict.fromkeys(COMMON) | {"frame": frame, "time": time, "seconds": line.milliseconds / 1000}
