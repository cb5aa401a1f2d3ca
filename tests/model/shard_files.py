"""Write small shard directories by plain h5py, straight from docs/shard-format.md: no code of fer_prep is involved."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import h5py
import hdf5plugin
import numpy as np
import numpy.typing as npt

CLASSES = ("left", "right", "still")
LENGTH, STRIDE = 4, 2
KEY = "ab" * 32

RECORDING = np.dtype(
    [
        ("id", h5py.string_dtype("utf-8", 32)),
        ("path", h5py.string_dtype("utf-8", 64)),
        ("sha256", h5py.string_dtype("utf-8", 64)),
        ("label", "<i4"),
        ("subject", h5py.string_dtype("utf-8", 32)),
        ("group", "<i4"),
        ("first_frame", "<i8"),
        ("n_frames", "<i8"),
        ("fps", "<f8"),
        ("n_detected", "<i8"),
    ]
)
CLIP = np.dtype([("recording", "<i4"), ("first_frame", "<i8"), ("n_valid", "<i4"), ("label", "<i4")])


@dataclass(frozen=True)
class Video:
    """One recording to store: what to call it, its label, and its frames."""

    id: str
    label: int
    rgb: npt.NDArray[np.uint8]
    flow: npt.NDArray[np.int16]


def moving_video(id_: str, *, label: int, n_frames: int, seed: int, size: int = 16) -> Video:
    """Noise for a face; the flow says the label by the order of two moves. The first and the last frame stand still."""
    random = np.random.default_rng(seed)
    rgb = random.integers(0, 256, (1, size, size, 3), dtype=np.uint8).repeat(n_frames, 0)
    flow = random.normal(0, 20, (n_frames, size, size, 2))
    sign = {0: -1.0, 1: 1.0, 2: 0.0, -1: 0.0}[label]
    moves = np.zeros(n_frames)
    moves[1 : n_frames // 2] = sign
    moves[n_frames // 2 : -1] = -sign
    flow[..., 1] += moves[:, None, None] * 512
    flow[0] = 0
    return Video(id=id_, label=label, rgb=rgb, flow=np.rint(flow).astype(np.int16))


def barred_video(id_: str, *, label: int, n_frames: int, seed: int, size: int = 32) -> Video:
    """A light bar moves down over a noisy face (0), up (1) or stays in the middle; the flow is noise.

    The frames of the first two are the same: only their order says the label.
    """
    random = np.random.default_rng(seed)
    rgb = random.integers(0, 64, (n_frames, size, size, 3), dtype=np.uint8)
    for t in range(n_frames):
        place = {0: t, 1: n_frames - 1 - t}.get(label, n_frames // 2)
        rgb[t, place * size // n_frames : (place + 1) * size // n_frames] += 160
    flow = random.normal(0, 20, (n_frames, size, size, 2))
    flow[0] = 0
    return Video(id=id_, label=label, rgb=rgb, flow=np.rint(flow).astype(np.int16))


class MakeVideo(Protocol):
    """Makes a recording."""

    def __call__(self, id_: str, *, label: int, n_frames: int, seed: int, size: int) -> Video:
        """The same recording for the same arguments."""


def write_corpus(
    directory: Path,
    *,
    n_groups: int = 3,
    subjects_per_group: int = 1,
    labels: Sequence[int] = (0, 1, 2, 0, 1, 2),
    n_frames: Sequence[int] = (4, 6, 3),
    size: int = 16,
    length: int = LENGTH,
    corpus: str = "tiny",
    recipe: dict[str, Any] | None = None,
    make: MakeVideo = moving_video,
) -> Path:
    """A finished directory: each subject has one recording per entry of `labels`, with lengths from `n_frames`."""
    directory.mkdir(parents=True, exist_ok=True)
    entries = []
    for s in range(n_groups * subjects_per_group):
        subject, group = f"s{s:02}", s % n_groups + 1
        videos = [
            make(f"{subject}-{i}", label=label, n_frames=n_frames[i % len(n_frames)], seed=100 * s + i, size=size)
            for i, label in enumerate(labels)
        ]
        path = directory / f"{corpus}-s{subject}.h5"
        entries.append(
            write_shard(path, videos, subject=subject, group=group, corpus=corpus, recipe=recipe or {}, length=length)
        )
    index = {
        "format": "fer-shards",
        "version": 1,
        "corpus": corpus,
        "classes": list(CLASSES),
        "clip": {"length": length, "stride": STRIDE},
        "n_groups": n_groups,
        "aligner": "mesh",
        "recipe": recipe or {},
        "versions": {"models": {}},
        "shards": entries,
        "unknown": "a reader ignores it",
    }
    write_index(directory, index)
    return directory


def write_shard(
    path: Path,
    videos: Sequence[Video],
    *,
    subject: str,
    group: int,
    corpus: str,
    recipe: dict[str, Any],
    length: int = LENGTH,
) -> dict[str, Any]:
    """One finished shard; its entry for the index."""
    recordings, clips, first = [], [], 0
    for i, video in enumerate(videos):
        n = len(video.rgb)
        recordings.append((video.id, f"{video.id}.avi", "0" * 64, video.label, subject, group, first, n, 25.0, n))
        starts = list(range(0, n - length + 1, STRIDE)) or [0]
        clips += [(i, first + start, min(length, n), video.label) for start in starts]
        first += n
    with h5py.File(path, "w") as file:
        store_frames(file, "rgb", np.concatenate([v.rgb for v in videos]))
        store_frames(file, "flow", np.concatenate([v.flow for v in videos]))
        flow = file["frames/flow"]
        flow.attrs.update({"scale": 256.0, "saturated": 0})
        file["frames/detected"] = np.ones(first, bool)
        file["frames/confidence"] = np.ones(first, np.float32)
        file["frames/landmarks"] = np.zeros((first, 68, 2), np.float32)
        file["frames/transform"] = np.zeros((first, 2, 3), np.float32)
        rows = [tuple(x.encode() if isinstance(x, str) else x for x in row) for row in recordings]
        file["recordings"] = np.array(rows, RECORDING)
        file["clips"] = np.array(clips, CLIP)
        file.attrs.update({"format": "fer-shard", "version": 1, "corpus": corpus, "subject": subject})
        file.attrs.update({"aligner": "mesh", "group": group, "clip_length": length, "clip_stride": STRIDE})
        file.attrs.update({"classes": json.dumps(CLASSES), "recipe": json.dumps(recipe), "versions": "{}", "key": KEY})
    entry = {"file": path.name, "subject": subject, "group": group, "key": KEY}
    return entry | file_facts(path) | {"n_recordings": len(videos), "n_clips": len(clips), "n_frames": first}


def store_frames(
    file: h5py.File, name: str, frames: npt.NDArray[Any], *, chunk: int = 8, filter_: str = "none"
) -> None:
    """Images or flow as the format says, in chunks of some frames."""
    filters: dict[str, dict[str, Any]] = {
        "none": {},
        "gzip": {"compression": "gzip", "shuffle": True},
        "bitshuffle-lz4": dict(hdf5plugin.Bitshuffle(cname="lz4")),
    }
    file.create_dataset(
        f"frames/{name}", data=frames, chunks=(chunk, *frames.shape[1:]), maxshape=(None, *frames.shape[1:]),
        fletcher32=True, **filters[filter_],
    )  # fmt: skip


def file_facts(path: Path) -> dict[str, Any]:
    """Size and digest of a file, for the index."""
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def write_index(directory: Path, index: dict[str, Any]) -> None:
    """Write index.json with its own hash."""
    others = {name: value for name, value in index.items() if name != "index_sha256"}
    text = json.dumps(others, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    index = others | {"index_sha256": hashlib.sha256(text.encode()).hexdigest()}
    (directory / "index.json").write_text(json.dumps(index), encoding="utf-8")


def edit_index(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change index.json by `change(index)`, and its hash with it."""
    index = json.loads((directory / "index.json").read_text(encoding="utf-8"))
    change(index)
    write_index(directory, index)


def edit_shard(directory: Path, change: Callable[[h5py.File], object], *, number: int = 0) -> Path:
    """Change a shard by `change(file)`, and its size in the index with it; the shard's path."""
    path: Path = sorted(directory.glob("*.h5"))[number]
    with h5py.File(path, "r+") as file:
        change(file)
    edit_index(directory, lambda index: index["shards"][number].update(file_facts(path)))
    return path


def set_field(table: str, row: int, **values: object) -> Callable[[h5py.File], None]:
    """A change of fields in a row of a table."""

    def change(file: h5py.File) -> None:
        rows = file[table][:]
        for name, value in values.items():
            rows[name][row] = value
        file[table][...] = rows

    return change
