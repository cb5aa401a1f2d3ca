"""Which clips a fold trains on, and which folds are refused before the first step."""

from pathlib import Path

import h5py
import pytest
from shard_files import edit_shard, write_corpus

from fer_model.errors import ArgumentError, FoldError
from fer_model.folds import ClipRef, Fold, check_face_size, check_fold, select_fold
from fer_model.memory import available_bytes
from fer_model.shards import read_corpus


def subjects(refs: tuple[ClipRef, ...]) -> set[str]:
    return {ref.clip.recording.subject for ref in refs}


def test_fold_k_tests_on_group_k_and_trains_on_the_others(shards: Path) -> None:
    fold = select_fold(read_corpus(shards), test_group=2, validation_group=None)
    assert (subjects(fold.train), subjects(fold.validation), subjects(fold.test)) == ({"s00", "s02"}, set(), {"s01"})


def test_a_validation_group_is_taken_out_of_the_training_groups(shards: Path) -> None:
    fold = select_fold(read_corpus(shards), test_group=2, validation_group=3)
    assert (subjects(fold.train), subjects(fold.validation), subjects(fold.test)) == ({"s00"}, {"s02"}, {"s01"})


@pytest.mark.parametrize(
    ("test", "validation", "sentence"),
    [
        (4, None, "fold 4 does not exist: these shards have folds 1 to 3"),
        (1, 4, "validation group 4 does not exist"),
        (2, 2, "validation group 2 is the test group"),
    ],
)
def test_groups_that_do_not_exist_or_coincide_are_refused(
    shards: Path, test: int, validation: int | None, sentence: str
) -> None:
    with pytest.raises(ArgumentError, match=sentence):
        select_fold(read_corpus(shards), test_group=test, validation_group=validation)


def test_a_subject_on_both_sides_is_refused_by_name(shards: Path) -> None:
    fold = select_fold(read_corpus(shards), test_group=1, validation_group=None)
    with pytest.raises(FoldError, match="subject 's01' is in the training and in the test clips"):
        check_fold(Fold(train=fold.train, validation=(), test=(*fold.test, fold.train[0])), validated=False)


def test_unlabelled_recordings_neither_train_nor_count(tmp_path: Path) -> None:
    shards = write_corpus(tmp_path / "shards", labels=(0, -1, 2))
    fold = select_fold(read_corpus(shards), test_group=1, validation_group=None)
    assert {ref.label for ref in (*fold.train, *fold.test)} == {0, 2}


def test_a_fold_without_labelled_clips_on_a_side_is_refused(tmp_path: Path) -> None:
    labelled = write_corpus(tmp_path / "labelled")

    def unlabel(file: h5py.File) -> None:
        for table in ("recordings", "clips"):
            rows = file[table][:]
            rows["label"] = -1
            file[table][:] = rows

    edit_shard(labelled, unlabel, number=0)
    with pytest.raises(FoldError, match="the test groups hold no labelled clip"):
        select_fold(read_corpus(labelled), test_group=1, validation_group=None)
    with pytest.raises(FoldError, match="the validation groups hold no labelled clip"):
        select_fold(read_corpus(labelled), test_group=2, validation_group=1)
    shards = write_corpus(tmp_path / "shards", labels=(-1,))
    with pytest.raises(FoldError, match="the training groups hold no labelled clip"):
        select_fold(read_corpus(shards), test_group=1, validation_group=None)


def test_faces_smaller_than_the_input_are_refused(shards: Path) -> None:
    corpus = read_corpus(shards)
    check_face_size(corpus, size=16)
    with pytest.raises(ArgumentError, match="faces are 16x16 pixels, expected square and at least 112x112"):
        check_face_size(corpus, size=112)


def test_the_least_of_machine_and_container_memory_is_available(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9 kB\nMemAvailable:      4000 kB\n")
    assert available_bytes(meminfo=meminfo, cgroup=tmp_path) == 4000 * 1024
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("400000\n")
    (tmp_path / "memory.stat").write_text("anon 9\ninactive_file 100000\nactive_file 7\n")
    assert available_bytes(meminfo=meminfo, cgroup=tmp_path) == 700_000  # cached files are given up on demand
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes(meminfo=meminfo, cgroup=tmp_path) == 4000 * 1024
