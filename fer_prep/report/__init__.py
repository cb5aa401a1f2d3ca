"""The report: finished shards become one page for people, `fer-prep report`."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from fer_prep.colour_wheel import round_scale, wheel
from fer_prep.errors import FerPrepError, UsageError
from fer_prep.files import check_place, replace_bytes, replace_text
from fer_prep.report import figures
from fer_prep.report.contact import contact_sheets, worst_pictures, worst_recordings
from fer_prep.report.counts import class_rows, reasons, subject_rows
from fer_prep.report.flow_sample import sample_flow
from fer_prep.report.gather import survey
from fer_prep.report.page import USUAL_SHARE, Page, render
from fer_prep.strips import png_file, stacked

REPORT = "report.html"
PAGE_START = b"<!doctype html>"
WHEEL_PX = 192


def write_report(shards: Path, *, out: Path | None = None, png: Path | None = None) -> Path:
    """Write the page on a directory of shards; the same shards give the same bytes.

    Args:
        out: the page; None: SHARDS/report.html.
        png: directory for the figures as PNG files.

    Returns:
        Where the page is.

    Raises:
        UsageError: this is no directory of shards, or a file cannot be written there.
        FerPrepError: the shards are unfinished or damaged.
    """
    found = survey(shards)
    out = shards / REPORT if out is None else out
    check_place(out, option="--out", replaces=PAGE_START)
    if png is not None:
        _make_directory(png)
    sample = sample_flow(found)
    usual_px = sample.quantile_px(USUAL_SHARE)
    full_px = round_scale(usual_px)
    subjects, worst = subject_rows(found), worst_recordings(found)
    page = Page(
        survey=found,
        classes=class_rows(found),
        subjects=subjects,
        reasons=reasons(found),
        contact=contact_sheets(found, full_px=full_px),
        worst=worst_pictures(worst),
        n_incomplete=len(worst),
        detection=figures.detection(subjects) if found.recordings else None,
        lengths=figures.lengths(found) if found.recordings else None,
        flow=figures.flow_histograms(found, sample) if any(sample.n_frames.values()) else None,
        sample=sample,
        usual_px=usual_px,
        full_px=full_px,
        wheel=png_file(wheel(WHEEL_PX)),
    )
    replace_text(out, render(page))
    if png is not None:
        for name, content in _png_files(page):
            replace_bytes(png / name, content)
    return out


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UsageError(f"{path} is a file; --png names a directory") from error
    except OSError as error:
        raise FerPrepError(f"{path} cannot be made ({error.strerror}); choose another --png") from error


def _png_files(page: Page) -> Iterator[tuple[str, bytes]]:
    """(file name, content) of every figure."""
    diagrams: Sequence[tuple[str, bytes | None]] = (
        ("detection", page.detection), ("lengths", page.lengths), ("flow", page.flow), ("flow-wheel", page.wheel),
    )  # fmt: skip
    yield from ((f"{name}.png", content) for name, content in diagrams if content is not None)
    for number, (label, clips) in enumerate(page.contact.items(), start=1):
        if clips:
            name = re.sub(r"[^A-Za-z0-9._-]", "_", page.survey.class_name(label) or "unlabelled")[:60]
            yield f"clips-{number:02}-{name}.png", png_file(stacked([clip.rgb_HWC for clip in clips]))
    if page.worst:
        yield "fewest-faces.png", png_file(stacked([track.rgb_HWC for track in page.worst]))
