"""How fast things move: flow magnitudes per class, from frames drawn by lot, the same ones every time."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from fer_prep.clip_reader import open_shard
from fer_prep.report.gather import Stored, Survey

SEED = 2005
FRAMES_PER_CLASS, FRAMES_OF_ALL = 200, 2000
# pixels per frame; the largest that can be stored is 127.996·√2
EDGES_PX = np.geomspace(0.02, 200.0, 41)


@dataclass(frozen=True)
class FlowSample:
    """Flow magnitudes by class.

    Attributes:
        counts: label -> pixels by bin of EDGES_PX; slower ones are in the first bin.
        n_frames: label -> frames that these are from.
    """

    counts: Mapping[int, NDArray[np.int64]]
    n_frames: Mapping[int, int]

    def quantile_px(self, share: float) -> float:
        """The magnitude that this share of all sampled pixels does not exceed, to the bin; 0 without frames."""
        total = sum(self.counts.values(), np.zeros(len(EDGES_PX) - 1, np.int64)).cumsum()
        return float(EDGES_PX[1:][np.searchsorted(total, share * total[-1])]) if total[-1] else 0.0


def sample_flow(survey: Survey) -> FlowSample:
    """Draw frames of every class from the recordings that have clips.

    A frame whose flow is 0 by definition, for want of an image here or before, is drawn but does not count.

    Raises:
        FerPrepError: a shard is damaged.
    """
    labels = survey.labels()
    most = min(FRAMES_PER_CLASS, FRAMES_OF_ALL // max(len(labels), 1))
    counts = {label: np.zeros(len(EDGES_PX) - 1, np.int64) for label in labels}
    n_frames = dict.fromkeys(labels, 0)
    drawn = [(stored, row) for label in labels for stored, row in _draw(survey, label, most)]
    drawn.sort(key=lambda place: (place[0].path, place[1]))
    for path, places in groupby(drawn, key=lambda place: place[0].path):
        with open_shard(path) as shard:
            for stored, row in places:
                flow_HW2 = shard.flow_px(row)
                if flow_HW2 is not None:
                    speed = np.hypot(flow_HW2[..., 0], flow_HW2[..., 1])
                    counts[stored.row.label] += np.histogram(np.clip(speed, EDGES_PX[0], None), EDGES_PX)[0]
                    n_frames[stored.row.label] += 1
    return FlowSample(counts, n_frames)


def _draw(survey: Survey, label: int, most: int) -> list[tuple[Stored, int]]:
    """Rows of /frames, without the first ones of recordings, which have no flow."""
    choices = [s for s in survey.recordings if s.row.label == label and s.row.n_clips and s.row.n_frames > 1]
    ends = np.cumsum([stored.row.n_frames - 1 for stored in choices])
    if not len(ends):
        return []
    rng = np.random.default_rng([SEED, label + 1])
    picks = rng.choice(ends[-1], size=min(most, int(ends[-1])), replace=False, shuffle=False)
    owners = np.searchsorted(ends, picks, side="right")
    places = []
    for pick, owner in zip(picks.tolist(), owners.tolist(), strict=True):
        row = choices[owner].row
        places.append((choices[owner], row.first_frame + row.n_frames - (int(ends[owner]) - pick)))
    return places
