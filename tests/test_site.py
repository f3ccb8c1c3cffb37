"""The docs site as built: no warning, no broken link or anchor, a search that finds, pages that anybody can read."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import axe_core
import pytest
from browser_page import Browser

DOCS = Path(__file__).resolve().parent.parent / "docs"
#: one page of each kind; `make nightly` looks at every page
PAGES = (
    "index.html", "guides/no-bridge.html", "tables.html", "commands.html", "decisions/0001-columns-not-packets.html",
    "notebooks/00-explore.html", "notebooks/04-security.html", "search.html", "genindex.html",
)  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built by what `make docs` runs."""
    pytest.importorskip("sphinx")
    root = tmp_path_factory.mktemp("clone")
    shutil.copytree(DOCS, root / "docs", ignore=shutil.ignore_patterns("_build", "notebooks"))
    for name in ("notebooks", "jitsilab", "CONTRIBUTING.md"):
        (root / name).symlink_to(DOCS.parent / name)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", "site"]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return root / "site"


class Links(HTMLParser):
    """What a page leads to, what it loads, and the anchors it has."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.anchors: set[str] = {"", "top"}
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = {name: value or "" for name, value in attrs}
        self.anchors |= {own[name] for name in ("id", "name") if name in own}
        if "href" in own:
            (self.links if tag == "a" else self.loads).add(own["href"])
        if "src" in own:
            self.loads.add(own["src"])


@pytest.mark.slow
def test_no_link_of_the_site_is_broken(site: Path) -> None:
    pages = {page: Links(page) for page in site.rglob("*.html")}
    assert len(pages) > 40
    broken = []
    for page, found in pages.items():
        for link in found.links | found.loads:
            whole, anchor = urldefrag(link)
            address = urlsplit(whole)
            if address.scheme or address.netloc:
                continue
            target = (page.parent / unquote(address.path)).resolve() if address.path else page
            if not target.is_file() or (target in pages and unquote(anchor) not in pages[target].anchors):
                broken.append((str(page.relative_to(site)), link))
    assert broken == []


@pytest.mark.slow
def test_tables_of_notebooks_are_tables(site: Path) -> None:
    for page in (site / "notebooks").glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "<table" in text, page
        assert "<p>| " not in text, page


@pytest.mark.slow
def test_the_site_asks_no_network_to_be_shown(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not [one for one in Links(page).loads if urlsplit(one).scheme not in ("", "data") or one[:2] == "//"], (
            page
        )


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The site as a server on this machine gives it."""

    class Quiet(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/favicon.ico":  # what no page names, and every browser asks for
                self.send_response(204)
                self.end_headers()
            else:
                super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.mark.slow
@pytest.mark.tool("chromium")
@pytest.mark.parametrize(
    ("words", "leads"), [("signaling-refused", "causes.html"), ("no bridge", "guides/no-bridge.html")]
)
def test_search_finds(words: str, leads: str, browser: Browser, address: str) -> None:
    page = browser.open(address, 1280)
    field = "document.querySelector('.sidebar-search')"
    page.run(f"{field}.value = {words!r}; {field}.form.submit()")
    page.wait_for("/Search finished/.test(document.querySelector('#search-results .search-summary')?.textContent)")
    found = page.run("Array.from(document.querySelectorAll('#search-results li a'), (one) => one.pathname)")
    assert any(one.endswith(leads) for one in found[:10]), found
    page.run("document.querySelector('#search-results li a').click()")
    page.wait_for("!location.pathname.endsWith('search.html') && document.querySelector('h1') !== null")
    assert page.problems == []


@pytest.mark.slow
@pytest.mark.tool("chromium")
def test_pages_fit_a_telephone_and_shut_nobody_out(browser: Browser, site: Path) -> None:
    every = sorted(str(page.relative_to(site)) for page in site.rglob("*.html"))
    assert set(PAGES) <= set(every)
    missing = axe_core.missing()
    for name in every if "JITSILAB_NIGHTLY" in os.environ else PAGES:
        page = browser.open(site / name, 390)
        assert page.run("document.documentElement.scrollWidth") <= 390, name
        assert page.problems == [], name
        if missing:
            continue
        axe_core.load(page)
        for width in (390, 1280):
            page.resize(width)
            assert axe_core.all_but_contrast(page)["violations"] == [], (name, width)
        for dark in (False, True):
            found = axe_core.contrast(page, dark=dark, as_laid_out=True)
            assert found["violations"] == [], (name, dark)
            assert found["passed"]["color-contrast"] > 5, (name, dark)
    if missing:
        pytest.skip(missing)
