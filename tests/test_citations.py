"""Every section that is cited is one that was looked up: vectors/sections.csv has the heading found there.

RFC headings are from the RFC Editor's texts (9525 from its authors' repository), XEP headings from xmpp.org's sources.
A new citation asks for a new line, and so for a look into the text.
"""

import csv
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for folder in ("jitsilab", "docs") for path in (ROOT / folder).rglob("*.[pm][yd]"))
CITED = re.compile(
    r"(RFC|XEP) ?-?(\d{3,5}),? (?:sections? ((?:\d+(?:\.\d+)*(?:, and | and |, )?)+)|appendix ([A-Z](?:\.\d+)*))"
)
LOOKED_UP = {
    (row["standard"], row["section"]): row["heading"]
    for row in csv.DictReader((Path(__file__).parent / "vectors" / "sections.csv").open())
}


def cited(text: str) -> set[tuple[str, str]]:
    text = re.sub(r'"\s*\n\s*f?"', "", text)  # a string that goes on in the next line
    text = re.sub(r"\s*\n[\s#]*", " ", text)  # a sentence, or a comment, that does
    return {
        (f"{found[1]}{'-' if found[1] == 'XEP' else ' '}{found[2]}", section)
        for found in CITED.finditer(text)
        for section in re.findall(r"\d+(?:\.\d+)*", found[3] or "") or [found[4]]
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_section_was_looked_up(path: Path) -> None:
    assert not cited(path.read_text()) - set(LOOKED_UP), path


def test_nothing_is_listed_that_nobody_cites() -> None:
    assert set(LOOKED_UP) == {one for path in SOURCES for one in cited(path.read_text())}


def test_the_reader_of_citations_reads() -> None:
    assert cited("RFC 8656 sections 9, 10 and\n# 12; XEP-0166, section 7.2.8 (RFC 3550\nappendix A.1)") == {
        ("RFC 8656", "9"), ("RFC 8656", "10"), ("RFC 8656", "12"), ("XEP-0166", "7.2.8"), ("RFC 3550", "A.1"),
    }  # fmt: skip
