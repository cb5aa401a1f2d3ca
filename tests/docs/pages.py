"""The pages of the documentation as a Markdown parser sees them: blocks, tables, links, anchors."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pymdownx.slugs import slugify

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, *sorted(DOCS.glob("*.md"))]
NAMES = [page.name for page in PAGES]

_parser = MarkdownIt("commonmark").enable("table")
_slug = slugify(case="lower")


@dataclass(frozen=True)
class Link:
    """`text` is what is clicked, `place` where it leads."""

    text: str
    place: str


def tokens(page: Path) -> list[Token]:
    return _parser.parse(page.read_text(encoding="utf-8"))


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return [token.content for token in tokens(page) if token.type == "fence" and token.info.strip() == language]


def languages(page: Path) -> list[str]:
    """Of all fenced blocks, in order; empty: none is named."""
    return [token.info.strip() for token in tokens(page) if token.type == "fence"]


def links(page: Path) -> Iterator[Link]:
    """Links and pictures."""
    for inline in tokens(page):
        text, place = "", ""
        for child in inline.children or []:
            if child.type == "image":
                yield Link(child.content, str(child.attrs["src"]))
            elif child.type == "link_open":
                text, place = "", str(child.attrs["href"])
            elif child.type == "link_close":
                yield Link(text, place)
            else:
                text += child.content


def anchors(page: Path) -> list[str]:
    """Of the headings, as code hosts and the site name them."""
    found = tokens(page)
    headings = [after for token, after in pairwise(found) if token.type == "heading_open"]
    return [_slug(plain(heading), "-") for heading in headings]


def plain(inline: Token) -> str:
    """Its text without marks."""
    return "".join(child.content for child in inline.children or [] if child.type in ("text", "code_inline"))


def code_spans(page: Path) -> list[str]:
    return [child.content for inline in tokens(page) for child in inline.children or [] if child.type == "code_inline"]


def rows(page: Path, *, below: str) -> list[list[Token]]:
    """The cells (inline tokens) of all rows of the tables in one section, heads left out."""
    found: list[list[Token]] = []
    heading, in_section, in_body = False, False, False
    for token in tokens(page):
        if token.type == "inline" and heading:
            in_section = plain(token) == below
        heading = token.type == "heading_open"
        if token.type in ("tbody_open", "tbody_close"):
            in_body = token.type == "tbody_open"
        if in_section and in_body and token.type == "tr_open":
            found.append([])
        if in_section and in_body and token.type == "inline":
            found[-1].append(token)
    assert found, f"{page.name} has no table below {below!r}"
    return found
