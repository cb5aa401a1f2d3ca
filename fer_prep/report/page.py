"""Everything a report shows becomes one HTML page that needs no other file."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from fer_prep.legible import legible
from fer_prep.report.contact import CLIPS_PER_CLASS, ClipPicture, TrackPicture
from fer_prep.report.counts import ClassRow, SubjectRow
from fer_prep.report.figures import HISTOGRAMS_SHOWN, SUBJECTS_SHOWN
from fer_prep.report.flow_sample import FlowSample
from fer_prep.report.gather import Survey

GROUPS_SIDE_BY_SIDE = 12  # more are summed up
CLASS_ROWS_SHOWN, SUBJECT_ROWS_SHOWN, REASONS_SHOWN, KINDS_SHOWN = 60, 150, 30, 40
JPEG_QUALITY = 88
USUAL_SHARE = 0.98  # of the sampled pixels are within the colours' scale, or nearly


@dataclass(frozen=True)
class Page:
    """What the template is filled with.

    Attributes:
        classes: the last row is that of all classes.
        reasons: (status, kind, recordings).
        contact: label -> clips.
        worst: pictures of the worst of the `n_incomplete` recordings that have frames without a face.
        detection, lengths, flow: PNG files; None where there is nothing to draw.
        sample: what the histogram of the flow shows; `usual_px` is what USUAL_SHARE of its pixels do not exceed.
        full_px: flow magnitude of the full colour.
        wheel: legend of the colours, a PNG file.
    """

    survey: Survey
    classes: Sequence[ClassRow]
    subjects: Sequence[SubjectRow]
    reasons: Sequence[tuple[str, str, int]]
    contact: Mapping[int, Sequence[ClipPicture]]
    worst: Sequence[TrackPicture]
    n_incomplete: int
    detection: bytes | None
    lengths: bytes | None
    flow: bytes | None
    sample: FlowSample
    usual_px: float
    full_px: float
    wheel: bytes

    @property
    def subjects_drawn(self) -> int:
        return min(SUBJECTS_SHOWN, sum(row.n_frames > 0 for row in self.subjects))

    @property
    def n_padded(self) -> int:
        return int((self.survey.clip_valid_C < self.survey.index.clip_length).sum())

    @property
    def seconds(self) -> list[float]:
        """Of the stored recordings whose frame rate is known."""
        rows = [stored.row for stored in self.survey.recordings]
        return [row.n_frames / row.fps for row in rows if row.fps > 0]

    @property
    def sampled(self) -> list[int]:
        """Frames that the histogram is from, by class, of those that have any."""
        return [n for n in self.sample.n_frames.values() if n]


def render(page: Page) -> str:
    """The page as HTML. Every text is made legible and escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fer_prep.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "n": "{:,}".format, "percent": percent, "cut": cut, "flat": flattened,
        "png": lambda content: _data_uri("png", content), "picture": lambda rgb: _data_uri("jpeg", _jpeg_file(rgb)),
    }  # fmt: skip
    return environment.get_template("template.html").render(
        page=page,
        survey=page.survey,
        index=page.survey.index,
        USUAL_SHARE=USUAL_SHARE,
        CLIPS_PER_CLASS=CLIPS_PER_CLASS,
        HISTOGRAMS_SHOWN=HISTOGRAMS_SHOWN,
        GROUPS_SIDE_BY_SIDE=GROUPS_SIDE_BY_SIDE,
        CLASS_ROWS_SHOWN=CLASS_ROWS_SHOWN,
        SUBJECT_ROWS_SHOWN=SUBJECT_ROWS_SHOWN,
        REASONS_SHOWN=REASONS_SHOWN,
        KINDS_SHOWN=KINDS_SHOWN,
    )


def _finalize(value: object) -> object:
    """Texts that the template prints; the only ones marked as safe are our own pictures."""
    return legible(value) if type(value) is str else value


def percent(share: float | None) -> str:
    """One decimal, rounded down: 100.0 is said of all only."""
    return "–" if share is None else f"{np.floor(1000 * share + 1e-9) / 10:.1f} %"


def cut(rows: Sequence[Any], most: int) -> Sequence[Any]:
    return rows[:most]


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """(dotted key, text) of nested sections."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", "–" if value is None or value == [] else _text(value)


def _text(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value))
        case _:
            return str(value)


def _data_uri(kind: str, content: bytes) -> Markup:
    return Markup(f"data:image/{kind};base64,{base64.b64encode(content).decode()}")


def _jpeg_file(rgb_HWC: NDArray[np.uint8]) -> bytes:
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    return cv2.imencode(".jpg", cv2.cvtColor(rgb_HWC, cv2.COLOR_RGB2BGR), quality)[1].tobytes()
