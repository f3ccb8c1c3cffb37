"""Questions are made from the capture, right answers are right, and nothing is told before it is asked."""

import pytest
from calls import named

from jitsilab.pages.exercises import Sheet


@pytest.fixture(scope="module")
def sheet() -> Sheet:
    return Sheet(named("turn-refused"))


def test_answers_come_out_of_the_capture(sheet: Sheet) -> None:
    texts = [one.text for one in sheet.questions]
    assert sheet.check(texts.index("How many participants does this call have?") + 1, 3) == "Right."
    refused = texts.index("Which frames refuse a permission? One of them is enough.") + 1
    assert sheet.check(refused, 1).startswith("Not yet. The method is CreatePermission")
    table = named("turn-refused").stun
    frame = table[table["method"].eq("CreatePermission") & table["error_code"].eq(403)]["frame"].iloc[0]
    assert sheet.check(refused, f" {frame} ") == "Right."
    cause = next(number for number, text in enumerate(texts, 1) if "has no media" in text)
    assert sheet.check(cause, "TURN-permission-refused") == "Right."
    assert sheet.check(99, "x") == f"There are questions 1 to {len(texts)}."


def test_what_a_capture_does_not_show_is_not_asked() -> None:
    texts = str(Sheet(named("alone")))
    assert "refuse a permission" not in texts
    assert "alone" not in texts


def test_solutions_are_folded(sheet: Sheet) -> None:
    shown = sheet._repr_html_()
    assert shown.count("<details>") == len(sheet.questions)
    assert " open" not in shown
    assert "turn-permission-refused" not in str(sheet)
