"""Tables that the plan and the end of a build have in common."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fer_prep.corpora import Remark

WIDTH = 100  # columns of a screen that everything fits
MOST_GROUPS_SHOWN = 12  # one by one


def narrow(console: Console) -> Console:
    """The same console, at most WIDTH columns wide."""
    console.width = min(console.width, WIDTH)
    return console


def class_table(
    n_of: Mapping[tuple[str | None, int], int], classes: Sequence[str], group_of: Mapping[str, int]
) -> Table:
    """Recordings by class and group, and subjects; a zero is a class that a fold cannot test.

    Args:
        n_of: (class, group) -> recordings; class None: unlabelled.
        group_of: subject -> group.
    """
    groups = range(1, max(group_of.values()) + 1)
    unlabelled = (None,) if any(label is None for label, _ in n_of) else ()
    rows = {
        "(unlabelled)" if name is None else escape(name): [n_of.get((name, group), 0) for group in groups]
        for name in (*classes, *unlabelled)
    }
    totals = {"all": [sum(column) for column in zip(*rows.values(), strict=True)]}
    subjects = Counter(group_of.values())
    totals["subjects"] = [subjects[group] for group in groups]
    return _one_by_one(rows, totals) if len(groups) <= MOST_GROUPS_SHOWN else _summed_up(rows, totals)


def _one_by_one(rows: Mapping[str, list[int]], totals: Mapping[str, list[int]]) -> Table:
    table = Table()
    table.add_column("class \\ group")
    for group in range(1, len(totals["all"]) + 1):
        table.add_column(str(group), justify="right")
    table.add_column("all", justify="right")
    for name, row in rows.items():
        table.add_row(name, *(str(n) if n else "[red]0[/red]" for n in row), str(sum(row)))
    table.add_section()
    for name, row in totals.items():
        table.add_row(name, *map(str, row), str(sum(row)))
    return table


def _summed_up(rows: Mapping[str, list[int]], totals: Mapping[str, list[int]]) -> Table:
    table = Table()
    for name in ("class", "all", "fewest in a group", "most in a group", f"groups without, of {len(totals['all'])}"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for part in (rows, totals):
        for name, row in part.items():
            table.add_row(name, str(sum(row)), str(min(row)), str(max(row)), str(row.count(0)))
        table.add_section()
    return table


def remark_table(heading: str, remarks: Iterable[Remark]) -> Table:
    """How many remarks of each kind there are, with the first as an example."""
    remarks = list(remarks)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    table.add_column(heading, max_width=36)
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column("the first", overflow="fold")
    for kind, n in Counter(remark.kind for remark in remarks).items():
        first = next(remark for remark in remarks if remark.kind == kind)
        table.add_row(escape(kind), f"{n:,}", escape(": ".join(filter(None, (first.path, first.detail)))))
    return table
