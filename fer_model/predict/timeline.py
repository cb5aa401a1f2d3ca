"""The timeline of a recording: class probabilities over its seconds, the choices, and faces at the middles of clips.

Axes: K classes.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from fer_model.figures import plain
from fer_model.frames import FrameReader
from fer_model.predict.colours import class_colours
from fer_model.predict.decisions import ClipDecision, Decision
from fer_model.predict.marks import detected, faces, runs
from fer_model.predict.texts import end_of, start_of
from fer_model.rundir import replace_file

DOTS_PER_INCH = 130
WIDTH = 11.0  # inches
THUMBNAILS = 10
LARGEST_THUMBNAIL = 108  # pixels of the figure
MARKED_CLIPS = 40
"""Up to so many points of a line, each has a dot."""
DRAWN_POINTS = 150
"""Of more clips than that, neighbours are averaged, or the lines would be a scribble."""
DASHES: tuple[str | tuple[int, tuple[int, ...]], ...] = ("-", (0, (5, 1)), (0, (1, 1)))
"""Colours that come again have other lines."""
GAP_COLOUR = "#d9d9d9"
LONGEST_NAME = 72  # characters in a title


def timeline_figure(
    path: Path,
    decision: Decision,
    *,
    classes: Sequence[str],
    stride: int,
    reader: FrameReader,
    note: str | None,
) -> None:
    """Draw a recording with at least one clip.

    Probabilities stand at the middles of their clips; in long recordings, each point is a mean of neighbours. Where a
    clip is missing, because no face was found, the lines end; frames without a face are shaded.

    Args:
        stride: frames from clip to clip, where none is missing.
        note: what must be said beside the numbers.

    Raises:
        ShardError: faces cannot be read.
        RunDirectoryError: the file system refuses.
    """
    fps = decision.recording.fps or 1.0
    figure = Figure(figsize=(WIDTH, 5.0), layout="constrained")
    lines, choices, pictures = figure.subplots(3, 1, sharex=True, height_ratios=[10, 1, 3.6])
    gaps = runs(~detected(decision))
    for axes in (lines, pictures):
        for first, last in gaps:
            axes.axvspan(first / fps, last / fps, color=GAP_COLOUR, linewidth=0, zorder=0)
    _draw_lines(lines, decision, classes=classes, stride=stride, fps=fps)
    _draw_choices(choices, decision, classes=classes, stride=stride, fps=fps)
    _draw_faces(pictures, decision, reader=reader, fps=fps)
    lines.set_title(_title(decision, classes, note=note), fontsize=10, loc="left")
    handles, names = lines.get_legend_handles_labels()
    if gaps:
        handles.append(lines.fill_between([], [], color=GAP_COLOUR))
        names.append("no face found")
    lines.legend(handles, names, frameon=False, loc="upper left", bbox_to_anchor=(1.005, 1.02), fontsize=9)
    pictures.set_xlim(0, decision.recording.n_frames / fps)
    pictures.set_xlabel("seconds" if decision.recording.fps else "frames (their rate is unknown)")
    FigureCanvasAgg(figure)
    content = io.BytesIO()
    figure.savefig(content, dpi=DOTS_PER_INCH, format="png")
    replace_file(path, content.getvalue())


def _draw_lines(axes: Axes, decision: Decision, *, classes: Sequence[str], stride: int, fps: float) -> None:
    n_mean = -(-len(decision.clips) // DRAWN_POINTS)
    stretches = [averaged(clips, n=n_mean) for clips in unbroken(decision.clips, stride=stride)]
    marker = "o" if sum(map(len, stretches)) <= MARKED_CLIPS else ""
    for k, (name, colour) in enumerate(zip(classes, class_colours(len(classes)), strict=True)):
        line = np.array(
            [(p.frame / fps, p.probability_K[k]) for points in stretches for p in (*points, _nowhere(points))]
        )
        chosen = decision.vote is not None and decision.vote.choice == k
        axes.plot(
            *line.T, color=colour, label=_legend_name(name), marker=marker, markersize=3.5,
            linewidth=2.4 if chosen else 1.3, linestyle=DASHES[k // 10 % len(DASHES)],
        )  # fmt: skip
        for (alone,) in (points for points in stretches if len(points) == 1 and not marker):  # a point is no line
            axes.plot([alone.frame / fps], [alone.probability_K[k]], color=colour, marker="o", markersize=2)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("probability" + (f"\n(means of {n_mean} clips)" if n_mean > 1 else ""))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_choices(axes: Axes, decision: Decision, *, classes: Sequence[str], stride: int, fps: float) -> None:
    """A band in the colour of each clip's class, as far as its share of the time goes."""
    colours = class_colours(len(classes))
    for clips in unbroken(decision.clips, stride=stride):
        edges = [clips[0].start, *((a.centre + b.centre) / 2 for a, b in pairwise(clips))]
        edges.append(clips[-1].start + clips[-1].n_valid)
        for clip, (first, last) in zip(clips, pairwise(edges), strict=True):
            axes.axvspan(first / fps, last / fps, color=colours[clip.choice], linewidth=0)
    axes.set_yticks([])
    axes.set_ylabel("clip", rotation=0, ha="right", va="center")
    axes.spines[["top", "right", "left"]].set_visible(False)


def _draw_faces(axes: Axes, decision: Decision, *, reader: FrameReader, fps: float) -> None:
    height = decision.shard.height
    zoom = LARGEST_THUMBNAIL / height * 72 / DOTS_PER_INCH
    for clip in shown(decision.clips, most=THUMBNAILS, n_frames=decision.recording.n_frames):
        frame = min(int(clip.centre), decision.recording.n_frames - 1)
        (face,) = faces(decision, reader, frame, frame + 1)
        picture = OffsetImage(face, zoom=zoom, interpolation="bilinear")
        box = AnnotationBbox(picture, (clip.centre / fps, 0.5), frameon=False, pad=0)
        box.set_in_layout(False)  # near an end, a picture may stand out over the axes
        axes.add_artist(box)
        axes.plot([clip.centre / fps] * 2, [0.95, 1.0], color="#555555", linewidth=0.8)
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)


def unbroken(clips: Sequence[ClipDecision], *, stride: int) -> list[list[ClipDecision]]:
    """Stretches of clips between which none is missing."""
    stretches: list[list[ClipDecision]] = []
    for clip in clips:
        if stretches and clip.start - stretches[-1][-1].start <= stride:
            stretches[-1].append(clip)
        else:
            stretches.append([clip])
    return stretches


@dataclass(frozen=True, kw_only=True)
class Point:
    """Where a line goes through."""

    frame: float
    """Counted in the recording."""
    probability_K: tuple[float, ...]


def averaged(clips: Sequence[ClipDecision], *, n: int) -> list[Point]:
    """A point for every `n` clips one after the other: their mean, in time too."""
    groups = [clips[i : i + n] for i in range(0, len(clips), n)]
    return [
        Point(
            frame=sum(clip.centre for clip in group) / len(group),
            probability_K=tuple(np.mean([clip.probability_K for clip in group], axis=0).tolist()),
        )
        for group in groups
    ]


def _nowhere(points: Sequence[Point]) -> Point:
    """What ends a line."""
    return Point(frame=np.nan, probability_K=(np.nan,) * len(points[0].probability_K))


def shown(clips: Sequence[ClipDecision], *, most: int, n_frames: int) -> list[ClipDecision]:
    """Clips so far apart, and so far from both ends, that `most` pictures would fill the time of the recording."""
    width = n_frames / most
    inside = [clip for clip in clips if width / 2 <= clip.centre <= n_frames - width / 2]
    chosen: list[ClipDecision] = []
    for clip in inside or clips[len(clips) // 2 :][:1]:
        if not chosen or clip.centre - chosen[-1].centre >= width:
            chosen.append(clip)
    return chosen


def _title(decision: Decision, classes: Sequence[str], *, note: str | None) -> str:
    vote = decision.vote
    assert vote is not None
    n = sum(clip.choice == vote.choice for clip in decision.clips)
    text = f"{end_of(decision.recording.id, LONGEST_NAME)}: {classes[vote.choice]}, "
    text += f"the choice of {n} of {len(decision.clips)} clips"
    if decision.recording.label >= 0:
        text += f"; labelled {classes[decision.recording.label]}"
    return plain(text + (f"\nnote of the run: {start_of(note, 2 * LONGEST_NAME)}" if note else ""))


def _legend_name(name: str) -> str:
    """A class as a legend shows it: a leading underscore would hide it."""
    return plain(start_of(("\u200b" if name.startswith("_") else "") + name, LONGEST_NAME // 3))
