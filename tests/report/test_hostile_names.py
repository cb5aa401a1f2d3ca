"""Names and reasons are texts from outside: they are shown, and do nothing else."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from shard_trees import PageReader, Take, failed_row, write_directory

from fer_prep.inspect import inspect
from fer_prep.inspect_screen import print_inspection
from fer_prep.legible import legible
from fer_prep.report import write_report

SCRIPT = "<script>alert(1)</script>"
TURNED = "photo\u202egpj.exe"
HOSTILE = (
    SCRIPT, "</title></style>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "&lt;b&gt;", "$x_{1$ \\frac",
    "a\x1b[31mred\x07\x00b", "line\nend\r\ttab", TURNED, "שלום", "表情 😀", "raw \udcff\udc80 bytes",
    "[red]markup[/red]", "x" * 3000, " ",
)  # fmt: skip


def storable(text: str) -> str:
    """As HDF5 and CSV can hold it: no lone halves of characters, no zero bytes."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every text in every place: class, subject, recording, ledger, reasons, what is left out."""
    names = [storable(text) for text in HOSTILE]
    takes = [Take(f"{name}s", 1, f"{name}/r", k, faceless=(1,)) for k, name in enumerate(names)]
    failed = [failed_row(f"f{name}", f"{name}s", name, f"kind {name}: because {name}") for name in names]
    return write_directory(
        tmp_path_factory.mktemp("hostile") / "shards", takes, classes=tuple(names), n_groups=1, failed=failed,
        left_out=dict.fromkeys(names, 1),
    )  # fmt: skip


def test_hostile_names_are_shown_and_do_nothing(hostile: Path) -> None:
    raw = write_report(hostile).read_text(encoding="utf-8")
    page = PageReader(raw)  # which refuses unknown nesting and event handlers
    assert page.tags.isdisjoint({"script"})
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert SCRIPT in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert "&lt;b&gt;" in page.text
    assert "שלום" in page.text
    assert "photo\\u202egpj.exe" in page.text
    assert not any(character in raw for character in "\x1b\x07\x00\u202e\r\t")
    assert "x" * 401 not in raw
    classes = [row[0] for row in page.table("class", "group 1")]
    assert classes == [legible(storable(text)) for text in HOSTILE] + ["all"]


def test_hostile_names_make_harmless_file_names(hostile: Path, tmp_path: Path) -> None:
    write_report(hostile, out=tmp_path / "page.html", png=tmp_path / "png")
    names = [path.name for path in (tmp_path / "png").iterdir() if path.name.startswith("clips-")]
    assert len(names) == len(HOSTILE)
    assert all(name.isascii() and len(name) < 80 and "/" not in name for name in names)
    assert {path.name for path in tmp_path.iterdir()} == {"page.html", "png"}


def test_hostile_names_do_not_steer_a_terminal(hostile: Path) -> None:
    for path in sorted(hostile.glob("*.h5")):
        for clip in (None, 0):
            console = Console(width=80, record=True, file=io.StringIO())
            print_inspection(console, inspect(path, clip=clip))
            screen = console.export_text(styles=False)
            assert not any(character in screen for character in "\x1b\x07\u202e\r\t")
            assert max(map(len, screen.splitlines())) <= 80


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ünï 表情", "ünï 表情"),
        ("a\x1bb\nc", "a\\x1bb\\nc"),
        ("\udcff", "\\udcff"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\u2028\ufeff", "\\u2028\\ufeff"),
    ],
)
def test_what_cannot_be_seen_is_written_as_its_code(text: str, shown: str) -> None:
    assert legible(text) == shown


def test_what_is_too_long_is_cut() -> None:
    assert legible("abcdef", longest=6) == "abcdef"
    assert legible("abcdefg", longest=6) == "abcde…"
    assert legible("\x00\x00", longest=6) == "\\x00\\…"
