"""One pass over a finished directory: every number of the report, and where its pictures lie. No frame is decoded."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_prep.clip_reader import RecordingRow, open_shard
from fer_prep.errors import FerPrepError
from fer_prep.ledger import FILE_NAME as LEDGER
from fer_prep.ledger import LedgerRow, read_ledger
from fer_prep.report.index import Index, read_index


@dataclass(frozen=True)
class Stored:
    """A recording, and the shard that it is in."""

    path: Path
    subject: str
    group: int
    row: RecordingRow


@dataclass(frozen=True)
class Survey:
    """A shard directory in numbers.

    Attributes:
        recordings: all that are stored, in the order of the shards.
        ledger: all recordings of the corpus, the failed ones too.
        clip_owner_C: of every clip its recording, an index into `recordings`.
        clip_number_C: and its row of /clips in that recording's shard.
        clip_valid_C: and the frames that exist.
        n_saturated: flow values that were too large to be stored and were cut.
        face_size: side of the faces, pixels; 0 if there is no shard.
    """

    index: Index
    ledger: tuple[LedgerRow, ...]
    recordings: tuple[Stored, ...]
    clip_owner_C: NDArray[np.int64]
    clip_number_C: NDArray[np.int64]
    clip_valid_C: NDArray[np.int64]
    n_saturated: int
    face_size: int

    def class_name(self, label: int) -> str | None:
        return self.index.classes[label] if label >= 0 else None

    def labels(self) -> tuple[int, ...]:
        """The classes' labels in order; at the end -1, if something is unlabelled."""
        unlabelled = any(recording.row.label < 0 for recording in self.recordings)
        return (*range(len(self.index.classes)), *([-1] if unlabelled else []))


def survey(shards: Path) -> Survey:
    """Read the index, the ledger, and the tables of all shards.

    Raises:
        UsageError: this is no directory of shards.
        FerPrepError: it is unfinished or damaged, or its files are not those of the index.
    """
    index = read_index(shards)
    if not (shards / LEDGER).is_file():
        raise FerPrepError(f"{shards / LEDGER} is not there; the same fer-prep build again writes it anew")
    ledger = tuple(read_ledger(shards).values())
    recordings: list[Stored] = []
    owners, numbers, valid = ([np.empty(0, np.int64)] for _ in range(3))
    n_saturated, face_size = 0, 0
    for name, key in index.files.items():
        if not (shards / name).exists():
            raise FerPrepError(
                f"{shards / name} is not there, though the index lists it; the same fer-prep build again mends it"
            )
        with open_shard(shards / name) as shard:
            facts = shard.facts
            theirs = (facts.key, facts.classes, 1 <= facts.group <= index.n_groups)
            if theirs != (key, index.classes, True):
                raise FerPrepError(
                    f"{shards / name} is another shard than the index lists; the same fer-prep build again mends it"
                )
            owners.append(shard.clips["recording"].astype(np.int64) + len(recordings))
            numbers.append(np.arange(len(shard.clips)))
            valid.append(shard.clips["n_valid"].astype(np.int64))
            recordings += [Stored(shards / name, facts.subject, facts.group, row) for row in shard.recordings]
            n_saturated += shard.n_saturated()
            face_size = int(shard.file["frames/rgb"].shape[1])
    return Survey(
        index=index,
        ledger=ledger,
        recordings=tuple(recordings),
        clip_owner_C=np.concatenate(owners),
        clip_number_C=np.concatenate(numbers),
        clip_valid_C=np.concatenate(valid),
        n_saturated=n_saturated,
        face_size=face_size,
    )
