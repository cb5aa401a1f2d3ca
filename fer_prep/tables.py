"""Tables that the plan and the end of a build have in common."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fer_prep.corpora import Remark

WIDTH = 100  # columns of a screen that everything fits


def narrow(console: Console) -> Console:
    """Make a console at most WIDTH columns wide; returns it."""
    console.width = min(console.width, WIDTH)
    return console


def printable(text: object) -> str:
    """A text for a screen: no markup, and no bytes that are no text."""
    return escape(str(text).encode("utf-8", "backslashreplace").decode())


def count(n: int, noun: str) -> str:
    """`1,287 recordings`, `1 recording`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def class_table(
    console: Console,
    n_of: Mapping[tuple[str | None, int], int],
    classes: Sequence[str],
    group_of: Mapping[str, int],
) -> Table:
    """Recordings by class and group, and subjects; a zero is a class that a fold cannot test.

    Groups that do not fit the console side by side are summed up.

    Args:
        n_of: (class, group) -> recordings; class None: unlabelled.
        group_of: subject -> group.
    """
    groups = range(1, max(group_of.values()) + 1)
    unlabelled = (None,) if any(label is None for label, _ in n_of) else ()
    rows = [
        ("(unlabelled)" if name is None else printable(name), [n_of.get((name, group), 0) for group in groups])
        for name in (*classes, *unlabelled)
    ]
    subjects = Counter(group_of.values())
    totals = [
        ("all", [sum(column) for column in zip(*(row for _, row in rows), strict=True)]),
        ("subjects", [subjects[group] for group in groups]),
    ]
    table = _one_by_one(rows, totals)
    return table if console.measure(table).minimum <= console.width else _summed_up(rows, totals)


Rows = Sequence[tuple[str, list[int]]]


def _one_by_one(rows: Rows, totals: Rows) -> Table:
    table = Table()
    table.add_column("class \\ group", no_wrap=True)
    for group in range(1, len(totals[0][1]) + 1):
        table.add_column(str(group), justify="right", no_wrap=True)
    table.add_column("all", justify="right", no_wrap=True)
    for name, row in rows:
        table.add_row(name, *(f"{n:,}" if n else "[red]0[/red]" for n in row), f"{sum(row):,}")
    table.add_section()
    for name, row in totals:
        table.add_row(name, *(f"{n:,}" for n in row), f"{sum(row):,}")
    return table


def _summed_up(rows: Rows, totals: Rows) -> Table:
    table = Table()
    table.add_column("class")
    for name in ("all", "fewest in a group", "most in a group", f"groups without, of {len(totals[0][1])}"):
        table.add_column(name, justify="right")
    for part in (rows, totals):
        for name, row in part:
            table.add_row(name, *(f"{n:,}" for n in (sum(row), min(row), max(row), row.count(0))))
        table.add_section()
    return table


def remark_table(heading: str, remarks: Iterable[Remark]) -> Table:
    """How many remarks of each kind there are, with the first as an example."""
    remarks = list(remarks)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(heading, max_width=36)
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column("the first", overflow="fold")
    for kind, n in Counter(remark.kind for remark in remarks).items():
        first = next(remark for remark in remarks if remark.kind == kind)
        table.add_row(printable(kind), f"{n:,}", printable(": ".join(filter(None, (first.path, first.detail)))))
    return table
