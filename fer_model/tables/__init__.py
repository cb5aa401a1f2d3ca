"""The results: a tree of run directories becomes one page, CSV files and figures, `fer-results`."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from fer_model.errors import ArgumentError, RunDirectoryError
from fer_model.rundir import replace_file
from fer_model.tables import figures
from fer_model.tables.csv_files import csv_files
from fer_model.tables.gather import gather
from fer_model.tables.page import Shown, render
from fer_model.tables.screen import print_tables
from fer_model.tables.sections import sections_of
from fer_model.tables.tabulate import Tables, tabulate

PAGE_START = b"<!doctype html>"


def write_results_page(runs: Path, *, out: Path, console: Console) -> int:
    """Read the runs below a directory; write the page, and beside it a directory of CSV files and figures.

    Args:
        runs: a tree of run directories, or a part of one.
        out: the page; the directory has the same name, without its ending.

    Returns:
        How many directories could not be used; each is said, on the terminal and on the page.

    Raises:
        ArgumentError: there is no run, or nothing can be written there.
        RunDirectoryError: no run could be read, or the file system refuses.
    """
    directory = _check_place(out)
    gathered = gather(runs)
    if not gathered.runs:
        texts = "; ".join(problem.text for problem in gathered.problems)
        raise RunDirectoryError(f"{runs}: holds no finished run that can be read: {texts[:1000]}")
    tables = [tabulate(section) for section in sections_of(gathered.runs)]
    shown = [Shown(tables=of, figures=_figures(of)) for of in tables]
    files = csv_files(gathered, tables)
    for number, section in enumerate(shown, 1):
        files |= {f"section{number}-{name}.png": content for name, content in section.figures.items()}
    _make_directory(directory)
    for name, content in files.items():
        replace_file(directory / name, content)
    replace_file(out, render(gathered, shown, files=directory.name).encode())
    print_tables(console, gathered, tables)
    console.print()
    console.print(Text(f"{out}: the page; {directory}: {len(files)} tables and figures"), soft_wrap=True)
    return len(gathered.problems)


def _figures(tables: Tables) -> dict[str, bytes]:
    found = {
        "accuracy": figures.accuracy_figure(tables.section, tables.measures),
        "confusion": figures.confusion_figure(tables.section, tables.measures),
        "loss": figures.loss_figure(tables.section),
        "gradients": figures.gradient_figure(tables.section, tables.gradients),
    }
    return {name: content for name, content in found.items() if content is not None}


def _check_place(out: Path) -> Path:
    """The directory beside the page."""
    directory = out.with_suffix("")
    if out.is_dir():
        raise ArgumentError(f"{out}: is a directory; --out names a file, as in --out results.html.")
    if directory == out:
        raise ArgumentError(f"{out}: has no ending; --out names a file, as in --out {out}.html.")
    if out.is_file():
        with out.open("rb") as file:
            start = file.read(len(PAGE_START)).lower()
        if start not in (b"", PAGE_START):
            raise ArgumentError(f"{out}: is there already, and is no page of results; name another file with --out.")
    if not out.absolute().parent.is_dir():
        raise ArgumentError(f"{out}: there is no directory {out.parent}; make it, or change --out.")
    if directory.exists() and not directory.is_dir():
        raise ArgumentError(f"{directory}: is a file, and the tables would go into a directory there; change --out.")
    return directory


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise ArgumentError(f"{path}: cannot be made ({error.strerror}); change --out.") from error
