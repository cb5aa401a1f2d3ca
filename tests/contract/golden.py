"""What the golden shard directory holds, as formulas: neither side's code, so that both can be checked against it.

`python tests/contract/golden.py` writes tests/contract/golden/ anew with fer_prep's writer. It is written once per
format version; a change of its content is a change of the format.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

GOLDEN = Path(__file__).parent / "golden"
SIZE, LENGTH, STRIDE = 16, 8, 4
CLASSES = ("anger", "joy", "surprise")


@dataclass(frozen=True)
class GoldenRecording:
    """A recording with the first frames of its clips. Frames in `faceless` have no face, those in `black` no image."""

    subject: str
    group: int
    id: str
    label: int
    n_frames: int
    clip_starts: tuple[int, ...]
    faceless: tuple[int, ...] = ()
    black: tuple[int, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()


RECORDINGS = (
    GoldenRecording("7", 1, "7/long.avi", 1, 20, (0, 4, 8, 12), faceless=(5, 6), extra=(("mood", "grün"),)),
    GoldenRecording("7", 1, "7/short ü.avi", 0, 3, (0,)),
    GoldenRecording("a b", 2, "a b/unlabelled.avi", -1, 9, (0,)),
    GoldenRecording("a b", 2, "a b/faceless.avi", 2, 8, (), faceless=tuple(range(8)), black=tuple(range(8))),
    GoldenRecording("a b", 2, "a b/last.avi#10-18", 2, 8, (0,)),
)


def seed_of(recording: GoldenRecording) -> int:
    return 31 * RECORDINGS.index(recording)


def rgb_NHWC(recording: GoldenRecording) -> NDArray[np.uint8]:
    """Red counts frames, green rows, blue columns."""
    n, h, w = np.ogrid[: recording.n_frames, :SIZE, :SIZE]
    zero = np.zeros((recording.n_frames, SIZE, SIZE), int)
    rgb = np.stack([seed_of(recording) + 3 * n + zero, 7 * h + zero, 5 * w + zero], axis=-1)
    rgb[list(recording.black)] = 0
    return (rgb % 256).astype(np.uint8)


def flow_NHW2(recording: GoldenRecording) -> NDArray[np.int16]:
    """Stored units, 1/256 px. dx grows with the frame, dy with the row and to the left."""
    n, h, w = np.ogrid[: recording.n_frames, :SIZE, :SIZE]
    zero = np.zeros((recording.n_frames, SIZE, SIZE), int)
    flow = np.stack([256 * n + seed_of(recording) + zero, 100 * (h - w) + zero], axis=-1)
    flow[[0, *recording.black]] = 0
    return flow.astype(np.int16)


def write(directory: Path) -> None:
    """Write the directory with fer_prep."""
    from fer_prep.align.track import FaceTrack
    from fer_prep.clips import Clip
    from fer_prep.ledger import LedgerRow, write_ledger
    from fer_prep.output import write_index
    from fer_prep.recipe import AlignRecipe, ClipRecipe, Recipe
    from fer_prep.shards import ShardHead, StoredRecording, write_shard

    recipe = Recipe(
        corpus="manifest",
        groups=2,
        align=AlignRecipe(backend="mesh", face_size=SIZE),
        clips=ClipRecipe(length=LENGTH, stride=STRIDE),
    )  # fmt: skip
    versions = {"fer_prep": "golden"}

    def stored(recording: GoldenRecording) -> StoredRecording:
        detected = ~np.isin(np.arange(recording.n_frames), recording.faceless)
        shown = ~np.isin(np.arange(recording.n_frames), recording.black)
        landmarks = np.where(detected[:, None, None], np.linspace(0, SIZE - 1, 136).reshape(68, 2), np.nan)
        transform = np.where(shown[:, None, None], [[0.5, 0, 1], [0, 0.5, 2]], np.nan)
        return StoredRecording(
            id=recording.id, path=recording.id.split("#")[0], sha256=f"{seed_of(recording):064x}",
            label=recording.label, fps=25.0, saturated=0, flow_NHW2=flow_NHW2(recording),
            track=FaceTrack(
                rgb_NHWC(recording), detected, detected.astype(np.float32) * np.float32(0.75),
                landmarks.astype(np.float32), transform.astype(np.float32),
            ),
            extra=recording.extra,
            clips=tuple(Clip(start, min(LENGTH, recording.n_frames - start)) for start in recording.clip_starts),
        )  # fmt: skip

    directory.mkdir(parents=True, exist_ok=True)
    entries = []
    for subject, group, name in (("7", 1, "manifest-s7.h5"), ("a b", 2, "manifest-sa_b.h5")):
        head = ShardHead("manifest", subject, group, CLASSES, recipe, versions, key=subject.encode().hex().zfill(64))
        entry = write_shard(directory / name, head, (stored(r) for r in RECORDINGS if r.subject == subject))
        assert entry is not None
        entries.append(entry)
    rows = [
            LedgerRow(
                r.id, r.subject, CLASSES[r.label] if r.label >= 0 else "", r.group,
                "ok" if r.clip_starts else "skipped",
                "" if r.clip_starts else f"no face: none found in {r.n_frames} frames", r.n_frames,
                r.n_frames - len(r.faceless), len(r.clip_starts), 0.0,
            )
            for r in RECORDINGS
    ]  # fmt: skip
    write_ledger(directory, rows)
    write_index(
        directory,
        corpus="manifest",
        classes=CLASSES,
        n_groups=2,
        recipe=recipe,
        versions=versions,
        left_out={},
        rows=rows,
        entries=entries,
    )


if __name__ == "__main__":
    write(GOLDEN)
