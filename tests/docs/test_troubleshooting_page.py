"""Every sentence that docs/troubleshooting.md quotes is in the programs, word by word."""

import ast
import re
from functools import cache

import pytest
from markdown_it.token import Token
from pages import DOCS, ROOT, rows

PAGE = DOCS / "troubleshooting.md"
GAP = "\0"  # in place of what a program puts in
SECTIONS = ("Starting", "Finding the videos", "The manifest", "Building", "Training", "Results and new recordings")


@cache
def said_by_the_programs() -> tuple[str, ...]:
    """Every text of the source, with a gap for each value; texts that are split over lines are whole in the tree."""
    texts: list[str] = []
    for package in ("fer_prep", "fer_model"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    texts.append("".join(str(getattr(part, "value", GAP)) if isinstance(part, ast.Constant) else GAP
                                         for part in node.values))  # fmt: skip
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(node.value)
    return tuple(texts)


def is_said(message: str) -> bool:
    """Whether one text has all words of the message, with something that is put in, or further words, at each `…`."""
    parts = [part.strip() for part in re.split("…+", message)]
    pattern = re.compile(rf"\s*(?:.*{GAP}.*|.{{0,200}}?)\s*".join(map(re.escape, parts)), re.DOTALL)
    return any(pattern.search(text) for text in said_by_the_programs() if max(parts, key=len) in text)


def quoted(cell: Token) -> list[str]:
    return [child.content for child in cell.children or [] if child.type == "code_inline"]


MESSAGES = [message for section in SECTIONS for row in rows(PAGE, below=section) for message in quoted(row[0])]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_quoted_message_is_said(message: str) -> None:
    assert is_said(message)


def test_reasons_of_the_ledger_are_those_of_the_programs() -> None:
    for row in rows(PAGE, below="Reasons in the ledger"):
        for reason in quoted(row[0]):
            assert any(text == reason or text.startswith(f"{reason}: ") for text in said_by_the_programs()), reason


def test_a_sentence_that_no_program_prints_would_be_found() -> None:
    assert len(MESSAGES) > 40
    assert not is_said("…: manifest cannot be read (…); give a CSV with --list")
    assert not is_said("fold … does not exist: choose another")
