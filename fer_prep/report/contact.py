"""What the faces look like: clips of every class drawn by lot, and the recordings in which most faces were missed."""

from collections import Counter
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from fer_prep.clip_reader import ClipFrames, open_shard
from fer_prep.colour_wheel import flow_colours
from fer_prep.report.gather import Stored, Survey
from fer_prep.strips import marked, sized, spread, strip

SEED = 2021
CLIPS_PER_CLASS, CLASSES_SHOWN = 4, 24
FRAMES_OF_CLIP, CLIP_TILE = 8, 72
WORST_SHOWN, FRAMES_OF_WORST, WORST_TILE = 8, 12, 56


@dataclass(frozen=True)
class ClipPicture:
    """A clip: some of its frames above their flow.

    Attributes:
        frames: which ones, counted from the recording's first.
        first_frame, n_valid: of the whole clip.
    """

    stored: Stored
    rgb_HWC: NDArray[np.uint8]
    frames: tuple[int, ...]
    first_frame: int
    n_valid: int
    n_detected: int


@dataclass(frozen=True)
class TrackPicture:
    """A recording: frames from its whole length, those without a face in red frames."""

    stored: Stored
    rgb_HWC: NDArray[np.uint8]
    frames: tuple[int, ...]


def contact_sheets(survey: Survey, *, full_px: float) -> dict[int, list[ClipPicture]]:
    """Label -> its clips, in the order of the shards; at most CLASSES_SHOWN labels.

    Args:
        full_px: flow magnitude of the full colour.

    Raises:
        FerPrepError: a shard is damaged.
    """
    labels = survey.labels()[:CLASSES_SHOWN]
    label_C = np.array([stored.row.label for stored in survey.recordings], np.int64)[survey.clip_owner_C]
    drawn = [clip for label in labels for clip in _draw(survey, np.flatnonzero(label_C == label), label)]
    sheets: dict[int, list[ClipPicture]] = {label: [] for label in labels}

    def owner(clip: int) -> Stored:
        return survey.recordings[int(survey.clip_owner_C[clip])]

    for path, clips in groupby(sorted(drawn), key=lambda clip: owner(clip).path):
        with open_shard(path) as shard:
            for clip in clips:
                frames = shard.clip(int(survey.clip_number_C[clip]))
                sheets[frames.recording.label].append(_clip_picture(owner(clip), frames, full_px))
    return sheets


def _draw(survey: Survey, choices: NDArray[np.integer], label: int) -> list[int]:
    """Some of these clips, by lot; no second one of a subject before every subject had one."""
    seen: Counter[str] = Counter()
    turns: list[tuple[int, int, int]] = []
    for clip in np.random.default_rng([SEED, label + 1]).permutation(choices).tolist():
        subject = survey.recordings[survey.clip_owner_C[clip]].subject
        turns.append((seen[subject], len(turns), clip))
        seen[subject] += 1
    return [clip for _, _, clip in sorted(turns)[:CLIPS_PER_CLASS]]


def _clip_picture(stored: Stored, clip: ClipFrames, full_px: float) -> ClipPicture:
    chosen = spread(clip.n_valid, FRAMES_OF_CLIP)
    flow_NHWC = flow_colours(clip.flow_THW2[chosen], full_px=full_px)
    return ClipPicture(
        stored=stored,
        rgb_HWC=strip([clip.rgb_THWC[chosen], flow_NHWC], tile=CLIP_TILE),
        frames=tuple((clip.first_frame + chosen).tolist()),
        first_frame=clip.first_frame,
        n_valid=clip.n_valid,
        n_detected=int(clip.detected_T.sum()),
    )


def worst_recordings(survey: Survey) -> list[Stored]:
    """Recordings in which a face was not found in every frame, the worst first."""
    missed = [stored for stored in survey.recordings if stored.row.n_detected < stored.row.n_frames]
    return sorted(missed, key=lambda stored: stored.row.n_detected / stored.row.n_frames)


def worst_pictures(worst: list[Stored]) -> list[TrackPicture]:
    """The first WORST_SHOWN of them.

    Raises:
        FerPrepError: a shard is damaged.
    """
    pictures = []
    for stored in worst[:WORST_SHOWN]:
        chosen = spread(stored.row.n_frames, FRAMES_OF_WORST)
        with open_shard(stored.path) as shard:
            rgb_NHWC, detected_N = shard.images(stored.row.first_frame + chosen)
        tiles = [
            tile if found else marked(tile, width=3)
            for tile, found in zip((sized(rgb, WORST_TILE) for rgb in rgb_NHWC), detected_N, strict=True)
        ]
        pictures.append(TrackPicture(stored, strip([np.stack(tiles)], tile=WORST_TILE), tuple(chosen.tolist())))
    return pictures
