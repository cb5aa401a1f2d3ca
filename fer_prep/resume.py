"""Which shards of an earlier run can stay, and why the others cannot."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_prep.errors import FerPrepError, RecordingError
from fer_prep.ledger import LedgerRow, rows_of
from fer_prep.output import shard_key
from fer_prep.recipe import changed_fields
from fer_prep.shards import ShardHead
from fer_prep.stages import Job, input_sha256
from fer_prep.stored import ShardContent, ShardEntry, check_readable, describe_shard, read_content


@dataclass(frozen=True)
class Kept:
    """Whether an existing shard can stay: its entry, or the reason why it is built anew."""

    entry: ShardEntry | None
    reason: str = ""


def check_existing(
    path: Path,
    head: ShardHead,
    jobs: Sequence[Job],
    rows: Mapping[str, LedgerRow],
    listed: Mapping[str, Any] | None,
) -> Kept:
    """Can the existing shard stay? Runs in a worker, for it reads all inputs of the subject.

    Args:
        head: its `key` is not looked at.
        rows: what the old ledger says of these jobs.
        listed: the shard's entry in the old index; without one, every byte of the shard is decoded.
    """
    try:
        entry = describe_shard(path)
        content = read_content(path)
        if listed is None:
            check_readable(path)
        elif entry.sha256 != listed.get("sha256"):
            return Kept(None, "damaged: not the bytes that the index lists")
    except FerPrepError as error:
        return Kept(None, f"damaged: {error}")
    reason = (
        _changed_plan(content, head, jobs)
        or _unfinished_business(content, jobs, rows)
        or _changed_inputs(content, entry, head, jobs)
    )
    return Kept(None, reason) if reason else Kept(entry)


def _changed_plan(content: ShardContent, head: ShardHead, jobs: Sequence[Job]) -> str:
    """What the corpus, the tools or the groups say differently now."""
    old, new = json.loads(content.versions), json.loads(json.dumps(head.versions))
    if old != new:
        return f"tool changed: {'; '.join(changed_fields(old, new))}"
    if content.group != head.group:
        return f"group changed: {content.group} -> {head.group}"
    if tuple(json.loads(content.classes)) != head.classes:
        return "the list of classes changed"
    planned = {job.recording.id: job for job in jobs}
    for row in content.recordings:
        if row.id not in planned:
            return f"recording removed: {row.id}"
        if row.label != planned[row.id].label:
            return f"label changed: {row.id}"
        if row.path != planned[row.id].recording.file:
            return f"path changed: {row.path} -> {planned[row.id].recording.file}"
    return ""


def _unfinished_business(content: ShardContent, jobs: Sequence[Job], rows: Mapping[str, LedgerRow]) -> str:
    """What the ledger says of recordings that are not in the shard, or says differently than the shard."""
    known = rows_of((job.recording.id for job in jobs), rows).values()
    failed = sum(row.status == "failed" for row in known)
    if failed:
        return f"{failed} failed recording{'s' if failed > 1 else ''} tried again"
    stored_ids = {row.id for row in content.recordings}
    for job in jobs:
        if job.recording.id not in rows:
            gone = job.recording.id in stored_ids
            return f"{'row in ledger.csv is gone' if gone else 'recording added'}: {job.recording.id}"
    stored = {row.id: (row.n_frames, row.n_detected, row.n_clips) for row in content.recordings}
    if stored != {row.recording: (row.n_frames, row.n_detected, row.n_clips) for row in known}:
        return "ledger.csv tells of other recordings than the shard"
    labels = {job.recording.id: (job.recording.label or "", job.group) for job in jobs}
    if any(
        labels[row.recording] != (row.label, row.group) or (row.n_clips > 0) != (row.status == "ok") for row in known
    ):
        return "ledger.csv was edited"
    return ""


def _changed_inputs(content: ShardContent, entry: ShardEntry, head: ShardHead, jobs: Sequence[Job]) -> str:
    stored = {row.id: row.sha256 for row in content.recordings}
    hashes: list[tuple[Job, str]] = []
    for job in jobs:
        try:
            hashes.append((job, input_sha256(job.recording.path)))
        except RecordingError as error:
            return str(error)
        if hashes[-1][1] != stored[job.recording.id]:
            return f"input changed: {job.recording.id}"
    # order, parts of videos, and whatever else the key covers
    return "" if shard_key(head, hashes) == entry.key else "order, parts or further facts of recordings changed"
