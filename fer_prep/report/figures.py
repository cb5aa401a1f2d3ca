"""The diagrams of a report, as PNG files in memory; the same numbers give the same bytes."""

import io
import warnings
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from fer_prep.legible import legible
from fer_prep.report.counts import SubjectRow
from fer_prep.report.flow_sample import EDGES_PX, FlowSample
from fer_prep.report.gather import Survey

WIDTH_IN, DPI = 4.8, 200  # shown at about 480 pixels, sharp on fine screens
BLUE, GREY = "#2563a8", "#9ca3af"
SMALL = 7.5  # points
SUBJECTS_SHOWN, HISTOGRAMS_SHOWN = 24, 12
LONGEST_NAME = 22  # characters of a name beside an axis


def detection(rows: Sequence[SubjectRow]) -> bytes:
    """Bars: share of frames with a face, of the SUBJECTS_SHOWN subjects that have the least."""
    shown = least_detected(rows)[:SUBJECTS_SHOWN]
    figure = Figure(figsize=(WIDTH_IN, 0.75 + 0.17 * len(shown)), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    shares = [100 * (row.detected or 0.0) for row in shown]
    axes.barh(range(len(shown)), shares, color=BLUE, height=0.7)
    names = [legible(row.subject, longest=LONGEST_NAME) for row in shown]
    axes.set_yticks(range(len(shown)), names, parse_math=False)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel("frames with a face, %", fontsize=SMALL)
    axes.set_ylabel("subject", fontsize=SMALL)
    for place, share in enumerate(shares):
        inside = share > 15
        axes.text(
            share + (-1 if inside else 1), place, f"{np.floor(10 * share) / 10:.1f}", va="center",
            ha="right" if inside else "left", fontsize=6, color="white" if inside else "black",
        )  # fmt: skip
    return _png(figure, [axes])


def least_detected(rows: Iterable[SubjectRow]) -> list[SubjectRow]:
    """Subjects of whom there are frames, the ones with the fewest faces first."""
    return sorted((row for row in rows if row.n_frames), key=lambda row: row.detected or 0.0)


def lengths(survey: Survey) -> bytes:
    """Histograms: frames of the stored recordings, and frames that exist in the clips."""
    figure = Figure(figsize=(WIDTH_IN, 2.3), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    n_frames = np.array([stored.row.n_frames for stored in survey.recordings])
    if len(n_frames):
        left.hist(n_frames, bins=_whole_bins(n_frames), color=BLUE)
    left.set_xlabel("frames of a recording", fontsize=SMALL)
    left.set_ylabel("recordings", fontsize=SMALL)
    length = survey.index.clip_length
    n_valid = survey.clip_valid_C
    if len(n_valid):
        right.hist(n_valid, bins=_whole_bins(np.array([1, length])), color=BLUE)
    right.set_xlim(0.5, length + 0.5)
    right.set_xlabel(f"frames of a clip, of {length}", fontsize=SMALL)
    right.set_ylabel("clips", fontsize=SMALL)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    return _png(figure, [left, right])


def _whole_bins(values: np.ndarray) -> np.ndarray:
    """Edges of at most 30 bins of equally many whole numbers."""
    low, high = int(values.min()), int(values.max())
    step = -(-(high - low + 1) // 30)
    return np.arange(low, high + step + 1, step) - 0.5


def flow_histograms(survey: Survey, sample: FlowSample) -> bytes:
    """Share of pixels by flow magnitude, both on log axes: of the first HISTOGRAMS_SHOWN classes, each beside all."""
    shown = [label for label in sample.counts if sample.n_frames[label]][:HISTOGRAMS_SHOWN]
    columns = 2 if len(shown) > 1 else 1
    lines = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(WIDTH_IN, 0.5 + 1.15 * lines), dpi=DPI, layout="constrained")
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    everything = sum(sample.counts.values(), np.zeros(len(EDGES_PX) - 1, np.int64))
    fastest = 10 ** np.ceil(np.log10(EDGES_PX[1:][everything > 0].max(initial=1.0)))
    for axes, label in zip(grid.flat, shown, strict=False):
        counts = sample.counts[label]
        axes.stairs(100 * counts / counts.sum(), EDGES_PX, color=BLUE, fill=True, alpha=0.75)
        axes.stairs(100 * everything / everything.sum(), EDGES_PX, color="#374151", linewidth=0.8)
        name = survey.class_name(label)
        title = "(unlabelled)" if name is None else legible(name, longest=LONGEST_NAME)
        axes.set_title(title, fontsize=SMALL, pad=2, parse_math=False)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(0.001, 100)
        axes.set_xlim(EDGES_PX[0], fastest)
        axes.set_xticks([tick for tick in (0.1, 1, 10, 100) if tick <= fastest])
        axes.set_yticks([0.001, 0.1, 10])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.minorticks_off()
    for axes in list(grid.flat)[len(shown) :]:
        axes.set_visible(False)
    figure.supxlabel("flow magnitude, pixels per frame", fontsize=SMALL)
    figure.supylabel("share of pixels, %", fontsize=SMALL)
    return _png(figure, list(grid.flat))


def _png(figure: Figure, all_axes: Iterable[Axes]) -> bytes:
    for axes in all_axes:
        axes.tick_params(labelsize=6.5, length=2, color=GREY)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GREY)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # the font lacks some scripts and shows boxes; the tables beside have the names
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(buffer, format="png", metadata={"Software": None}, pil_kwargs={"optimize": True})
    return buffer.getvalue()
