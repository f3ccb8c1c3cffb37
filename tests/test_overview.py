"""The report of a survey counts what the dataset holds, and shows text out of evidence as text."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from jitsilab.errors import ParameterError
from jitsilab.fleet import Survey, rows
from jitsilab.fleet.dataset import Dataset
from jitsilab.pages import overview

DAY = 86_400 * 10**9
BEGUN = 1_795_000_000 * 10**9


def case(number: int, **given: Any) -> dict[str, list[dict[str, Any]]]:
    """One case with two participants, of whom the second may wait long."""
    base = {"source": f"evidence/{number}", "server": f"203.0.113.{number % 2}", "version": "2.3"}
    call = base | {
        "first_time": BEGUN + number * DAY, "participants": 2, "with_media": 2, "without_media": 0, "open": 0,
        "failed": 1, "conditions": [], **given,
    }  # fmt: skip
    people = [
        base | {"participant": f"<b>ann|{number}</b>", "media_path": "jvb-udp", "media_s": 2.0 + number / 10},
        base | {"participant": "ben", "media_path": "none" if given.get("cause") else "jvb-udp",
                "media_s": given.pop("wait", 2.5)},
    ]  # fmt: skip
    found = [base | {"id": "SEC-09", "title": "a title", "severity": "high", "result": "FAIL"},
             base | {"id": "SEC-10", "title": "another", "severity": "low", "result": "PASS"}]  # fmt: skip
    return {"calls": [call], "participants": people, "findings": found, "errors": []}


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    folder = tmp_path_factory.mktemp("survey") / "fleet"
    made = Dataset(folder)
    made.prepare()
    cases = [case(number) for number in range(6)]
    cases[2] = case(2, cause="no-bridge", reason="not-running", conditions=["lossy"])
    cases[4] = case(4, cause="udp-blocked", version=None)
    cases[5] = case(5, wait=30.0)
    for number, found in enumerate(cases):
        made.write(f"c-{'abcdef'[number]}", {
            name: rows.table(found[name], schema, {}) for name, schema in rows.SCHEMAS.items()
        })  # fmt: skip
    lost = [{"source": "evidence/bad", "message": "cut", "lost": True}]
    made.write("c-g", {name: rows.table(lost if name == "errors" else [], schema, {})
                       for name, schema in rows.SCHEMAS.items()})  # fmt: skip
    assert isinstance(rows.arrow(rows.CALLS), pa.Schema)
    return Survey(folder)


def values(table: Any) -> list[list[Any]]:
    return table.rows.astype(object).where(table.rows.notna(), None).values.tolist()  # type: ignore[no-any-return]


def test_counts_are_those_of_the_dataset(survey: Survey) -> None:
    seen = overview.Overview(survey)
    assert dict(values(seen.summary())) == {
        "cases read": 6, "cases that could not be read": 1, "cases with a cause": 2, "cases with a condition": 1,
        "participants": 12, "participants with media": 10, "participants without": 2,
        "participants of whom it cannot be seen": 0, "servers": 2,
    }  # fmt: skip
    assert [row[:3] for row in values(seen.causes())] == [
        ["cause", "no-bridge:not-running", 1], ["cause", "udp-blocked", 1], ["condition", "lossy", 1],
    ]  # fmt: skip
    assert values(seen.failing()) == [
        ["203.0.113.0", "SEC-09", "high", "a title", 3], ["203.0.113.1", "SEC-09", "high", "a title", 3],
    ]  # fmt: skip
    media = dict((row[0], row[1:]) for row in values(seen.waits()))["media"]
    assert (media[0], media[-1]) == (12, 30.0)


def test_who_waits_far_longer_is_named_with_the_case(survey: Survey, tmp_path: Path) -> None:
    (row,) = values(overview.Overview(survey).outliers())
    assert row[:2] == ["ben", 30.0]
    assert row[4] == "evidence/5"
    page = tmp_path / "single reports" / "c-f" / "report.html"
    page.parent.mkdir(parents=True)
    page.write_text("one")
    seen = overview.Overview(survey, reports=tmp_path / "single reports")
    overview.write(seen, tmp_path / "out")
    assert "single%20reports/c-f/report.html" in (tmp_path / "out/report.html").read_text()
    assert "single%20reports/c-f/report.html" in (tmp_path / "out/report.md").read_text()


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("", ["203.0.113.0", "203.0.113.1"]), ("version", ["2.3", "not known"]),
        (pd.Timestamp(BEGUN + 3 * DAY, unit="ns").strftime("%Y-%m-%dT%H:%M:%S"), ["before", "from"]),
    ],
)  # fmt: skip
def test_cases_are_compared(survey: Survey, by: str, groups: list[str]) -> None:
    found = values(overview.Overview(survey, by).compared())
    assert len(found) == 2
    assert all(str(row[0]).startswith(group) for row, group in zip(found, groups, strict=True))
    assert sum(row[1] for row in found) == 6
    if groups == ["before", "from"]:
        assert [row[1] for row in found] == [3, 3]


def test_what_nothing_can_be_compared_by_is_said(survey: Survey) -> None:
    with pytest.raises(ParameterError, match="server, version"):
        overview.Overview(survey, "colour").compared()


def test_the_page_is_whole_and_text_stays_text(survey: Survey, tmp_path: Path) -> None:
    seen = overview.Overview(survey)
    seen.participants["participant"] = "<script>alert(1)</script>|x"
    names = overview.write(seen, tmp_path)
    assert set(names) == {"report.md", "report.html", "fleet_waits_drawn.svg"}
    page, text = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()
    for heading, _ in overview.blocks(seen):
        assert f"<h2>{heading}</h2>" in page
        assert f"## {heading}" in text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "\\<script" in text
    assert "http:" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    again = {name: (tmp_path / name).read_bytes() for name in names}
    overview.write(seen, tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in names} == again
