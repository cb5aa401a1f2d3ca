"""What `make demo` made, as one picture: aligned faces, their flow in colours, and the confusion matrix."""

import csv
import io
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from PIL import Image

from fer_model.figures import draw_counts
from fer_prep.clip_reader import ClipFrames, open_shard
from fer_prep.colour_wheel import flow_colours, round_scale, wheel

FOLD = 1
SHOWN = ("happiness", "surprise")
EVERY = 2  # frames of a clip of 16
USUAL_SHARE = 0.98  # of the pixels are within the colours' scale
WHEEL = 120  # pixels
TITLE = "One photograph, warped into ten “persons”: it shows that the tools work, not how well they tell expressions"


def clips_of(shards: Path) -> list[ClipFrames]:
    """The first clip of each shown class, of a person that was not trained on."""
    index = json.loads((shards / "index.json").read_text(encoding="utf-8"))
    held_out = next(shard["file"] for shard in index["shards"] if shard["group"] == FOLD)
    with open_shard(shards / held_out) as reader:
        names = [reader.class_name(label) for label in reader.clips["label"]]
        return [reader.clip(names.index(name)) for name in SHOWN]


def confusion_of(run: Path) -> tuple[list[list[int]], list[str]]:
    """Decisions on recordings, rows by the true class; the classes."""
    with (run / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["level"] == "video"]
    classes = [key.removeprefix("p_") for key in rows[0] if key.startswith("p_")]
    counts = Counter((row["label"], row["predicted"]) for row in rows)
    return [[counts[true, decided] for decided in classes] for true in classes], classes


def draw_clips(figure: SubFigure, clips: list[ClipFrames], *, full_px: float) -> None:
    """Faces above their flow."""
    frames = range(0, len(clips[0].rgb_THWC), EVERY)
    grid = figure.subplots(2 * len(clips), len(frames), gridspec_kw={"wspace": 0, "hspace": 0})
    rows = [picture for clip in clips for picture in (clip.rgb_THWC, flow_colours(clip.flow_THW2, full_px=full_px))]
    titles = [title for name in SHOWN for title in (name, "flow")]
    for axes_of_row, pictures, title in zip(grid, rows, titles, strict=True):
        for axes, t in zip(axes_of_row, frames, strict=True):
            axes.imshow(pictures[t])
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        axes_of_row[0].set_ylabel(title)
    for axes, t in zip(grid[0], frames, strict=True):
        axes.set_title(f"frame {clips[0].first_frame + t}", fontsize=8)


def draw_decisions(figure: SubFigure, run: Path, *, full_px: float) -> None:
    """The confusion matrix, and the legend of the flow's colours below it."""
    confusion_KK, classes = confusion_of(run)
    above, below = figure.subplots(2, 1, height_ratios=[4, 1])
    draw_counts(above, confusion_KK=confusion_KK, classes=classes)
    above.set_title("recordings of two “persons” held out", fontsize=9)
    below.imshow(wheel(WHEEL))
    below.axis("off")
    below.set_title(f"flow: direction, and up to {full_px:g} pixels per frame", fontsize=9)


def main(demo: Path) -> None:
    """Write demo/demo.png."""
    clips = clips_of(demo / "shards")
    speed = np.concatenate([np.hypot(*clip.flow_THW2.T).ravel() for clip in clips])
    full_px = round_scale(float(np.quantile(speed, USUAL_SHARE)))
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1.85, 1])[0]
    draw_clips(left, clips, full_px=full_px)
    draw_decisions(right, demo / "runs" / "sample" / "enhanced" / "seed0" / f"fold{FOLD}", full_px=full_px)
    figure.suptitle(TITLE, fontsize=11)
    FigureCanvasAgg(figure)
    content = io.BytesIO()
    figure.savefig(content, dpi=100)
    rgb = Image.open(content).convert("RGB")
    palette = rgb.quantize(256, method=Image.Quantize.MAXCOVERAGE)  # 256 colours are a third of the bytes
    rgb.quantize(palette=palette).save(demo / "demo.png", optimize=True)
    print(f"faces, flow and the confusion matrix: {demo / 'demo.png'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
