"""The annotated video of a recording: its aligned faces, and beside them the probabilities of the clips around.

Axes: H rows, W columns, C channels, K classes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch.nn.functional import interpolate

from fer_model.errors import ArgumentError, RunDirectoryError
from fer_model.figures import plain
from fer_model.frames import FrameReader
from fer_model.predict.colours import class_colours
from fer_model.predict.decisions import Decision
from fer_model.predict.marks import all_faces
from fer_model.predict.texts import end_of, start_of
from fer_model.rundir import TEMPORARY_SUFFIX

Image: TypeAlias = npt.NDArray[np.uint8]
UNKNOWN_FPS = 25.0
BELIEVABLE_FPS = (1.0, 240.0)
# the first that PyAV was built with is taken; every build has the last
ENCODERS = {"libx264": {"crf": "18"}, "mpeg4": {"b": "4M"}}
FACE, TITLE, PANEL, FOOT = 336, 66, 320, 20  # pixels
LONGEST_LINE = 92  # characters of a title
NAME, ROW, LARGEST_BAR = 24, 44, 20
TRACK, NO_CLIP, TIME = (236, 236, 236), (150, 150, 150), (90, 90, 90)


def check_av() -> None:
    """Refuse to promise videos that cannot be written.

    Raises:
        ArgumentError: PyAV is not installed.
    """
    try:
        import av  # noqa: F401
    except ModuleNotFoundError as error:
        raise ArgumentError(
            "--video needs PyAV (av), which is not installed: pip install 'fer-convlstm[prep]', or leave --video out."
        ) from error


def write_film(
    path: Path, decision: Decision, *, classes: Sequence[str], reader: FrameReader, note: str | None
) -> None:
    """Write an MP4 of a recording, by rename, at the recording's frame rate; 25 per second if that is unknown.

    Raises:
        ShardError: faces cannot be read.
        RunDirectoryError: the video cannot be written.
    """
    import av
    import av.error

    stage = Stage.of(decision, classes, note=note)
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    try:
        with av.open(str(temporary), "w", format="mp4") as container:
            name = _encoder(av)
            stream: Any = container.add_stream(name, rate=_rate(decision.recording.fps), options=ENCODERS[name])
            stream.height, stream.width = stage.background.shape[:2]
            stream.pix_fmt = "yuv420p"
            for image in frames(decision, stage, reader=reader):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode())
        temporary.replace(path)
    except (av.error.FFmpegError, OSError) as error:
        raise RunDirectoryError(
            f"{path}: cannot be written ({error.strerror or error}); make room, or leave --video out."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What is the same in all pictures of a video."""

    background: Image
    bars: tuple[tuple[int, int], ...]
    """First row of each class' bar, and the row after its last."""
    colours: npt.NDArray[np.uint8]
    left: int
    right: int
    """Columns between which the bars lie."""

    @staticmethod
    def of(decision: Decision, classes: Sequence[str], *, note: str | None) -> "Stage":
        """The picture without a face and with empty bars."""
        height = max(FACE, ROW * len(classes)) + TITLE + FOOT
        height, width = height + height % 2, FACE + PANEL
        left, right = FACE + 20, width - 20
        figure = Figure(figsize=(width / 100, height / 100), dpi=100)
        top = TITLE + max(0, FACE - ROW * len(classes)) // 2
        bars = []
        for k, name in enumerate(classes):
            row = top + k * ROW
            figure.text(left / width, 1 - (row + NAME - 5) / height, plain(start_of(name, 40)), fontsize=9, va="bottom")
            bars.append((row + NAME - 2, row + NAME - 2 + min(LARGEST_BAR, ROW - NAME) - 6))
        vote = decision.vote
        said = "no clip" if vote is None else f"decided: {classes[vote.choice]}"
        label = f", labelled {classes[decision.recording.label]}" if decision.recording.label >= 0 else ""
        lines = [end_of(decision.recording.id, LONGEST_LINE), start_of(said + label, LONGEST_LINE)]
        lines += [start_of(f"note: {note}", LONGEST_LINE)] if note else []
        for i, line in enumerate(lines):
            figure.text(8 / width, 1 - (5 + 19 * i) / height, plain(line), fontsize=9, va="top")
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        background = np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]
        for first, last in bars:
            background[first:last, left:right] = TRACK
        colours = np.array([to_rgb(colour) for colour in class_colours(len(classes))]) * 255
        return Stage(background=background, bars=tuple(bars), colours=colours.astype(np.uint8), left=left, right=right)


def frames(decision: Decision, stage: Stage, *, reader: FrameReader) -> Iterator[Image]:
    """The pictures of the video, rgb_HWC, one per frame of the recording."""
    n_frames = decision.recording.n_frames
    shares = probabilities(decision, n_classes=len(stage.bars))
    for i, face in enumerate(all_faces(decision, reader)):
        image = stage.background.copy()
        image[TITLE : TITLE + FACE, :FACE] = enlarged(face, FACE)
        for k, (first, last) in enumerate(stage.bars):
            if np.isnan(shares[i, k]):
                image[first:last, stage.left : stage.left + 3] = NO_CLIP
            else:
                end = stage.left + round(float(shares[i, k]) * (stage.right - stage.left))
                image[first:last, stage.left : end] = stage.colours[k]
        image[-8:, : max(1, (i + 1) * image.shape[1] // n_frames)] = TIME
        yield image


def probabilities(decision: Decision, *, n_classes: int) -> npt.NDArray[np.float64]:
    """(frames, K): at each frame, the mean over the clips that it is in; NaN where it is in none."""
    total = np.zeros((decision.recording.n_frames, n_classes))
    n = np.zeros((decision.recording.n_frames, 1))
    for clip in decision.clips:
        rows = slice(clip.start, clip.start + clip.n_valid)
        total[rows] += clip.probability_K
        n[rows] += 1
    return np.divide(total, n, out=np.full_like(total, np.nan), where=n > 0)


def enlarged(rgb_HWC: Image, side: int) -> Image:
    """A picture of side×side pixels."""
    pixels = torch.from_numpy(rgb_HWC).permute(2, 0, 1)[None].float()
    large = interpolate(pixels, (side, side), mode="bicubic", align_corners=False, antialias=rgb_HWC.shape[0] > side)
    return large[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()


def _rate(fps: float) -> Fraction:
    slowest, fastest = BELIEVABLE_FPS
    return Fraction(fps if slowest <= fps <= fastest else UNKNOWN_FPS).limit_denominator(1001)


def _encoder(av: Any) -> str:
    for name in ENCODERS:
        try:
            av.codec.Codec(name, "w")
        except av.error.FFmpegError:
            continue
        return name
    raise RunDirectoryError(f"PyAV was built without the encoders {', '.join(ENCODERS)}; leave --video out.")
