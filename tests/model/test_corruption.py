"""Whatever happens to a shard directory: the reader gives the clips that were written, or an error, never others."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shard_files import LENGTH, file_facts, write_corpus, write_index

from fer_model.data import Batch, ClipStore
from fer_model.errors import FerModelError
from fer_model.folds import ClipRef
from fer_model.shards import read_corpus

N_CORRUPTIONS = 1000


def read_all(directory: Path) -> Batch:
    refs = [ClipRef(shard=shard, clip=clip) for shard in read_corpus(directory).shards for clip in shard.clips]
    (batch,) = ClipStore(clip_length=LENGTH, size=8, readers=1).batches([refs])
    return batch


def outcome(directory: Path) -> Batch | str:
    """All clips, or what was said instead."""
    try:
        return read_all(directory)
    except FerModelError as error:
        return str(error)


def flip_bytes(directory: Path, random: np.random.Generator) -> None:
    path = random.choice(sorted(directory.glob("*.h5")))
    content = bytearray(path.read_bytes())
    for at in random.integers(0, len(content), random.integers(1, 9)):
        content[at] ^= random.integers(1, 256)
    path.write_bytes(content)


def cut(directory: Path, random: np.random.Generator) -> None:
    path = random.choice(sorted(directory.glob("*.*")))
    path.write_bytes(path.read_bytes()[: random.integers(0, path.stat().st_size)])


def overwrite_with_zeros(directory: Path, random: np.random.Generator) -> None:
    path = random.choice(sorted(directory.glob("*.h5")))
    content = bytearray(path.read_bytes())
    first = random.integers(0, len(content))
    content[first : first + 4096] = bytes(len(content[first : first + 4096]))
    path.write_bytes(content)


def swap_files(directory: Path, random: np.random.Generator) -> None:
    first, second = random.choice(sorted(directory.glob("*.h5")), 2, replace=False)
    first.rename(directory / "other")
    second.rename(first)
    (directory / "other").rename(second)


def edit_index_with_its_hash(directory: Path, random: np.random.Generator) -> None:
    """As somebody would who wants the reader to believe it."""
    index: dict[str, Any] = json.loads((directory / "index.json").read_text())
    place: Any = index if random.random() < 0.3 else random.choice([*index["shards"], index["clip"]])
    key = random.choice(sorted(place))
    place[key] = random.choice(np.array([0, 1, 2, -1, 7, 10**9, 10**18, "x", "s01", None, True, [], {}], object))
    write_index(directory, index)


def flip_bytes_and_fit_the_hash(directory: Path, random: np.random.Generator) -> None:
    """The hashes are of no help: HDF5's checksums and the tables' agreement must do."""
    flip_bytes(directory, random)
    index = json.loads((directory / "index.json").read_text())
    for shard in index["shards"]:
        shard |= file_facts(directory / shard["file"])
    write_index(directory, index)


def edit_index_text(directory: Path, random: np.random.Generator) -> None:
    path = directory / "index.json"
    content = bytearray(path.read_bytes())
    content[random.integers(0, len(content))] = random.integers(32, 127)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "share"),
    [
        (flip_bytes, 0.4), (cut, 0.15), (overwrite_with_zeros, 0.1), (swap_files, 0.05),
        (edit_index_with_its_hash, 0.2), (edit_index_text, 0.1), (flip_bytes_and_fit_the_hash, 0.3),
    ],
)  # fmt: skip
def test_damage_is_noticed_or_changes_no_clip(tmp_path: Path, damage: Any, share: float) -> None:
    directory = write_corpus(tmp_path / "shards", n_groups=3, labels=(0, 1), size=8)
    whole = {path: path.read_bytes() for path in directory.iterdir()}
    expected = read_all(directory)
    n_noticed = 0
    for seed in range(round(share * N_CORRUPTIONS)):
        damage(directory, np.random.default_rng(seed))
        changed = {path for path, content in whole.items() if path.read_bytes() != content}
        found = outcome(directory)
        if isinstance(found, str):
            n_noticed += 1
            assert str(directory) in found
            assert "\n" not in found
        else:
            assert damage is flip_bytes_and_fit_the_hash or not changed - {directory / "index.json"}
            for name, value in vars(expected).items():
                assert torch.equal(getattr(found, name), value)
        for path, content in whole.items():
            path.write_bytes(content)
    assert n_noticed > 0
