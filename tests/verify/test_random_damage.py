"""Damage by chance: a file with another byte than it had is found, and half a shard is not taken for a whole one."""

import csv
import hashlib
import itertools
import json
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import h5py
import pytest
import small

from fer_prep.output import INDEX
from fer_prep.shards import ShardHead, write_shard
from fer_prep.stored import FRAME_DATASETS, ShardEntry
from fer_prep.verify.index import Entry, check_index
from fer_prep.verify.ledger import parse_ledger
from fer_prep.verify.shard import check_shard

pytest_plugins = ["small_fixtures"]

FILES = (small.FILE, small.OTHER, "ledger.csv", INDEX)


def flip_bytes(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 1, 5))):
        content[chance.randrange(len(content))] ^= chance.randrange(1, 256)
    path.write_bytes(content)


def cut(path: Path, chance: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content))])


def append(path: Path, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes() + chance.randbytes(chance.randrange(1, 5000)))


def lose_a_part(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    first = chance.randrange(len(content))
    content[first : first + 512] = bytes(len(content[first : first + 512]))
    path.write_bytes(content)


def swap(path: Path, chance: random.Random) -> None:
    other = path.with_name(chance.choice([name for name in FILES if name != path.name]))
    path.rename(path.with_suffix(".aside"))
    other.rename(path)
    path.with_suffix(".aside").rename(other)


def edit_a_value(path: Path, chance: random.Random) -> None:
    """One value of the index becomes another of its kind; the index' hash is made to fit."""

    def edit(index: dict[str, Any]) -> None:
        entry = chance.choice(index["shards"])
        key = chance.choice(sorted(entry))
        if isinstance(entry[key], int):
            entry[key] += chance.choice((-1, 1, 1000))
        else:
            entry[key] = "".join(chance.sample(entry[key], len(entry[key])))

    small.edit_index(path.parent, edit)


def edit_the_ledger(path: Path, chance: random.Random) -> None:
    lines = (path.parent / "ledger.csv").read_text().splitlines(keepends=True)
    k = chance.randrange(1, len(lines))
    lines[k] = chance.choice(("", lines[k] * 2, lines[k].replace("0", "1"), lines[k].replace("b", "p")))
    (path.parent / "ledger.csv").write_text("".join(lines))


KINDS: tuple[Callable[[Path, random.Random], None], ...] = (
    flip_bytes, flip_bytes, flip_bytes, flip_bytes, cut, append, lose_a_part, swap, edit_a_value, edit_the_ledger,
)  # fmt: skip


def content_of(directory: Path) -> list[object]:
    """What counts of a directory: every byte, but of the index and the ledger the values, and no seconds."""
    found: list[object] = [(directory / name).read_bytes() for name in FILES[:2]]
    try:
        found.append([replace(row, seconds=0.0) for row in parse_ledger((directory / "ledger.csv").read_bytes())])
    except (ValueError, csv.Error):
        found.append(None)
    try:
        found.append(json.loads((directory / INDEX).read_bytes()))
    except ValueError:
        found.append(None)
    return found


def check_random_damage(whole: Path, directory: Path, seeds: range) -> None:
    before, n_changed = content_of(whole), 0
    for seed in seeds:
        chance = random.Random(seed)
        shutil.copytree(whole, directory)
        kind, name = chance.choice(KINDS), chance.choice(FILES)
        kind(directory / name, chance)
        is_changed = content_of(directory) != before
        n_changed += is_changed
        quick, full = (small.verify_here(directory, quick=quick) for quick in (True, False))
        assert bool(full.findings) == is_changed, (seed, kind.__name__, name)
        if kind is not edit_a_value:
            # a value that is wrong from the start, hash and all, may need the shard to be opened
            assert bool(quick.findings) == is_changed, (seed, kind.__name__, name)
        shutil.rmtree(directory)
    assert n_changed > 0.9 * len(seeds)


def test_random_damage_is_found(whole: Path, tmp_path: Path) -> None:
    check_random_damage(whole, tmp_path / "shards", range(150))


@pytest.mark.slow
def test_a_thousand_random_damages_are_found(whole: Path, tmp_path: Path) -> None:
    check_random_damage(whole, tmp_path / "shards", range(1000, 2000))


@pytest.mark.parametrize("file", [small.FILE, small.OTHER])
def test_what_a_reader_reads_is_covered_without_the_files_own_hash(whole: Path, tmp_path: Path, file: str) -> None:
    expected = logical_content(whole / file)
    n_found = 0
    for seed in range(100):
        shutil.copytree(whole, tmp_path / "shards")
        flip_bytes(tmp_path / "shards" / file, random.Random(seed))
        small.list_anew(tmp_path / "shards")
        found = small.verify_here(tmp_path / "shards").findings
        n_found += bool(found)
        assert found or logical_content(tmp_path / "shards" / file) == expected, seed
        shutil.rmtree(tmp_path / "shards")
    assert n_found > 80


def logical_content(path: Path) -> list[bytes]:
    """All that a reader can read."""
    with h5py.File(path) as file:
        names = [*(f"frames/{name}" for name in FRAME_DATASETS), "recordings", "clips"]
        arrays = [file[name][:].tobytes() for name in names]
        flow = file["frames/flow"].attrs
        return [*arrays, repr(sorted(file.attrs.items())).encode(), repr(sorted(flow.items())).encode()]


def write_one(path: Path) -> ShardEntry:
    recipe = small.recipe("gzip", small.SIZE)
    head = ShardHead("manifest", "anna", 1, small.CLASSES, recipe, small.VERSIONS, key="0" * 64)
    entry = write_shard(path, head, [small.stored(f"{k}.avi", 1, "f" * 60, recipe) for k in range(3)])
    assert entry is not None
    return entry


def write_for_ever(directory: Path) -> None:
    for k in itertools.count():
        write_one(directory / f"{k % 3}.h5")


def check_kills(directory: Path, n_kills: int) -> None:
    """Kill a writer at random moments; whatever lies there afterwards is a whole shard, or is refused.

    The hash is no help: the entry of each file is made to fit it.
    """
    index = check_index(small.write(directory / "other", "gzip") / INDEX).index
    assert index is not None
    whole_entry = write_one(directory / "whole.h5")
    whole = (directory / "whole.h5").read_bytes()
    n_refused = n_finished = 0
    for seed in range(n_kills):
        place = directory / str(seed)
        place.mkdir()
        process = get_context("fork").Process(target=write_for_ever, args=(place,))
        process.start()
        time.sleep(random.Random(seed).uniform(0.05, 0.5))
        process.kill()
        process.join()
        for path in sorted(place.iterdir()):
            content, is_left_over = path.read_bytes(), path.suffix == ".tmp"
            path = path.rename(place / f"{path.stem}.renamed.h5") if is_left_over else path
            entry = replace(
                whole_entry, file=path.name, bytes=max(len(content), 1), sha256=hashlib.sha256(content).hexdigest()
            )
            report = check_shard(place, Entry(**asdict(entry)), index, quick=False, progress=lambda n: None)
            assert (not report.sentences) == (content == whole), (seed, path.name, report.sentences)
            assert is_left_over or content == whole
            n_refused += bool(report.sentences)
            n_finished += not is_left_over
    assert n_refused >= n_kills / 5
    assert n_finished


def test_no_shard_of_a_killed_writer_is_taken_for_a_whole_one(tmp_path: Path) -> None:
    check_kills(tmp_path / "shards", 10)


@pytest.mark.slow
def test_no_shard_of_fifty_killed_writers_is_taken_for_a_whole_one(tmp_path: Path) -> None:
    check_kills(tmp_path / "shards", 50)
