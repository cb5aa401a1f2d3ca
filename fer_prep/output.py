"""The output directory: whose it is, what its files are called, and its index."""

import hashlib
import json
import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from fer_prep.errors import FerPrepError, UsageError
from fer_prep.files import TEMPORARY_SUFFIX, TOKEN_PREFIX, replace_text
from fer_prep.image import Image
from fer_prep.ledger import FILE_NAME as LEDGER
from fer_prep.ledger import LedgerRow, ledger_sha256, read_ledger
from fer_prep.recipe import Recipe, changed_fields
from fer_prep.shards import ShardHead
from fer_prep.stages import Job
from fer_prep.stored import VERSION, ShardEntry, file_sha256, stored_recipe
from fer_prep.timings import FILE_NAME as TIMINGS

INDEX, INDEX_FORMAT = "index.json", "fer-shards"
GROUPS = "groups.csv"  # fer_prep.kept_groups
LOCK = ".lock"  # held while a build writes
LONGEST_NAME = 100


def shard_names(corpus: str, subjects: Iterable[str]) -> dict[str, str]:
    """Subject -> file name. Characters that file systems dislike become `_`; names that then collide get a number."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for subject in subjects:
        stem = f"{corpus}-s{re.sub(r'[^A-Za-z0-9._-]', '_', subject)[:LONGEST_NAME]}"
        name, number = stem, 1
        while name.lower() in taken:
            number += 1
            name = f"{stem}~{number}"
        taken.add(name.lower())
        names[subject] = f"{name}.h5"
    return names


def check_output(out: Path, recipe: Recipe, *, rebuild: bool) -> None:
    """Refuse a directory that a build must not write to. Changes nothing.

    Raises:
        UsageError: it belongs to something else, or to another recipe and `rebuild` is false.
        FerPrepError: it cannot be written to.
    """
    refuse_foreign(out)
    check_writable(out)
    changes = other_recipe(out, recipe)
    if changes and not rebuild:
        raise UsageError(
            f"{out} holds shards of another recipe ({'; '.join(changes)}); choose another --out, "
            "or replace them with --rebuild"
        )


def clear_rubble(out: Path) -> None:
    """Remove what killed runs and killed workers left behind.

    Raises:
        FerPrepError: it cannot be written to.
    """
    with _writing(out):
        for name in (*(f".{name}." for name in ("*.h5", INDEX, LEDGER, GROUPS, TIMINGS)), TOKEN_PREFIX):
            for rubble in out.glob(f"{name}*{TEMPORARY_SUFFIX}"):
                rubble.unlink(missing_ok=True)


def clear_shards(out: Path) -> None:
    """Remove shards, and all that is known of them.

    Raises:
        FerPrepError: it cannot be written to.
    """
    with _writing(out):
        for path in (*(out / name for name in (INDEX, LEDGER, GROUPS, TIMINGS)), *filter(_is_ours, out.glob("*.h5"))):
            path.unlink(missing_ok=True)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FerPrepError(f"{out} cannot be written to ({error.strerror}); choose another --out") from error


def other_recipe(out: Path, recipe: Recipe) -> list[str]:
    """How the recipe of the shards in a directory differs from this one; empty if it does not, or there are none."""
    wanted, names = recipe.model_dump(mode="json"), {path.name for path in out.glob("*.h5")}
    index = _whole_index(out)
    listed = {shard["file"] for shard in index.get("shards", ())}
    if listed & names:
        # the index speaks for all that it lists: to open a hundred thousand files takes minutes
        changes = changed_fields(index["recipe"], wanted)
        if changes:
            return changes
    for name in sorted(names - listed):
        try:
            changes = changed_fields(stored_recipe(out / name), wanted)
        except FerPrepError:
            continue  # damaged: found and rebuilt when its turn comes
        if changes:
            return changes
    return []


def leftovers(out: Path, listed: Container[str]) -> list[str]:
    """Names of shards that lie in the directory and are not among those that belong to it."""
    return [path.name for path in sorted(out.glob("*.h5")) if path.name not in listed and _is_ours(path)]


def check_writable(out: Path) -> None:
    """Refuse a directory that cannot be written to.

    Raises:
        FerPrepError: it cannot.
    """
    if not os.access(out, os.W_OK):
        raise FerPrepError(f"{out} cannot be written to (Permission denied); choose another --out")


def has_shards(out: Path) -> bool:
    """Whether shards lie in a directory, of whatever recipe."""
    return any(map(_is_ours, out.glob("*.h5")))


def refuse_foreign(out: Path) -> None:
    """Refuse a place that is no directory of shards and cannot become one.

    Raises:
        UsageError: it is a file, or holds the index of something else.
    """
    if not out.is_dir():
        raise UsageError(f"{out} is a file; --out must be a directory")
    path = out / INDEX
    if not path.exists():
        return
    try:
        ours = json.loads(path.read_text(encoding="utf-8"))["format"] == INDEX_FORMAT
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        ours = False
    if not ours:
        raise UsageError(f"{path} is no index of fer-prep; choose another --out, or delete it if it is damaged")


def _is_ours(path: Path) -> bool:
    """A user's own HDF5 file that lies in the directory is not for us to delete."""
    try:
        stored_recipe(path)
    except FerPrepError:
        return False
    return True


def shard_key(head: ShardHead, inputs: Iterable[tuple[Job, str]]) -> str:
    """Hash of all that decides a shard's content: format, recipe, tools, and every recording with its input's hash."""
    content = {
        "format": VERSION,
        "head": asdict(replace(head, recipe=None, key="")),  # type: ignore[arg-type]
        "recipe": head.recipe.model_dump(mode="json"),
        "recordings": [
            [job.recording.id, job.label, job.recording.start_frame, job.recording.end_frame, job.recording.file,
             job.recording.extra, sha256]
            for job, sha256 in inputs
        ],
    }  # fmt: skip
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_index(out: Path) -> dict[str, dict[str, Any]]:
    """File name -> entry of the existing index; empty if there is none that can be read."""
    try:
        index = json.loads((out / INDEX).read_text(encoding="utf-8"))
        return {shard["file"]: shard for shard in index["shards"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _whole_index(out: Path) -> dict[str, Any]:
    """The existing index, if nobody has edited or damaged it; else empty."""
    try:
        index: dict[str, Any] = json.loads((out / INDEX).read_text(encoding="utf-8"))
        return index if index["index_sha256"] == index_sha256(index) else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def forget_index(out: Path) -> None:
    """Remove the index: from now on the directory is unfinished.

    Raises:
        FerPrepError: it cannot be written to.
    """
    with _writing(out):
        (out / INDEX).unlink(missing_ok=True)


def write_index(
    out: Path, *, corpus: str, classes: tuple[str, ...], n_groups: int, recipe: Recipe,
    versions: dict[str, Any], left_out: Mapping[str, int], rows: Iterable[LedgerRow], entries: Iterable[ShardEntry],
    image: Image | None = None,
) -> None:  # fmt: skip
    """Write `index.json`, by rename: from now on the directory is finished.

    Args:
        rows: those of the ledger.
        image: the container image that this runs in. No other key, and no shard, depends on it.
    """
    index: dict[str, Any] = {
        "format": INDEX_FORMAT,
        "version": VERSION,
        "corpus": corpus,
        "classes": list(classes),
        "clip": {"length": recipe.clips.length, "stride": recipe.clips.stride},
        "n_groups": n_groups,
        "aligner": recipe.align.backend,
        "recipe": recipe.model_dump(mode="json"),
        "versions": versions,
        **({"image": asdict(image)} if image else {}),
        "left_out": dict(left_out),
        "ledger_sha256": ledger_sha256(rows),
        "shards": [asdict(entry) for entry in sorted(entries, key=lambda entry: entry.file)],
    }
    index["index_sha256"] = index_sha256(index)
    replace_text(out / INDEX, json.dumps(index, indent=1, ensure_ascii=False) + "\n")


def directory_digest(out: Path) -> str:
    """What two directories have in common if they hold the same: every byte of the shards, and what became of whom.

    Raises:
        FerPrepError: a shard or the ledger cannot be read.
    """
    try:
        shards = {path.name: file_sha256(path) for path in out.glob("*.h5")}
    except OSError as error:
        raise FerPrepError(f"{error.filename} cannot be read ({error.strerror})") from error
    return content_digest(shards, read_ledger(out).values())


def content_digest(shards: Mapping[str, str], rows: Iterable[LedgerRow]) -> str:
    """The same for shards whose hashes are known, file name -> sha256. The ledger's seconds do not count."""
    lines = [f"{sha256} {name}\n" for name, sha256 in sorted(shards.items())]
    return hashlib.sha256("".join([*lines, ledger_sha256(rows)]).encode()).hexdigest()


def index_sha256(index: Mapping[str, Any]) -> str:
    """What the key `index_sha256` must say: the hash of all other keys (docs/shard-format.md)."""
    others = {name: value for name, value in index.items() if name != "index_sha256"}
    text = json.dumps(others, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
