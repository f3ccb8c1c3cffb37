"""The notebook that explores: its parameters and its controls choose the same rows, of anybody's evidence."""

import re
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from calls import named

import jitsilab as jl
from jitsilab.case.timeline_view import CHOICES, MOST, html
from jitsilab.errors import ParameterError
from jitsilab.pages import notebook
from jitsilab.pages.explore import Explorer, _html


@cache
def explorer(name: str) -> Explorer:
    return Explorer(named(name))


def test_rows_are_chosen_by_participant_kind_and_window() -> None:
    one = explorer("turn-refused")
    every = one.rows()
    assert len(every) == len(named("turn-refused").timeline)
    assert {"ann", "ben", "cem"} <= set(one.choices["participant"])
    assert set(one.rows(participant="cem")["participant"]) == {"cem"}
    assert set(one.rows(kind="turn")["kind"]) == {"turn"}
    window = one.rows(begin=1.0, end=3.0)["seconds"]
    assert 0 < len(window) < len(every)
    assert window.between(1.0, 3.0).all()
    with pytest.raises(ParameterError, match="There is no participant 'eve'"):
        one.rows(participant="eve")
    table = one.table(5)
    assert len(table.rows) == 5
    assert table.rows["where"].str.contains("capture-eth0.pcapng.zst frame ").all()
    assert one.answer().lines[0].startswith("1 of 3 participants has no media")


def test_a_control_moves_the_table() -> None:
    widgets = pytest.importorskip("ipywidgets")
    box = explorer("turn-refused").widget()
    picks, window, shown = box.children
    assert isinstance(shown, widgets.HTML)
    before = shown.value
    participant = next(one for one in picks.children if one.description == "participant")
    participant.value = "cem"
    assert shown.value != before
    assert "ann to signaling" not in shown.value
    assert "cem to" in shown.value
    window.value = (0.0, 0.5)
    assert "0 of " in shown.value
    assert explorer("turn-refused").widget(participant="cem").children[2].value != before


def test_a_name_in_a_table_is_no_markup() -> None:
    shown = _html(pd.DataFrame({"what": ["<script>alert(1)</script>\x1b[31m"]}))
    assert "<script>" not in shown
    assert "\x1b" not in shown


def test_the_timeline_shows_itself_with_a_box_for_each_participant_and_source() -> None:
    call = named("turn-refused")
    rows = call.timeline
    shown = rows._repr_html_()
    assert type(rows[rows["source"].eq("packets")]) is pd.DataFrame
    for name in ("ann", "ben", "cem", "packets", "stanzas"):
        assert f"checked> {name}</label>" in shown
    assert shown.count("<tr class") == len(rows)
    mine = int(rows["participant"].eq("cem").sum())
    (place,) = re.findall(r'class="(who\d+)" checked> cem<', shown)
    assert len(re.findall(rf'<tr class="{place} ', shown)) == mine > 3
    assert f"tr.{place}{{display:none}}" in shown


def test_a_timeline_of_strangers_is_escaped_and_ends() -> None:
    rows = named("turn-refused").timeline
    hostile = rows.assign(participant="<script>alert(1)</script>", label="\x1b[31m</td>&", input="/a/<b>")
    many = pd.concat([hostile] * 12, ignore_index=True)
    shown = html(many)
    assert "<script>" not in shown
    assert "\x1b" not in shown
    assert "&lt;script&gt;alert(1)" in shown
    assert "&lt;b&gt; frame" in shown
    assert f"The first {MOST} of {len(many)} events." in shown
    assert shown.count("<tr class") == MOST
    several = rows.assign(participant=[f"p{place}" for place in range(len(rows))])
    assert html(several).count("checkbox") == CHOICES + 2


def test_logs_alone_can_be_explored(tmp_path: Path) -> None:
    (tmp_path / "jvb.log").write_text(
        "JVB 2026-11-24 21:00:37.141 INFO: [1] Main.main#55: Starting jitsi-videobridge\n"
    )
    one = Explorer(jl.load(tmp_path))
    assert one.span[0] == 0.0
    assert list(one.table().rows.columns) == ["seconds", "participant", "kind", "what", "times", "where"]


def test_evidence_is_a_path_a_list_or_a_name(tmp_path: Path) -> None:
    folder = tmp_path / "my logs"
    folder.mkdir()
    assert notebook.named(str(folder)) == [str(folder)]
    assert notebook.named("turn-refused") == ["turn-refused"]
    assert notebook.named(f"a.pcap '{folder}'") == ["a.pcap", str(folder)]
    assert notebook.named(["a b", folder]) == ["a b", folder]
    assert notebook.named(folder) == [folder]


def test_columns_are_described_with_units_and_sources() -> None:
    call = named("turn-refused")
    for name in jl.call.TABLES:
        if name in jl.call.schemas():
            assert list(call.describe(name).index) == list(jl.call.schemas()[name])
    media = call.describe("media")
    assert media.loc["jitter_ms", "unit"] == "ms"
    assert media.loc["bytes", "unit"] == "bytes"
    assert media.loc["lost", "source"].startswith("RFC 3550")
    assert call.describe("stun").loc["time", "unit"] == "UTC, ns"
    with pytest.raises(ParameterError, match="Did you mean stun"):
        call.describe("stunn")


def test_severity_and_verdicts_are_ordered_and_frames_are_lists() -> None:
    call = named("turn-refused")
    grave = call.findings[(call.findings["result"] == "FAIL") & (call.findings["severity"] >= "medium")]
    assert set(grave["severity"]) <= {"medium", "high", "critical"}
    assert call.findings["severity"].max() == "high" or call.findings["severity"].max() == "critical"
    assert call.steps["verdict"].max() == "DEVIATES"
    assert all(isinstance(one, list) for one in call.findings["frames"])
    assert all(isinstance(frame, int) for one in call.findings["frames"] for frame in one)
