"""How a benchmark says what it measured."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from rich.console import Console
from rich.table import Table

Measure: TypeAlias = tuple[float, float | None, Literal["higher", "lower"]]  # value, goal, which is better


def report(measures: Mapping[str, Measure], json_file: Path | None, *, title: str | None = None) -> None:
    """Print a table, and write {name: {value, goal, better}} where a file is given."""
    table = Table("measure", "value", "goal", title=title, title_justify="left")
    for name, (value, goal, better) in measures.items():
        bound = "" if goal is None else f"{'≥' if better == 'higher' else '≤'} {goal:g}"
        table.add_row(name, f"{value:,.0f}" if value >= 1000 else f"{value:.3g}", bound)
    Console().print(table)
    if json_file is not None:
        keys = ("value", "goal", "better")
        rows = {name: dict(zip(keys, measure, strict=True)) for name, measure in measures.items()}
        json_file.write_text(json.dumps(rows, indent=1) + "\n")
