"""Every package that is used is listed with its licence, and none comes in with one that was not thought about."""

import re
from importlib.metadata import version

import pytest
from licences_page import ROOT, declared, licence

PAGE = (ROOT / "docs" / "licences.md").read_text()
LISTED = dict(re.findall(r"(?m)^\| ([\w.-]+) \| \w+ \| (.+) \|$", PAGE.partition("|---")[2]))
LOCKED = dict(re.findall(r"(?m)^([\w.-]+)==([\w.]+)", (ROOT / "requirements.lock").read_text()))
KNOWN = {
    "MIT",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "0BSD",
    "ISC",
    "Zlib",
    "CC0-1.0",
    "PSF-2.0",
    "Apache-2.0",
    "MPL-2.0",
    "GPL-2.0-only",
}


def test_the_page_lists_what_is_declared() -> None:
    assert set(LISTED) == set(declared())


@pytest.mark.parametrize("name", declared())
def test_a_licence_is_the_one_that_is_listed(name: str) -> None:
    said = licence(name)
    if said is not None and LOCKED.get(name.lower()) == version(name):  # another version may say it in other words
        assert LISTED[name] == said, "python tests/licences_page.py"
    words = re.split(r" AND | OR |, ", LISTED[name].replace("(", "").replace(")", ""))
    assert set(words) <= KNOWN, "a licence that docs/decisions has not decided on"


def test_what_is_gpl_2_only_is_loaded_when_it_is_asked_for() -> None:
    strict = [name for name, said in LISTED.items() if said == "GPL-2.0-only"]
    assert strict == ["scapy"]
    using = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "jitsilab").rglob("*.py")
        if re.search(r"(?m)^\s*(from|import) scapy", path.read_text())
    }
    assert using == {"jitsilab/pcap/objects.py", "jitsilab/recording/sniffer.py"}
    assert not any(re.search(r"(?m)^(from|import) scapy", (ROOT / one).read_text()) for one in using)
