"""Whether the decoded frames of a shard can be what an aligner and a flow have made."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fer_prep.clips import plan_clips
from fer_prep.recipe import ClipRecipe
from fer_prep.verify.facts import Facts
from fer_prep.verify.tables import Span
from fer_prep.verify.words import brief, names, rows

VISIBLE_CHANGE = 1.0  # grey levels, on average over the image; a still video that is compressed changes by less


def unread_frames(facts: Facts, spans: Sequence[Span]) -> Iterator[str]:
    """Which frames cannot be decoded, and whose they are."""
    for name, unread_N in facts.unread.items():
        if unread_N.any():
            reason = facts.reasons[name]
            # the checksum is the first filter that a chunk meets when it is read
            filtered_out = "Fletcher32" in reason or "filter returned failure" in reason
            failed = "their checksum" if filtered_out else f"to decode ({reason})"
            hit = [span.id for span in spans if unread_N[span.first : span.end].any()]
            whose = f": recording{'s' if len(hit) > 1 else ''} {names(hit)}" if hit else ""
            yield f"frames {rows(unread_N)} of {name} fail {failed}{whose}"


def implausible_frames(facts: Facts, spans: Sequence[Span], recipe: ClipRecipe, saturated: int | None) -> Iterator[str]:
    """What contradicts the format, or cannot be, in the frames that were decoded.

    Args:
        saturated: how many values of the flow were cut, by the file's own account; None: it gives none.
    """
    read_N = facts.read_N
    found, shown_N, first_N = facts.detected_N == 1, facts.transform_N == 1, np.zeros(len(read_N), np.bool_)
    first_N[[span.first for span in spans]] = True
    still_N = facts.even_N & (facts.flow_N == 0)
    with np.errstate(invalid="ignore"):
        no_confidence_N = ~((facts.confidence_N >= 0) & (facts.confidence_N <= 1))
    pair_N = shown_N & np.r_[False, shown_N[:-1]] & ~first_N  # this frame and the one before have an image
    later_N = ~first_N & np.r_[False, read_N[:-1]]
    complaints = (
        ("detected is neither true nor false", facts.detected_N > 1),
        ("the confidence is not between 0 and 1", no_confidence_N),
        ("the confidence is not 0, though no face was found", ~found & (facts.confidence_N != 0) & ~no_confidence_N),
        ("a face was found, but its landmarks are not all numbers", found & (facts.landmarks_N != 1)),
        ("no face was found, but there are landmarks", ~found & (facts.landmarks_N != 0)),
        ("the transform is neither a map nor NaN", facts.transform_N == 2),
        ("a face was found, but there is no transform", found & (facts.transform_N == 0)),
        ("the image is not black, though there is no transform", (facts.transform_N == 0) & ~facts.black_N),
        ("a face was found, but the image is one colour", found & shown_N & facts.plain_N),
        ("the flow is not 0 in the first frame of a recording", first_N & ~still_N),
        ("the flow is not 0, though this image or the one before is missing", ~pair_N & ~still_N & later_N),
    )
    for what, wrong_N in complaints:
        yield from _where(what, wrong_N & read_N, spans)
    for span in spans:
        yield from _check_recording(facts, span, recipe, pair_N)
    if saturated is not None and not facts.unread["flow"].any() and not 0 <= saturated <= facts.at_limit:
        yield f"says that {saturated} values of the flow were cut, but {facts.at_limit} are as large as that"


def _where(what: str, wrong_N: NDArray[np.bool_], spans: Sequence[Span]) -> Iterator[str]:
    if wrong_N.any():
        hit = [span.id for span in spans if wrong_N[span.first : span.end].any()]
        frames = "frame" if wrong_N.sum() == 1 else "frames"
        yield f"{what}: {frames} {rows(wrong_N)}, recording{'s' if len(hit) > 1 else ''} {names(hit)}"


def _check_recording(facts: Facts, span: Span, recipe: ClipRecipe, pair_N: NDArray[np.bool_]) -> Iterator[str]:
    own = slice(span.first, span.end)
    if not facts.unread["detected"][own].any():
        detected_N = facts.detected_N[own] == 1
        if (n_detected := int(detected_N.sum())) != span.n_detected:
            yield f"recording {brief(span.id)}: n_detected is {span.n_detected}, but {n_detected} frames are marked so"
        expected = [(clip.first_frame, clip.n_valid) for clip in plan_clips(detected_N, recipe).clips]
        if list(span.clips) != expected:
            yield (
                f"recording {brief(span.id)}: its clips begin at {_starts(span.clips)}; by the recipe and the frames "
                f"with a face they begin at {_starts(expected)}"
            )
    pairs = pair_N[own] & facts.read_N[own] & ~np.isnan(facts.change_N[own])
    if not pairs.any():
        return
    vectors = facts.flow_N[own][pairs]
    is_one_vector = facts.even_N[own][pairs].all() and (vectors == vectors[0]).all()
    change = float(facts.change_N[own][pairs].mean())
    if is_one_vector and change > VISIBLE_CHANGE:
        yield (
            f"recording {brief(span.id)}: its images change by {change:.1f} grey levels from frame to frame, but its "
            "flow is the same everywhere"
        )


def _starts(clips: Sequence[tuple[int, int]]) -> str:
    begin = [str(first) for first, _ in clips]
    return (
        f"frames {', '.join(begin[:8])}{' …' if len(begin) > 8 else ''} ({len(begin)} clips)" if begin else "no frame"
    )
