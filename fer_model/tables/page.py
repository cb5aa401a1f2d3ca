"""The tables and figures become one HTML page that needs no other file."""

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jinja2
from markupsafe import Markup

from fer_model.tables import numbers
from fer_model.tables.legible import legible
from fer_model.tables.losses import SHARES, WINDOW
from fer_model.tables.measures import Measures
from fer_model.tables.published import MIYOSHI
from fer_model.tables.records import Gathered
from fer_model.tables.statistics import FEW_SUBJECTS, N_RESAMPLES
from fer_model.tables.tabulate import Tables

CLASSES_SHOWN, FOLDS_SHOWN = 40, 40
LONGEST_SETTING = 80


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """A section as the page shows it."""

    tables: Tables
    figures: Mapping[str, bytes]
    """accuracy, confusion, and where there is something to draw loss and gradients, as PNG files."""


def render(gathered: Gathered, sections: Sequence[Shown], *, files: str) -> str:
    """The page. Every text from a file is made legible and escaped.

    Args:
        files: directory of the CSV and PNG files, as seen from the page.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fer_model.tables", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": numbers.percent, "estimate": numbers.estimate, "spread": numbers.spread, "p": numbers.p_value,
        "gigaflop": numbers.gigaflop, "whole": numbers.whole, "duration": numbers.duration, "png": _data_uri,
        "missing": numbers.missing, "by_sizes": by_sizes,
        "short": lambda text: legible(text, longest=LONGEST_SETTING),
        "inside": lambda text: text.removeprefix(f"{gathered.root}{os.sep}"),  # a page is shown to others
    }  # fmt: skip
    return environment.get_template("template.html").render(
        gathered=gathered,
        sections=sections,
        files=files,
        note=sections[0].tables.section.note if len({shown.tables.section.note for shown in sections}) == 1 else None,
        N_RESAMPLES=N_RESAMPLES,
        FEW_SUBJECTS=FEW_SUBJECTS,
        WINDOW=WINDOW,
        SHARES=SHARES,
        MIYOSHI=MIYOSHI,
        CLASSES_SHOWN=CLASSES_SHOWN,
        FOLDS_SHOWN=FOLDS_SHOWN,
    )


def by_sizes(rows: Sequence[Measures]) -> list[tuple[tuple[int, int, int], list[Measures]]]:
    """((recordings, clips, subjects), rows that were tested on as many)."""
    found: dict[tuple[int, int, int], list[Measures]] = {}
    for row in rows:
        found.setdefault((row.n_recordings, row.n_clips, row.n_subjects), []).append(row)
    return list(found.items())


def _finalize(value: object) -> object:
    """Texts that the template prints; the only ones marked as safe are our own pictures."""
    return legible(value, longest=1000) if type(value) is str else value


def _data_uri(content: bytes) -> Markup:
    return Markup(f"data:image/png;base64,{base64.b64encode(content).decode()}")
