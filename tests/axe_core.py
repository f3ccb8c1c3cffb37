"""axe-core in a page of `browser_page`: what somebody who cannot see, or not well, would stumble over.

axe-core is no part of the project. `npm install --prefix out/axe --no-save axe-core` brings it, `JITSILAB_AXE` may name
another axe.min.js; without it, tests say so and skip.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from browser_page import Page

ROOT = Path(__file__).resolve().parent.parent
PLACES = ("out/axe/node_modules/axe-core/axe.min.js", "node_modules/axe-core/axe.min.js")
CONTRAST = "color-contrast"

#: rows that differ in nothing but their words, and how many of each mark they hold, are one row to axe
ONE_ROW_OF_EACH_SHAPE = """
for (const rows of document.querySelectorAll("tbody, svg.rows")) {
  const seen = new Set();
  for (const row of Array.from(rows.querySelectorAll("tr, .row"))) {
    const marks = new Set(Array.from(row.querySelectorAll("*"), (one) => one.tagName + one.getAttribute("class")));
    const shape = row.getAttribute("class") + Array.from(marks).sort().join();
    if (seen.has(shape)) row.remove();
    seen.add(shape);
  }
}
for (const one of document.querySelectorAll("details")) one.open = true;
0
"""
#: what is scrolled out of sight has no colour behind it
NOTHING_CUT = """
const style = new CSSStyleSheet();
style.replaceSync(":not(svg) { overflow: visible !important; max-height: none !important; position: static !important }"
  + ".skip { display: none }");
document.adoptedStyleSheets = [style];
0
"""
RUN = """
axe.run(document, {preload: false, ...OPTIONS}).then((found) => JSON.stringify({
  violations: found.violations.map((one) => [one.id, one.impact, one.nodes.length, one.nodes[0].html.slice(0, 200),
                                             one.nodes[0].failureSummary]),
  passed: Object.fromEntries(found.passes.map((one) => [one.id, one.nodes.length])),
  open: Object.fromEntries(found.incomplete.map((one) => [one.id,
    one.nodes.filter((node) => !node.html.startsWith("<text")).length])),
}))
"""


@cache
def _source() -> str | None:
    named = os.environ.get("JITSILAB_AXE")
    for path in (Path(named),) if named else (ROOT / place for place in PLACES):
        if path.is_file():
            return path.read_text(encoding="utf-8")
    return None


def missing() -> str:
    """Why a test has to skip; empty where axe-core is at hand."""
    return "" if _source() else "axe-core is missing: npm install --prefix out/axe --no-save axe-core"


def needed() -> None:
    """Skip the test where axe-core is missing."""
    if missing():
        pytest.skip(missing())


def load(page: Page) -> None:
    """Bring axe-core into a page, all of it unfolded."""
    source = _source()
    assert source is not None
    page.run(source + "; 0")
    page.run(ONE_ROW_OF_EACH_SHAPE)


def all_but_contrast(page: Page) -> dict[str, Any]:
    return _run(page, {"rules": {CONTRAST: {"enabled": False}}})


def contrast(page: Page, *, dark: bool, as_laid_out: bool = False) -> dict[str, Any]:
    page.colours(dark=dark)
    if not as_laid_out:
        page.run("{" + NOTHING_CUT + "}")
    return _run(page, {"runOnly": [CONTRAST]})


def _run(page: Page, options: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.run(RUN.replace("OPTIONS", json.dumps(options))))
    return found
