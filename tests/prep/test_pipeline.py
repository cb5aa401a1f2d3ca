"""What the driver makes of lost tasks. tests/faults kills real workers."""

from pathlib import Path
from typing import Any

import pytest

from fer_prep.corpora.recording import Recording
from fer_prep.errors import FerPrepError
from fer_prep.flight import DiedError, Landed
from fer_prep.pipeline import _built, _outcomes
from fer_prep.places import StrangeWorkerError
from fer_prep.plan import Subject
from fer_prep.recipe import Recipe
from fer_prep.shards import ShardHead
from fer_prep.stages import Job

JOB = Job(Recording("a.mp4", "a.mp4", Path("a.mp4"), "7", "joy"), label=0, group=1)
SUBJECT = Subject(Path("out/x.h5"), ShardHead("manifest", "7", 1, ("joy",), Recipe(corpus="manifest"), {}, ""), (JOB,))


BATCH = ((SUBJECT, JOB),)


def lost(error: Exception) -> Landed[Any]:
    return Landed(None, None, error)


DEAD = DiedError("3 workers died")


def test_a_recording_that_kills_its_workers_is_a_failed_row() -> None:
    (outcome,) = _outcomes(BATCH, lost(DEAD)) or []
    assert outcome.failure.startswith("worker died: ")
    (row,) = _built(SUBJECT, lost(DEAD)).rows
    assert (row.recording, row.status, row.kind) == ("a.mp4", "failed", "worker died")


def test_a_defect_of_ours_costs_one_recording_and_is_called_so() -> None:
    (outcome,) = _outcomes(BATCH, lost(ValueError("oops"))) or []
    assert outcome.failure == "internal error: ValueError: oops"


def test_a_batch_whose_worker_died_is_tried_one_by_one() -> None:
    assert _outcomes(BATCH + BATCH, lost(DEAD)) is None


@pytest.mark.parametrize("stranger", [StrangeWorkerError("worker x has"), ModuleNotFoundError("No module named 'av'")])
def test_a_worker_that_must_not_have_tasks_ends_the_run_and_fails_no_recording(stranger: Exception) -> None:
    with pytest.raises(StrangeWorkerError):
        _outcomes(BATCH + BATCH, lost(stranger))
    with pytest.raises(StrangeWorkerError):
        _built(SUBJECT, lost(stranger))


def test_a_shard_that_cannot_be_written_ends_the_run_with_its_sentence() -> None:
    with pytest.raises(FerPrepError, match=r"^disk full$"):
        _built(SUBJECT, lost(FerPrepError("disk full")))
    with pytest.raises(FerPrepError, match=r"x\.h5: internal error \(ValueError: oops\); please report it"):
        _built(SUBJECT, lost(ValueError("oops")))
