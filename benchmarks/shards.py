"""How fast clips come out of shards, and how much room they take, beside files that people write by hand.

    python benchmarks/shards.py [--data ../shared/data] [--json FILE] [--keep DIR]

Clips of real video, 16×112×112, in random order, the page cache warm, on one core unless a row says otherwise. Variants
take turns in one process; all were read once before; medians of the rounds.
"""

import csv
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import h5py
import numpy as np
import torch
from lib.peers import FloatWindows, TarOfWindows, Window
from lib.report import Measure, report
from torch.utils.data import DataLoader

from fer_model.chunks import ChunkTable, chunk_table, decode
from fer_model.data import ClipDataset, ClipStore
from fer_model.folds import ClipRef
from fer_model.inputs import network_inputs
from fer_model.shards import Corpus, read_corpus

ROUNDS, SIZE, BATCH = 7, 112, 6
N_SLOW = 24  # windows that a slow reader is asked for
FILTERS = ("bitshuffle-lz4", "none")
VIDEOS = {".mp4", ".mov", ".mkv", ".mpg", ".avi"}


def build(data: Path, home: Path) -> None:
    """Shards of the real clips with each filter, and of the london clips with the default one."""
    with (home / "real.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "subject", "label"])
        videos = sorted(p for p in (data / "real").rglob("*") if p.suffix in VIDEOS)
        rows.writerows((p.relative_to(data / "real"), p.stem, "ab"[i % 2]) for i, p in enumerate(videos))
    for name, root, manifest, filter_ in (
        *((f"real-{filter_}", data / "real", home / "real.csv", filter_) for filter_ in FILTERS),
        ("london", data / "london", "labels.csv", FILTERS[0]),
    ):
        recipe = home / f"{filter_}.toml"
        recipe.write_text(f'corpus = "manifest"\n[storage]\nfilter = "{filter_}"\n')
        subprocess.run(
            [sys.executable, "-m", "fer_prep", "build", "--dataset", "manifest", "--root", root.resolve(),
             "--manifest", str(manifest), "--recipe", recipe, "--out", home / name, "--cache", home / "cache"],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip


@contextmanager
def on_cores(n: int) -> Iterator[None]:
    """This process, and all that it starts, on so many cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[-n:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def rates(variants: Mapping[str, tuple[int, Callable[[], object]]]) -> dict[str, float]:
    """Clips per second of each variant (clips, action), in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _, (name, (_, action)) in itertools.product(range(1 + ROUNDS), variants.items()):
        begin = time.perf_counter()
        action()
        seconds[name].append(time.perf_counter() - begin)
    return {name: n / statistics.median(seconds[name][1:]) for name, (n, _) in variants.items()}


def all_refs(corpus: Corpus) -> list[ClipRef]:
    """All clips of full length, in random order."""
    refs = [ClipRef(shard=s, clip=c) for s in corpus.shards for c in s.clips if c.n_valid == corpus.index.clip_length]
    return [refs[i] for i in np.random.default_rng(0).permutation(len(refs))]


def new_store(corpus: Corpus, *, readers: int = 1) -> ClipStore:
    return ClipStore(clip_length=corpus.index.clip_length, size=SIZE, readers=readers)


def read(store: ClipStore, refs: Sequence[ClipRef]) -> None:
    for ref in refs:
        store.clip(ref)


def read_batches(store: ClipStore, refs: Sequence[ClipRef]) -> None:
    for _ in store.batches(refs[i : i + BATCH] for i in range(0, len(refs), BATCH)):
        pass


def read_floats(store: ClipStore, refs: Sequence[ClipRef], *, flow_scale: float) -> None:
    for ref in refs:
        rgb_THWC, flow_THWC = store.clip(ref)
        network_inputs(rgb_THWC[None], flow_THWC[None], flip_B=None, flow_scale=flow_scale)


def read_by_h5py(files: Mapping[Path, h5py.File], refs: Sequence[ClipRef]) -> None:
    for ref in refs:
        rows = slice(ref.clip.first_frame, ref.clip.first_frame + ref.clip.n_valid)
        file = files[ref.shard.path]
        file["frames/rgb"][rows], file["frames/flow"][rows]


def decoder_alone(refs: Sequence[ClipRef]) -> Callable[[], None]:
    """Decode the chunks of these clips from memory to memory, with nothing else: what no reader can be faster than."""
    work: list[tuple[bytes, ChunkTable, int]] = []
    for ref in refs:
        first, last = ref.clip.first_frame, ref.clip.first_frame + ref.clip.n_valid
        with h5py.File(ref.shard.path) as file, ref.shard.path.open("rb") as raw:
            for name in ("frames/rgb", "frames/flow"):
                table = chunk_table(file[name])
                assert table is not None
                for k in range(first // table.n_rows, -(-last // table.n_rows)):
                    raw.seek(table.offset_K[k])
                    work.append((raw.read(table.size_K[k]), table, k))
    out = np.zeros(max(table.chunk_bytes for _, table, _ in work), np.uint8)

    def decode_all() -> None:
        for raw, table, k in work:
            decode(raw, table, k, out.ctypes.data)

    return decode_all


def windows(corpus: Corpus) -> list[Window]:
    """The full clips, for others to store."""
    store = new_store(corpus)
    return [(rgb.numpy(), flow.numpy()) for rgb, flow in map(store.clip, all_refs(corpus))]


def bytes_per_clip(corpus: Corpus) -> float:
    return sum(entry.n_bytes for entry in corpus.index.shards) / sum(len(shard.clips) for shard in corpus.shards)


def compare(home: Path) -> dict[str, Measure]:
    """Shards of real video against the files of others."""
    default, plain = (read_corpus(home / f"real-{name}") for name in FILTERS)
    stored = windows(default)
    by_chunk = FloatWindows(home / "by_chunk.h5", stored, one_per_chunk=True)
    by_h5py = FloatWindows(home / "by_h5py.h5", stored, one_per_chunk=False)
    tar = TarOfWindows(home / "windows.tar", stored)
    n_windows = len(stored)
    del stored

    refs, plain_refs = all_refs(default), all_refs(plain)
    scale = default.shards[0].flow_scale
    store, plain_store = new_store(default), new_store(plain)
    files = {shard.path: h5py.File(shard.path, rdcc_nbytes=0) for shard in default.shards}
    with on_cores(1):
        rate = rates(
            {
                "ours": (len(refs), lambda: read(store, refs)),
                "ours, in batches": (len(refs), lambda: read_batches(store, refs)),
                "ours, no filter": (len(plain_refs), lambda: read(plain_store, plain_refs)),
                "ours, float": (len(refs), lambda: read_floats(store, refs, flow_scale=scale)),
                "ours, first pass": (len(refs), lambda: read(new_store(default), refs)),
                "h5py": (len(refs), lambda: read_by_h5py(files, refs)),
                "decoder": (len(refs), decoder_alone(refs)),
                "window per chunk": (N_SLOW, lambda: [by_chunk.read(i) for i in range(N_SLOW)]),
                "tar": (n_windows, lambda: [None for _ in tar.read_all()]),
            }
        )
        slow = rates({"chunks by h5py": (4, lambda: [by_h5py.read(i) for i in range(0, n_windows, n_windows // 4)])})
    ours, plainly, size = rate["ours"], rate["ours, no filter"], bytes_per_clip(default)
    return {
        "clips/s": (ours, None, "higher"),
        "clips/s, first pass, every checksum computed": (rate["ours, first pass"], None, "higher"),
        "clips/s, in batches of 6 by one reading thread": (rate["ours, in batches"], None, "higher"),
        "clips/s to normalised float tensors": (rate["ours, float"], 700, "higher"),
        "clips/s, filter none": (plainly, None, "higher"),
        "clips/s through h5py (files open, no chunk cache)": (rate["h5py"], None, "higher"),
        "limit: bitshuffle-LZ4 decoder alone, clips/s": (rate["decoder"], 1500, "higher"),
        "stretch: clips/s compressed": (ours, 1500, "higher"),
        "gzip windows, one per chunk: clips/s": (rate["window per chunk"], None, "higher"),
        "ours / gzip windows, one per chunk": (ours / rate["window per chunk"], 8, "higher"),
        "bytes, ours / gzip windows": (size / by_chunk.bytes_per_window, 0.4, "lower"),
        "gzip windows, chunks by h5py: clips/s": (slow["chunks by h5py"], None, "higher"),
        "ours / gzip windows, chunks by h5py": (ours / slow["chunks by h5py"], 200, "higher"),
        "tar of npz windows in order: clips/s": (rate["tar"], None, "higher"),
        "ours in random order / tar in order": (ours / rate["tar"], 1, "higher"),
        "ours, filter none, in random order / tar in order": (plainly / rate["tar"], 3, "higher"),
        "bytes, filter none / default": (bytes_per_clip(plain) / size, None, "lower"),
        "bytes, ours / tar": (size / tar.bytes_per_window, 0.35, "lower"),
    }


def scale_up(home: Path, name: str) -> dict[str, Measure]:
    """Several readers, and loading into memory."""
    corpus = read_corpus(home / name)
    refs = all_refs(corpus)
    refs *= -(-1000 // len(refs))
    one, two = new_store(corpus), new_store(corpus, readers=2)
    loader = DataLoader(ClipDataset(refs, one), batch_size=BATCH, num_workers=2)
    n_frames = sum(shard.n_frames for shard in corpus.shards)
    with on_cores(2):
        rate = rates(
            {
                "one": (len(refs), lambda: read_batches(one, refs)),
                "two": (len(refs), lambda: read_batches(two, refs)),
                "processes": (len(refs), lambda: [None for _ in loader]),
                "load": (n_frames, lambda: sum(new_store(corpus, readers=2).load(refs))),
            }
        )
    return {
        f"{name}, 2 cores: clips/s, one reading thread": (rate["one"], None, "higher"),
        f"{name}, 2 cores: two threads / one": (rate["two"] / rate["one"], None, "higher"),
        f"{name}, 2 cores: clips/s, two processes of a DataLoader": (rate["processes"], None, "higher"),
        f"{name}, 2 cores: frames/s into memory": (rate["load"], None, "higher"),
        f"{name}: kB per frame": (
            sum(entry.n_bytes for entry in corpus.index.shards) / n_frames / 1000, None, "lower",
        ),
    }  # fmt: skip


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"))
@click.option("--json", "json_file", type=click.Path(path_type=Path))
@click.option("--keep", type=click.Path(path_type=Path), help="Leave the files here, and use those that are here.")
def main(data: Path, json_file: Path | None, keep: Path | None) -> None:
    """Build the shards, write the others' files, and take turns in reading."""
    if not (data / "real").is_dir():
        raise click.UsageError(f"{data}/real is not there; --data names the directory of the real face videos")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        home = keep or Path(temporary)
        home.mkdir(parents=True, exist_ok=True)
        build(data, home)
        measures = compare(home) | scale_up(home, "real-bitshuffle-lz4") | scale_up(home, "london")
    report(measures, json_file)


if __name__ == "__main__":
    main()
