"""Links of README.md and of all pages lead somewhere; where they lead outside, this file lists it."""

import re
from collections import Counter
from pathlib import Path

import pytest
from code_page import lines_of
from pages import DOCS, NAMES, PAGES, README, ROOT, anchors, code_spans, links

# not fetched by any test: whoever adds one has looked at it
EXTERNAL = {
    "http://www.pitt.edu/~emotion/ck-spread.htm",
    "https://enterface.net/enterface05/emotion.html",
    "https://github.com/CheyneyComputerScience/CREMA-D",
    "https://jobqueue.dask.org",
    "https://kubernetes.dask.org",
    "https://pytorch.org/get-started/locally/",
    "https://zenodo.org/record/1188976",
}
NOT_THERE = ("corpora/studio.py", "pipelines/studio.toml")  # docs/extending.md makes them
CODE = re.compile(r"(fer_prep|fer_model|tests|benchmarks|tools|docs)/[\w/.-]+\.\w+")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_each_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if link.place.startswith("http"):
            assert link.place in EXTERNAL
            continue
        file, _, anchor = link.place.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.is_file(), link
        if target.suffix == ".py":
            lines_of(link.text, target)
        elif anchor:
            assert anchor in anchors(target), link


def test_external_links_are_those_of_the_list() -> None:
    assert {link.place for page in PAGES for link in links(page) if link.place.startswith("http")} == EXTERNAL


@pytest.mark.parametrize("page", [page for page in PAGES if page != README], ids=lambda page: page.name)
def test_links_of_the_site_stay_in_it_but_for_code(page: Path) -> None:
    for link in links(page):
        target = (page.parent / link.place.partition("#")[0]).resolve()
        assert link.place.startswith("http") or target.suffix == ".py" or target.is_relative_to(DOCS), link


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_anchors_are_unique(page: Path) -> None:
    assert max(Counter(anchors(page)).values()) == 1


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_files_that_are_named_are_there(page: Path) -> None:
    for span in code_spans(page):
        for match in CODE.finditer(span):
            assert (ROOT / match[0]).is_file() or match[0].endswith(NOT_THERE), match[0]


def test_readme_names_every_page() -> None:
    named = {(README.parent / link.place.partition("#")[0]).resolve() for link in links(README)}
    assert set(DOCS.glob("*.md")) <= named
