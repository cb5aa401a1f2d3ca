"""All that is said of a section, computed once: the page, the CSV files and the terminal show the same numbers."""

from dataclasses import dataclass

from fer_model.tables.losses import MeanNorm, Reached, gradient_norms, steps_to_reach
from fer_model.tables.measures import Measures, Pair, compare, measure
from fer_model.tables.published import Beside, beside
from fer_model.tables.sections import Section, settings


@dataclass(frozen=True, kw_only=True, eq=False)
class Tables:
    """The tables of one section."""

    section: Section
    measures: tuple[Measures, ...]
    """In the order of the section's entries."""
    pairs: tuple[Pair, ...]
    steps: tuple[Reached, ...]
    """By entry, and for each by SHARES."""
    gradients: tuple[MeanNorm, ...]
    published: tuple[Beside, ...]
    settings: tuple[tuple[str, list[str]], ...]
    """What differs between the entries besides their networks."""


def tabulate(section: Section) -> Tables:
    """Compute the tables of a section."""
    measures = measure(section)
    return Tables(
        section=section,
        measures=measures,
        pairs=compare(section),
        steps=steps_to_reach(section),
        gradients=gradient_norms(section),
        published=beside(section, measures),
        settings=tuple(settings(section)),
    )
