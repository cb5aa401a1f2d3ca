"""Fake tasks for a simulated build: they align nothing and look at no video, and their shards hold one black frame.

Everything around them is what a build has: the driver, the graph, ledger, index and resuming. Aligned faces are of
`SIDE` pixels.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fer_prep.align.track import FaceTrack
from fer_prep.clips import Clip
from fer_prep.ledger import LedgerRow
from fer_prep.shards import ShardHead, StoredRecording, write_shard
from fer_prep.stages import Aligned, AlignSetup, BuiltShard, Job, input_sha256
from fer_prep.stopwatch import Timings

SIDE = 16
SPENT = Timings({"decode": 0.001, "detect": 0.001}, {"decode": 0.001, "detect": 0.001})


def fake_align(jobs: list[Job], setup: AlignSetup) -> list[Aligned]:
    """An outcome for each recording; its file is hashed, for resuming compares hashes."""
    return [Aligned(job, input_sha256(job.recording.path), 1, 0.002, timings=SPENT) for job in jobs]


def fake_shard(path: Path, head: ShardHead, aligned: list[Aligned], setup: AlignSetup) -> BuiltShard:
    """A real shard file, of one black frame for each recording."""
    rows: list[LedgerRow] = []
    flow = np.zeros((1, SIDE, SIDE, 2), np.int16)

    def stored() -> Iterator[StoredRecording]:
        for outcome in aligned:
            job = outcome.job
            rows.append(
                LedgerRow(
                    job.recording.id, job.recording.subject, job.recording.label or "", job.group, "ok", "", 1, 1, 1,
                    outcome.seconds,
                )
            )  # fmt: skip
            yield StoredRecording(
                job.recording.id, job.recording.file, outcome.sha256, job.label, 25.0, black_track(), flow, 0,
                (Clip(0, 1),), job.recording.extra,
            )  # fmt: skip

    return BuiltShard(write_shard(path, head, stored()), tuple(rows), SPENT)


def black_track() -> FaceTrack:
    """One frame that claims a face."""
    return FaceTrack(
        rgb_NHWC=np.zeros((1, SIDE, SIDE, 3), np.uint8),
        detected_N=np.ones(1, bool),
        confidence_N=np.ones(1, np.float32),
        landmarks_N68x2=np.zeros((1, 68, 2), np.float32),
        transform_N2x3=np.zeros((1, 2, 3), np.float32),
    )
