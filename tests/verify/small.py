"""A small directory of shards with everything that is rare and right, and tools to damage it."""

import csv
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from fer_prep.align.track import FaceTrack
from fer_prep.clips import plan_clips
from fer_prep.flow import track_flow
from fer_prep.ledger import LedgerRow, ledger_sha256, write_ledger
from fer_prep.output import index_sha256, write_index
from fer_prep.recipe import AlignRecipe, ClipRecipe, FarnebackRecipe, Recipe, StorageRecipe
from fer_prep.shards import ShardHead, StoredRecording, write_shard
from fer_prep.verify import run as verifying
from fer_prep.verify.index import Entry, Index
from fer_prep.verify.ledger import parse_ledger
from fer_prep.verify.result import Listener, Verification
from fer_prep.verify.shard import ShardReport, check_shard

SIZE, CLASSES, VERSIONS = 24, ("anger", "joy"), {"fer_prep": "0"}
FILE, OTHER = "manifest-sanna.h5", "manifest-sben.h5"
# subject -> recording -> (label, one letter for each frame: f face, g short gap that shows a face, . black)
Recordings = dict[str, dict[str, tuple[int, str]]]
RECORDINGS: Recordings = {
    "anna": {
        "anna/long.avi": (1, "f" * 30),
        "anna/gaps.avi": (0, "..ffggffffffffff......ffffffff"),
        "anna/still.avi": (1, "s" * 10),
    },
    "ben": {
        "ben/one.avi": (0, "f"),
        "ben/short.avi": (1, "fffff"),
        "ben/faceless.avi": (0, "." * 12),
        "ben/unlabelled.avi": (-1, "f" * 9),
    },
}
GROUPS = {"anna": 1, "ben": 2}


def recipe(storage: str, size: int) -> Recipe:
    return Recipe(
        corpus="manifest",
        align=AlignRecipe(backend="mesh", face_size=size),
        flow=FarnebackRecipe(winsize=5, levels=1),
        clips=ClipRecipe(length=8, stride=4),
        storage=StorageRecipe(filter=storage, chunk_kib=4),  # type: ignore[arg-type]
    )


def images(marks: str, seed: int, size: int) -> NDArray[np.uint8]:
    """A smooth pattern that moves by a pixel a frame, stands still (s), or is missing (.)."""
    y, x = np.mgrid[:size, :size]
    shift = [0 if mark == "s" else k for k, mark in enumerate(marks)]
    waves = [np.sin((x + s) / 3 + seed) + np.cos((y + s / 2) / 2) for s in shift]
    rgb_NHWC = np.stack([np.stack([wave * 40 + 128 + c for c in range(3)], axis=-1) for wave in waves])
    rgb_NHWC[[mark == "." for mark in marks]] = 0
    return rgb_NHWC.astype(np.uint8)


def stored(id_: str, label: int, marks: str, recipe: Recipe) -> StoredRecording:
    size = recipe.align.face_size
    detected = np.array([mark in "fs" for mark in marks])
    shown = np.array([mark != "." for mark in marks])
    track = FaceTrack(
        images(marks, len(id_), size),
        detected,
        np.where(detected, 0.9, 0).astype(np.float32),
        np.where(detected[:, None, None], np.linspace(0, size, 136).reshape(68, 2), np.nan).astype(np.float32),
        np.where(shown[:, None, None], [[0.5, 0, 1], [0, 0.5, 2]], np.nan).astype(np.float32),
    )
    flow, saturated = track_flow(track, recipe.flow)
    clips = plan_clips(detected, recipe.clips).clips
    sha256 = hashlib.sha256(id_.encode()).hexdigest()
    return StoredRecording(id_, id_, sha256, label, 25.0, track, flow, saturated, clips, (("mood", "grün"),))


def write(
    directory: Path, storage: str = "bitshuffle-lz4", *, size: int = SIZE, recordings: Recordings = RECORDINGS
) -> Path:
    """The whole directory, as a build leaves it."""
    directory.mkdir(parents=True, exist_ok=True)
    entries, rows, by = [], [], recipe(storage, size)
    for subject, of_subject in recordings.items():
        head = ShardHead(
            "manifest", subject, GROUPS[subject], CLASSES, by, VERSIONS, key=subject.encode().hex().zfill(64)
        )
        parts = [stored(id_, label, marks, by) for id_, (label, marks) in of_subject.items()]
        entries.append(write_shard(directory / f"manifest-s{subject}.h5", head, parts))
        for part in parts:
            rows.append(
                LedgerRow(
                    part.id, subject, CLASSES[part.label] if part.label >= 0 else "", GROUPS[subject],
                    "ok" if part.clips else "skipped", "" if part.clips else "no face: none found",
                    part.track.n_frames, part.track.n_detected, len(part.clips), 0.1,
                )
            )  # fmt: skip
    rows.append(LedgerRow("ben/lost.avi", "ben", "joy", 2, "failed", "truncated: 3 of 9 frames", 3, 0, 0, 0.1))
    write_ledger(directory, rows)
    write_index(
        directory, corpus="manifest", classes=CLASSES, n_groups=2, recipe=by, versions=VERSIONS,
        left_out={"unlabelled": 1}, rows=rows, entries=[entry for entry in entries if entry is not None],
    )  # fmt: skip
    return directory


def edit_index(directory: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change the index as someone would who knows about its hash."""
    path = directory / "index.json"
    index = json.loads(path.read_text(encoding="utf-8"))
    edit(index)
    index["index_sha256"] = index_sha256(index)
    path.write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def list_anew(directory: Path) -> None:
    """Sizes and hashes in the index are those of the files, whatever was done to them."""

    def edit(index: dict[str, Any]) -> None:
        for shard in index["shards"]:
            if (directory / shard["file"]).is_file():
                content = (directory / shard["file"]).read_bytes()
                shard |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        with suppress(ValueError, csv.Error):
            index["ledger_sha256"] = ledger_sha256(parse_ledger((directory / "ledger.csv").read_bytes()))

    edit_index(directory, edit)


@contextmanager
def changed(directory: Path, file: str = FILE) -> Iterator[h5py.File]:
    """A shard open for damage; the index then lists what has become of it."""
    with h5py.File(directory / file, "r+") as opened:
        yield opened
    list_anew(directory)


def _check_here(
    directory: Path, index: Index, *, quick: bool, workers: int, listener: Listener
) -> Iterator[tuple[Entry, ShardReport]]:
    for entry in index.shards:
        yield entry, check_shard(directory, entry, index, quick=quick, progress=listener.checked_bytes)


def verify_here(directory: Path, *, quick: bool = False) -> Verification:
    """Verify without processes, which take a second to start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifying, "check_shards", _check_here)
        return verifying.verify(directory, quick=quick)


def sentences(result: Verification) -> list[str]:
    return [f"{finding.file}: {finding.sentence}" for finding in result.findings]
