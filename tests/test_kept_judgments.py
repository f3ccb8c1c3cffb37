"""What is said of recordings and reports is what was read and found right; tests/kept/ shows each change of it."""

import kept_judgments
import pytest

CASES = [(name, section) for name, sections in kept_judgments.PAGES.items() for section in sections]


@pytest.mark.parametrize(("name", "section"), CASES)
def test_it_is_said_as_it_was_read(name: str, section: str) -> None:
    made = kept_judgments.SECTIONS[section](name)
    assert made == kept_judgments.kept(name)[section], f"if that is right: python tests/kept_judgments.py {name}"
