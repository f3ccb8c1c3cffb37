"""Stanzas are parsed once, and live no longer than their table."""

import gc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from captures import captured

from jitsilab.protocols import stanza as stanzas
from jitsilab.protocols import xml
from jitsilab.tables import parsed


def test_a_table_is_read_once_and_forgotten_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    real = stanzas.parse
    monkeypatch.setattr(stanzas, "parse", lambda text: (seen.append(text), real(text))[1])
    table = pd.DataFrame({"xml": ["<iq xmlns='jabber:client' id='1'/>", "<iq", None]})
    first = parsed.stanzas_of(table)
    assert [one.id if one else None for one in first] == ["1", None, None]
    assert parsed.stanzas_of(table) is first
    assert len(seen) == 2
    number = id(table)
    del table
    gc.collect()
    assert number not in parsed._known


def test_a_call_parses_each_stanza_no_more_than_twice(
    recording: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for the tables, once where a call puts its pieces together; whoever judges parses no more."""
    folder = recording("jvb-3")
    call = captured(folder)
    assert call.xmpp is not None
    asked: Counter[str] = Counter()
    real = xml.parse
    monkeypatch.setattr(xml, "parse", lambda text, *rest: (asked.update([str(text)]), real(text, *rest))[1])
    assert len(call.participants) == 3
    assert len(call.steps)
    assert len(call.findings)
    assert asked.total() <= len(call.xmpp)
