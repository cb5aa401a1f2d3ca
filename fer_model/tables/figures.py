"""The figures of a section, as PNG files in memory; the same numbers give the same bytes.

Axes: K true classes and K decisions; S training steps.
"""

import io
import math
import warnings
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fer_model.tables.legible import legible
from fer_model.tables.losses import SHARES, WINDOW, MeanNorm, mean_curve, running_mean
from fer_model.tables.measures import Measures
from fer_model.tables.sections import Section

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D", "#8C8C00", "#444444")
"""Told apart by colour-blind eyes, after Okabe and Ito; what comes after them starts again, with broken lines."""
DPI = 150
SMALL, GREY = 8, "#9ca3af"
LONGEST_NAME, LONGEST_TITLE = 24, 110
MOST_CLASSES = 24
"""Of a confusion matrix whose counts can still be read."""
POINTS = 2000
"""Of a drawn curve, at most."""


def accuracy_figure(section: Section, rows: Sequence[Measures]) -> bytes:
    """Accuracy of recordings: pooled with its interval, and each fold as a dot."""
    figure = Figure(figsize=(6.4, 1.3 + 0.42 * len(rows)), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        colour = _colour(place)
        folds = [100 * value for value in row.accuracy_of_fold.values()]
        axes.scatter(folds, [place + 0.2] * len(folds), s=9, color=colour, alpha=0.5, linewidths=0)
        if row.accuracy.interval is not None:
            span = [100 * row.accuracy.interval.low, 100 * row.accuracy.interval.high]
            axes.plot(span, [place, place], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot(100 * row.accuracy.value, place, marker="o", markersize=6, color=colour)
    guessing = 100 / len(section.classes)
    axes.axvline(guessing, color=GREY, linewidth=0.8, linestyle=":", zorder=0)
    axes.set_yticks(range(len(rows)), [_name(row.entry.label) for row in rows], parse_math=False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 101)
    axes.set_xlabel(
        f"accuracy of recordings, %. Large: all folds pooled, bar: 95 % interval over subjects,\nsmall: each fold, "
        f"dotted: 1 of {len(section.classes)} classes",
        fontsize=SMALL,
    )
    _title(axes, section)
    return _png(figure, [axes])


def confusion_figure(section: Section, rows: Sequence[Measures]) -> bytes | None:
    """Pooled confusion matrices, counts, shaded by the share of the true class; a class without labels stays white.

    None if there are more classes than MOST_CLASSES.
    """
    n_classes = len(section.classes)
    if n_classes > MOST_CLASSES:
        return None
    columns = min(len(rows), 1 if n_classes > 12 else 2)
    lines = -(-len(rows) // columns)
    side = 1.5 + 0.36 * n_classes
    figure = Figure(figsize=(max(6.4, columns * (side + 0.7)), 0.5 + lines * side), dpi=DPI, layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    names = [_name(name, longest=14) for name in section.classes]
    for axes, row in zip(grid.flat, rows, strict=False):
        counts_KK = row.confusion_KK
        totals_K = counts_KK.sum(1)
        shares_KK = counts_KK / np.maximum(totals_K, 1)[:, None]
        axes.imshow(shares_KK, cmap="Blues", vmin=0, vmax=1)
        for (true, decided), count in np.ndenumerate(counts_KK):
            colour = "white" if shares_KK[true, decided] > 0.55 else "#333333" if count else "#bbbbbb"
            size = min(SMALL, 30 / max(3, len(str(counts_KK.max()))))
            axes.text(decided, true, str(count), ha="center", va="center", color=colour, fontsize=size)
        axes.set_xticks(range(n_classes), names, rotation=40, ha="right", rotation_mode="anchor", parse_math=False)
        labels = [f"{name} ({n})" for name, n in zip(names, totals_K, strict=True)]
        axes.set_yticks(range(n_classes), labels, parse_math=False)
        axes.set_title(_name(row.entry.label, longest=48), fontsize=SMALL + 1, parse_math=False)
    for axes in list(grid.flat)[len(rows) :]:
        axes.set_visible(False)
    figure.supxlabel("decided", fontsize=SMALL)
    figure.supylabel("true (decisions on recordings)", fontsize=SMALL)
    figure.suptitle(_name(section.title, longest=LONGEST_TITLE), fontsize=SMALL + 1, parse_math=False)
    return _png(figure, list(grid.flat), spines=False)


def loss_figure(section: Section) -> bytes | None:
    """Training loss by step: a thin line for each run, a bold one for their mean; None without losses."""
    figure = Figure(figsize=(6.4, 4), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    drawn = False
    for place, entry in enumerate(section.entries):
        curve = mean_curve(entry.runs)
        if not len(curve):
            continue
        drawn = True
        for run in entry.runs:
            _curve(axes, running_mean(run.loss_S), color=_colour(place), linewidth=0.5, alpha=0.35)
        _curve(
            axes, curve, color=_colour(place), linewidth=1.8, linestyle=_line(place),
            label=_name(entry.label, longest=48),
        )  # fmt: skip
    if not drawn:
        return None
    for share in SHARES:
        loss = share * math.log(len(section.classes))
        axes.axhline(loss, color=GREY, linewidth=0.7, linestyle=":", zorder=0)
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.set_xlabel("training step", fontsize=SMALL)
    axes.set_ylabel(f"cross-entropy per clip, mean of {WINDOW} steps", fontsize=SMALL)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend = axes.legend(frameon=False, fontsize=SMALL)
    for text in legend.get_texts():
        text.set_parse_math(False)
    _title(axes, section)
    return _png(figure, [axes])


def gradient_figure(section: Section, norms: Sequence[MeanNorm]) -> bytes | None:
    """Gradient that reaches h[t], by t, for each stream and layer; None if nothing was recorded."""
    if not norms:
        return None
    streams = sorted({norm.stream for norm in norms}, reverse=True)
    layers = sorted({norm.layer for norm in norms})
    figure = Figure(figsize=(max(6.4, 2.1 * len(layers)), 0.9 + 1.9 * len(streams)), dpi=DPI, layout="constrained")
    grid = figure.subplots(len(streams), len(layers), sharex=True, sharey="row", squeeze=False)
    for line, stream in enumerate(streams):
        for column, layer in enumerate(layers):
            axes = grid[line][column]
            axes.set_title(f"{_name(stream)}, layer {layer}", fontsize=SMALL, parse_math=False)
            for place, entry in enumerate(section.entries):
                here = [n for n in norms if (n.label, n.stream, n.layer) == (entry.label, stream, layer) and n.norm > 0]
                if here:
                    axes.plot(
                        [n.t for n in here], [n.norm for n in here], color=_colour(place), linestyle=_line(place),
                        marker=".", markersize=4, linewidth=1.2, label=_name(entry.label, longest=48),
                    )  # fmt: skip
            axes.set_yscale("log")
            axes.minorticks_off()
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for axes in grid[-1]:
        axes.set_xlabel("t, frame of the clip", fontsize=SMALL)
    handles, labels = max((axes.get_legend_handles_labels() for axes in grid.flat), key=lambda pair: len(pair[1]))
    legend = figure.legend(
        handles, labels, loc="outside lower center", ncols=min(4, max(1, len(labels))), frameon=False, fontsize=SMALL
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    figure.supylabel("norm of dL/dh[t]", fontsize=SMALL)
    figure.suptitle(_name(section.title, longest=LONGEST_TITLE), fontsize=SMALL + 1, parse_math=False)
    return _png(figure, list(grid.flat))


def _curve(axes: Axes, values: np.ndarray, **style: object) -> None:
    """A curve whose first value belongs to step WINDOW."""
    every = max(1, len(values) // POINTS)
    axes.plot(np.arange(WINDOW, WINDOW + len(values))[::every], values[::every], **style)  # type: ignore[arg-type]


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _line(place: int) -> str:
    return ("-", "--", ":")[place // len(COLOURS) % 3]


def _name(text: str, *, longest: int = LONGEST_NAME) -> str:
    return legible(text, longest=longest)


def _title(axes: Axes, section: Section) -> None:
    axes.set_title(_name(section.title, longest=LONGEST_TITLE), fontsize=SMALL + 1, parse_math=False, loc="left")


def _png(figure: Figure, all_axes: Sequence[Axes], *, spines: bool = True) -> bytes:
    for axes in all_axes:
        axes.tick_params(labelsize=7, length=2, color=GREY)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GREY)
        if not spines:
            axes.spines[:].set_visible(False)
    FigureCanvasAgg(figure)
    content = io.BytesIO()
    with warnings.catch_warnings():
        # the font lacks some scripts and shows boxes; the tables beside have the names
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()
