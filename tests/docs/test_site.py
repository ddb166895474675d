"""The documentation as a site: it builds strictly, has no dead link, and loads nothing from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOADS = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")}

pytestmark = pytest.mark.slow


@dataclass
class Page:
    """What a page links to, loads, and can be linked to at."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.page.anchors.add(value)
            elif (tag, name) == ("a", "href") and value:
                self.page.links.append(value)
            elif (tag, name) in LOADS and value:
                self.page.loads.append(value)


def read(path: Path) -> Page:
    reader = Reader()
    reader.feed(path.read_text())
    return reader.page


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return {path: read(path) for path in sorted(folder.rglob("*.html")) if path.name != "404.html"}


def dead(pages: dict[Path, Page]) -> Iterator[str]:
    for path, page in pages.items():
        for link in (*page.links, *page.loads):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchors = pages[target].anchors if target in pages else {unquote(parts.fragment)}
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in anchors):
                yield f"{path.name}: {link}"


def test_no_link_is_dead(pages: dict[Path, Page]) -> None:
    assert list(dead(pages)) == []
    assert sum(len(page.links) for page in pages.values()) > 1000, "the test looks at what it should"


def test_a_dead_one_would_be_seen(pages: dict[Path, Page]) -> None:
    some = next(iter(pages))
    assert len(list(dead({**pages, some: Page(links=["nowhere.html", "#nowhere"])}))) == 2


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Page]) -> None:
    remote = {one for page in pages.values() for one in page.loads if urlsplit(one).netloc}
    assert {one for one in remote if not one.startswith("data:")} == set()


def test_every_page_is_in_the_site(pages: dict[Path, Page]) -> None:
    written = {path.stem for path in (ROOT / "docs").rglob("*.md")}
    assert written <= {path.stem for path in pages}
