"""The tables of a shard: recordings one behind the other, clips inside of them, both as the index says."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import h5py
import numpy as np
from numpy.typing import NDArray

from fer_prep.stored import StoredRow
from fer_prep.verify.index import Entry, Index
from fer_prep.verify.layout import NUMBER_FIELDS, TEXT_FIELDS
from fer_prep.verify.words import brief, names, repeated, rows, strict_json


@dataclass(frozen=True)
class Span:
    """One recording of a shard, and where its frames and clips lie.

    Attributes:
        first, end: rows of /frames.
        n_detected: as the table says.
        clips: (first frame from the recording's own, valid frames) of each clip.
    """

    id: str
    first: int
    end: int
    n_detected: int
    clips: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Tables:
    """Both tables, checked."""

    stored: tuple[StoredRow, ...]
    spans: tuple[Span, ...]


def read_tables(file: h5py.File, entry: Entry, index: Index) -> tuple[Tables | None, list[str]]:
    """The tables, if they can be used, and what is wrong with them.

    Raises:
        OSError: a table fails its checksum.
    """
    table = file["recordings"].fields([*TEXT_FIELDS, *NUMBER_FIELDS])[:]
    clips = file["clips"][:]
    try:
        texts = {field: [value.decode("utf-8") for value in table[field]] for field in TEXT_FIELDS}
    except UnicodeDecodeError:
        return None, ["/recordings has texts that are no UTF-8"]
    sentences = [*_lie_in_a_row(table, texts["id"], entry), *_clips_lie_inside(clips, table, index)]
    usable = not sentences
    sentences += [*_check_recordings(table, texts, entry, index), *_check_labels(clips, table)]
    if not usable:
        return None, sentences
    bounds = np.searchsorted(clips["recording"], np.arange(len(table) + 1))
    spans = tuple(
        Span(
            id_,
            int(row["first_frame"]),
            int(row["first_frame"] + row["n_frames"]),
            int(row["n_detected"]),
            tuple(
                (int(clip["first_frame"] - row["first_frame"]), int(clip["n_valid"]))
                for clip in clips[bounds[k] : bounds[k + 1]]
            ),
        )
        for k, (id_, row) in enumerate(zip(texts["id"], table, strict=True))
    )
    stored = tuple(
        StoredRow(id_, path, sha256, int(row["label"]), int(row["n_frames"]), int(row["n_detected"]), len(span.clips))
        for id_, path, sha256, row, span in zip(
            texts["id"], texts["path"], texts["sha256"], table, spans, strict=True
        )
    )  # fmt: skip
    in_range = all(-1 <= row.label < len(index.classes) for row in stored)
    return (Tables(stored, spans) if in_range else None), sentences


def _lie_in_a_row(table: NDArray[np.void], ids: list[str], entry: Entry) -> Iterator[str]:
    next_frame = 0
    for id_, first, n in zip(ids, table["first_frame"].tolist(), table["n_frames"].tolist(), strict=True):
        if first != next_frame or n < 1:
            yield f"recording {brief(id_)} has {n} frames from row {first}; expected at least one from row {next_frame}"
            return
        next_frame += n
    if next_frame != entry.n_frames:
        yield f"its recordings end at row {next_frame}; expected {entry.n_frames}"


def _check_recordings(
    table: NDArray[np.void], texts: dict[str, list[str]], entry: Entry, index: Index
) -> Iterator[str]:
    ids = texts["id"]

    def who(wrong: list[bool]) -> str:
        found = [id_ for id_, is_wrong in zip(ids, wrong, strict=True) if is_wrong]
        return f"recording{'s' if len(found) > 1 else ''} {names(found)}"

    k = len(index.classes)
    complaints: list[tuple[str, list[bool]]] = [
        ("no id", [not id_ for id_ in ids]),
        ("no path", [not path for path in texts["path"]]),
        ("a sha256 that is none", [not re.fullmatch("([0-9a-f]{64})?", text) for text in texts["sha256"]]),
        (f"a label that is not between -1 and {k - 1}", [not -1 <= label < k for label in table["label"].tolist()]),
        (f"another subject than {brief(entry.subject)}", [subject != entry.subject for subject in texts["subject"]]),
        (f"another group than {entry.group}", [group != entry.group for group in table["group"].tolist()]),
        ("a frame rate that is none", [not 0 <= fps < float("inf") for fps in table["fps"].tolist()]),
        ("extra facts that are no JSON object of texts", [not _is_object_of_texts(text) for text in texts["extra"]]),
    ]  # fmt: skip
    for what, wrong in complaints:
        if any(wrong):
            yield f"{who(wrong)}: {what}"
    if twice := repeated(ids):
        yield f"recordings are stored twice: {names(twice)}"


def _is_object_of_texts(text: str) -> bool:
    try:
        value = strict_json(text)
    except ValueError:
        return False
    return isinstance(value, dict) and all(isinstance(fact, str) for fact in value.values())


def _clips_lie_inside(clips: NDArray[np.void], table: NDArray[np.void], index: Index) -> Iterator[str]:
    """Clips belong to a recording, lie inside of it, are in order, and short only where it is short."""
    recording, length = clips["recording"].astype(np.int64), index.clip.length
    nowhere = (recording < 0) | (recording >= len(table))
    if nowhere.any():
        yield f"clips {rows(nowhere)} are of recordings that are not there"
        return
    begin, n_frames = table["first_frame"][recording], table["n_frames"][recording]
    first, n_valid = clips["first_frame"], clips["n_valid"].astype(np.int64)
    # as differences, which do not overflow for clips inside
    outside = (first < begin) | (first > begin + n_frames) | (n_valid > begin + n_frames - first) | (n_valid < 1)
    if outside.any():
        yield f"clips {rows(outside)} reach beyond their recording"
    elif (wrong := n_valid != np.minimum(length, n_frames)).any():
        yield f"other numbers of frames than clips of {length} have in their recordings: clips {rows(wrong)}"
    ordered = (recording[1:] > recording[:-1]) | ((recording[1:] == recording[:-1]) & (first[1:] > first[:-1]))
    if not ordered.all():
        yield f"clips {rows(np.r_[False, ~ordered])} are not in the order of recordings and time"


def _check_labels(clips: NDArray[np.void], table: NDArray[np.void]) -> Iterator[str]:
    known = (clips["recording"] >= 0) & (clips["recording"] < len(table))
    wrong = np.zeros(len(clips), np.bool_)
    wrong[known] = clips["label"][known] != table["label"][clips["recording"][known]]
    if wrong.any():
        yield f"clips {rows(wrong)} have another label than their recording"
