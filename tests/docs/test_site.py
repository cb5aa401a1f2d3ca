"""The site of the documentation is built without warnings, and its pages load nothing from other hosts."""

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pages import DOCS, ROOT

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}


class Loads(HTMLParser):
    """What a page makes a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        place = dict(attrs).get(LOADED.get(tag, ""))
        if place:
            self.places.append(place)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)],
        cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return out


def test_every_page_is_in_the_site(site: Path) -> None:
    for page in DOCS.glob("*.md"):
        assert (site / page.stem / "index.html").is_file() or page.stem == "index"


def test_pages_load_nothing_from_other_hosts(site: Path) -> None:
    pages = [*site.rglob("*.html")]
    assert pages
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert loads.places
        assert not [place for place in loads.places if place.startswith(("http:", "https:", "//"))], page
    for sheet in site.rglob("*.css"):
        assert "url(http" not in sheet.read_text(encoding="utf-8")


def test_links_to_code_lead_to_its_lines(site: Path) -> None:
    paper = (site / "paper" / "index.html").read_text(encoding="utf-8")
    assert 'href="../code/#vote-in-fer_modelevaluatepy"' in paper
    assert 'id="vote-in-fer_modelevaluatepy"' in (site / "code" / "index.html").read_text(encoding="utf-8")
