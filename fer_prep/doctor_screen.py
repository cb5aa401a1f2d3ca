"""What `fer-prep doctor` looks like in a terminal."""

from rich import box
from rich.console import Console
from rich.table import Table

from fer_prep.doctor import Finding
from fer_prep.tables import narrow, printable

MARKS = {True: "[green]works[/green]", False: "[red]does not work[/red]", None: "[yellow]–[/yellow]"}


def print_examination(console: Console, findings: list[Finding]) -> None:
    """A row for each thing that was tried, and under it what mends it."""
    console = narrow(console)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("tried", "", "found"):
        table.add_column(name, overflow="fold")
    for finding in findings:
        mend = f"\n→ {printable(finding.mend)}" if finding.mend else ""
        table.add_row(finding.name, MARKS[finding.works], printable(finding.says) + mend)
    console.print(table)
