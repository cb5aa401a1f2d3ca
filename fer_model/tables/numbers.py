"""Numbers as they are read: no more digits than their number of recordings supports, and never without a unit."""

import math
from collections.abc import Sequence
from itertools import groupby

from fer_model.tables.measures import Estimate
from fer_model.tables.statistics import Spread

NOTHING = "–"
MANY = 10_000
"""Decisions from which on a second decimal of a percentage says something: its standard error is then 0.5 % or less."""
SMALLEST_P = 0.0001
NAMED = 40
"""Missing runs that are named."""


def percent(share: float | None, *, n: int) -> str:
    """A share of n things, without the sign."""
    return NOTHING if share is None or math.isnan(share) else f"{100 * share:.{2 if n >= MANY else 1}f}"


def estimate(of: Estimate | None, *, n: int, signed: bool = False) -> str:
    """A value and its interval."""
    if of is None:
        return NOTHING
    plus = "+" if signed else ""
    decimals = 2 if n >= MANY else 1
    value = f"{100 * of.value:{plus}.{decimals}f}"
    if of.interval is None:
        return f"{value} [{NOTHING}]"
    return f"{value} [{100 * of.interval.low:{plus}.{decimals}f}, {100 * of.interval.high:{plus}.{decimals}f}]"


def spread(of: Spread | None, *, n: int) -> str:
    """Mean ± standard deviation over folds."""
    return NOTHING if of is None else f"{percent(of.mean, n=n)} ± {percent(of.sd, n=n)}"


def p_value(p: float) -> str:
    """Four decimals at most."""
    return f"< {SMALLEST_P}" if p < SMALLEST_P else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def missing(runs: Sequence[tuple[int, int]]) -> str:
    """(seed, fold) of runs in their order, the first ones by name."""
    by_seed = groupby(runs[:NAMED], key=lambda run: run[0])
    named = "; ".join(f"seed {seed} fold {', '.join(str(fold) for _, fold in of)}" for seed, of in by_seed)
    return named if len(runs) <= NAMED else f"{named} and {len(runs) - NAMED:,} more"


def gigaflop(flops: int | None) -> str:
    """Three digits."""
    return NOTHING if flops is None else f"{flops / 1e9:#.3g}".rstrip(".")


def whole(n: float | None) -> str:
    """With commas."""
    return NOTHING if n is None else f"{n:,.0f}"


def duration(seconds: float | None) -> str:
    """Seconds below ten minutes, then minutes or hours."""
    if seconds is None:
        return NOTHING
    if seconds < 600:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 36_000 else f"{seconds / 3600:.1f} h"
