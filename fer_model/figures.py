"""confusion.png and loss.png."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from fer_model.rundir import replace_file

DOTS_PER_INCH = 150


def confusion_figure(path: Path, *, confusion_KK: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> None:
    """Draw counts, shaded by the share of the true class (rows); a class without recordings stays white."""
    side = 2.6 + 0.62 * len(classes)
    figure = Figure(figsize=(max(7.0, side + 1.4), side + 0.4), layout="constrained")
    axes = figure.add_subplot()
    image = draw_counts(axes, confusion_KK=confusion_KK, classes=classes)
    axes.set_title(plain(title), fontsize=10)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    _save(figure, path)


def draw_counts(axes: Axes, *, confusion_KK: Sequence[Sequence[int]], classes: Sequence[str]) -> AxesImage:
    """The confusion matrix alone; what is returned is its shades, for a colour bar."""
    counts = np.asarray(confusion_KK)
    totals = counts.sum(1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.55 else "#333333" if count else "#bbbbbb"
        axes.text(column, row, str(count), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(classes)), [plain(c) for c in classes], rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), [f"{plain(c)} ({n})" for c, n in zip(classes, totals[:, 0], strict=True)])
    axes.set_xlabel("decided")
    axes.set_ylabel("true (recordings)")
    axes.spines[:].set_visible(False)
    return image


def loss_figure(path: Path, *, train: Sequence[float], validation: Sequence[float] | None, title: str) -> None:
    """Draw the mean loss of each epoch."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.add_subplot()
    epochs = range(1, len(train) + 1)
    axes.plot(epochs, train, marker=".", label="training")
    if validation is not None:
        axes.plot(epochs, validation, marker=".", label="validation")
        axes.legend(frameon=False)
    axes.set_xlabel("epoch")
    axes.set_ylabel("cross-entropy per clip")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(train) == 1:
        axes.set_xlim(0, 2)  # around a single point, no two whole numbers would be in sight
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(plain(title), fontsize=10)
    _save(figure, path)


def plain(text: str) -> str:
    """Text in which a dollar sign starts no formula."""
    return text.replace("$", r"\$")


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    content = io.BytesIO()
    figure.savefig(content, dpi=DOTS_PER_INCH, format="png")
    replace_file(path, content.getvalue())
