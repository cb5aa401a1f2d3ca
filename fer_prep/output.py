"""The output directory: which recipe it belongs to, which of its shards are still good, and its index."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from fer_prep.errors import FerPrepError, RecordingError, UsageError
from fer_prep.ledger import LedgerRow
from fer_prep.recipe import Recipe, changed_fields
from fer_prep.shards import (
    TEMPORARY_SUFFIX,
    VERSION,
    ShardEntry,
    ShardHead,
    check_readable,
    describe_shard,
    stored_recipe,
)
from fer_prep.stages import Job, input_sha256

INDEX = "index.json"


@dataclass(frozen=True)
class Kept:
    """Whether an existing shard can stay: its entry, or the reason why it is built anew."""

    entry: ShardEntry | None
    reason: str = ""


def shard_names(corpus: str, subjects: Iterable[str]) -> dict[str, str]:
    """Subject -> file name. Characters that file systems dislike become `_`; names that then collide get a number."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for subject in subjects:
        stem = f"{corpus}-s{re.sub(r'[^A-Za-z0-9._-]', '_', subject)}"
        name, number = stem, 1
        while name.lower() in taken:
            number += 1
            name = f"{stem}~{number}"
        taken.add(name.lower())
        names[subject] = f"{name}.h5"
    return names


def prepare(out: Path, recipe: Recipe, *, rebuild: bool) -> None:
    """Make the directory ready: it exists, holds no other recipe's shards, and no rubble of a killed run.

    Raises:
        UsageError: it belongs to another recipe and `rebuild` is false.
        FerPrepError: it cannot be written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for rubble in out.glob(f".*{TEMPORARY_SUFFIX}"):
            rubble.unlink()
        shards = sorted(out.glob("*.h5"))
        if rebuild:
            (out / INDEX).unlink(missing_ok=True)
            for path in filter(_is_ours, shards):
                path.unlink()
            return
    except FileExistsError as error:
        raise UsageError(f"{out} is a file; --out must be a directory") from error
    except OSError as error:
        raise FerPrepError(f"{out} cannot be written to ({error.strerror}); choose another --out") from error
    for path in shards:
        _refuse_other_recipe(out, path, recipe)


def _is_ours(path: Path) -> bool:
    """A user's own HDF5 file that lies in the directory is not for us to delete."""
    try:
        stored_recipe(path)
    except FerPrepError:
        return False
    return True


def _refuse_other_recipe(out: Path, path: Path, recipe: Recipe) -> None:
    try:
        existing = stored_recipe(path)
    except FerPrepError:
        return  # damaged: found and rebuilt when its turn comes
    changes = changed_fields(existing, recipe.model_dump(mode="json"))
    if changes:
        raise UsageError(
            f"{out} holds shards of another recipe ({'; '.join(changes)}); choose another --out, "
            "or replace them with --rebuild"
        )


def shard_key(head: ShardHead, inputs: Iterable[tuple[Job, str]]) -> str:
    """Hash of all that decides a shard's content: format, recipe, tools, and every recording with its input's hash."""
    content = {
        "format": VERSION,
        "head": asdict(replace(head, recipe=None, key="")),  # type: ignore[arg-type]
        "recipe": head.recipe.model_dump(mode="json"),
        "recordings": [
            [job.recording.id, job.label, job.recording.start_frame, job.recording.end_frame, sha256]
            for job, sha256 in inputs
        ],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def check_existing(
    path: Path, head: ShardHead, jobs: Sequence[Job], rows: dict[str, LedgerRow], listed: dict[str, Any] | None
) -> Kept:
    """Can the existing shard stay? Runs in a worker: it reads all inputs of the subject.

    Args:
        head: its `key` is not looked at.
        rows: what the old ledger says.
        listed: the shard's entry in the old index; without one, every byte of the shard is decoded.
    """
    failed = sum(1 for job in jobs if job.recording.id in rows and rows[job.recording.id].status == "failed")
    if failed:
        return Kept(None, f"{failed} failed recording{'s' if failed > 1 else ''} tried again")
    if any(job.recording.id not in rows for job in jobs):
        return Kept(None, "recordings added, or the ledger is gone")
    try:
        entry = describe_shard(path)
        if listed is None:
            check_readable(path)
        elif entry.sha256 != listed.get("sha256"):
            return Kept(None, "damaged: not the bytes that the index lists")
        key = shard_key(head, [(job, input_sha256(job.recording.path)) for job in jobs])
    except (FerPrepError, RecordingError) as error:
        return Kept(None, f"damaged: {error}")
    return Kept(entry) if entry.key == key else Kept(None, "input or tool changed")


def read_index(out: Path) -> dict[str, dict[str, Any]]:
    """File name -> entry of the existing index; empty if there is none that can be read."""
    try:
        index = json.loads((out / INDEX).read_text(encoding="utf-8"))
        return {shard["file"]: shard for shard in index["shards"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_index(
    out: Path, *, corpus: str, classes: tuple[str, ...], n_groups: int, recipe: Recipe,
    versions: dict[str, Any], entries: Iterable[ShardEntry],
) -> None:  # fmt: skip
    """Write `index.json`, by rename: from now on the directory is finished."""
    index = {
        "format": "fer-shards",
        "version": VERSION,
        "corpus": corpus,
        "classes": list(classes),
        "clip": {"length": recipe.clips.length, "stride": recipe.clips.stride},
        "n_groups": n_groups,
        "aligner": recipe.align.backend,
        "recipe": recipe.model_dump(mode="json"),
        "versions": versions,
        "shards": [asdict(entry) for entry in sorted(entries, key=lambda entry: entry.file)],
    }
    temporary = out / f".{INDEX}.{os.getpid()}{TEMPORARY_SUFFIX}"
    temporary.write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(out / INDEX)
