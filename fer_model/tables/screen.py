"""The main tables on a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fer_model.tables import numbers
from fer_model.tables.legible import legible
from fer_model.tables.records import Gathered
from fer_model.tables.tabulate import Tables


def print_tables(console: Console, gathered: Gathered, tables: Sequence[Tables]) -> None:
    """What could not be read, and a table for each section."""
    for problem in gathered.problems:
        _line(console, f"warning: {legible(problem.text, longest=1000)}", style="yellow")
    for of in tables:
        section = of.section
        console.print()
        _line(
            console,
            f"{section.title}: {len(section.classes)} classes, {section.n_folds} "
            f"{'fold' if section.n_folds == 1 else 'folds'}{'' if section.folds_are_known else ' or more'}, "
            f"preset {section.protocol.get('preset')}",
            style="bold",
        )
        console.print(_table(of))
        for row in of.measures:
            if row.entry.missing:
                missing = numbers.missing(row.entry.missing)
                _line(console, f"missing: {row.entry.label}: {missing}", style="yellow")


def _table(tables: Tables) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("network", overflow="fold")
    for heading in ("runs", "accuracy, %", "95 % interval", "folds ± sd", "UAR, %", "clips, %"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in tables.measures:
        n, interval = row.n_recordings, row.accuracy.interval
        span = (
            numbers.NOTHING
            if interval is None
            else f"{numbers.percent(interval.low, n=n)} to {numbers.percent(interval.high, n=n)}"
        )
        table.add_row(
            Text(legible(row.entry.label, longest=40)),
            f"{len(row.entry.runs)} of {row.entry.n_expected}",
            numbers.percent(row.accuracy.value, n=n),
            span,
            numbers.spread(row.fold_accuracy, n=n),
            numbers.percent(row.uar.value, n=n),
            numbers.percent(row.clip_accuracy.value, n=row.n_clips),
        )
    return table


def _line(console: Console, text: str, *, style: str) -> None:
    console.print(Text(legible(text, longest=1000), style=style), soft_wrap=True)
