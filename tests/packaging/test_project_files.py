"""Files that others read: CITATION.cff, and the forms for issues."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from sources import ROOT, project

import fer_prep

FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_the_citation_has_what_its_format_demands_and_is_of_this_version() -> None:
    """Citation File Format 1.2.0: the required keys, of the file and of each reference."""
    citation = read(ROOT / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert (citation["title"], citation["version"]) == (project()["name"], fer_prep.__version__)
    assert citation["license"] in project()["license"].split(" AND ")
    for work in (citation, *citation["references"]):
        assert work["title"]
        assert work["authors"]
        assert all("name" in author or "family-names" in author for author in work["authors"])
    assert citation["message"]
    assert [work["type"] for work in citation["references"]] == ["article"]


def test_the_paper_is_cited_as_the_documentation_cites_it() -> None:
    (paper,) = read(ROOT / "CITATION.cff")["references"]
    page = " ".join((ROOT / "docs" / "paper.md").read_text(encoding="utf-8").split())
    authors = ", ".join(f"{author['given-names']} {author['family-names']}" for author in paper["authors"])
    where = f"{paper['journal']} {paper['volume']}, {paper['year']}, doi {paper['doi']}"
    assert f"{authors}, *{paper['title']}*, {where}" in page


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_a_form_is_one_that_can_be_filled_in(form: Path) -> None:
    """What GitHub demands of issue forms: a form that lacks it is not offered, without a word."""
    content = read(form)
    assert content.keys() == {"name", "description", "body"}
    fields = [field for field in content["body"] if field["type"] != "markdown"]
    assert {field["type"] for field in fields} <= {"input", "textarea"}
    assert all(field["attributes"]["label"] and re.fullmatch("[a-z]+", field["id"]) for field in fields)
    assert (
        len({field["id"] for field in fields}) == len({field["attributes"]["label"] for field in fields}) == len(fields)
    )
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_a_report_of_a_bug_asks_for_what_it_takes_to_find_it() -> None:
    asked = (ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text(encoding="utf-8")
    assert "fer-prep doctor" in asked
    assert "ledger.csv" in asked
    assert {form.stem for form in FORMS} == {"bug", "corpus", "question"}
