"""A set of runs: which they are, what is refused before the first step, and what is kept."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import h5py
import pytest
import torch
from runs import run
from sets import A_D, asked, run_set, runs_in
from shard_files import edit_index, edit_shard, set_field
from test_going_on import ended_in_step, in_step
from test_train import interrupted_run

from fer_model import rundir
from fer_model.config import Model, Variant
from fer_model.errors import ArgumentError, FailedRunsError, FerModelError, FoldError, RunDirectoryError, ShardError
from fer_model.experiments.schedule import left_out_of, runs_of, schedule
from fer_model.experiments.selection import chosen_networks
from fer_model.refusals import check_model
from fer_model.shards import read_corpus
from fer_model.stop import Interrupted

CPU = torch.device("cpu")


def files(path: Path) -> dict[str, bytes]:
    """Everything below a directory."""
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_a_comparison_of_all_variants_is_complete_early() -> None:
    experiment = replace(asked(Path(), Path(), seed=3), n_seeds=2)
    runs = [(a.seed, a.fold, a.variant) for a in runs_of(experiment, n_groups=2)]
    a, d = map(str, A_D)
    assert runs == [
        (3, 1, a), (3, 1, d), (3, 2, a), (3, 2, d), (4, 1, a), (4, 1, d), (4, 2, a), (4, 2, d),
    ]  # fmt: skip
    only = replace(
        experiment, folds=(5, 2), networks=chosen_networks([Model.FAN, Model.TWO_STREAM], [Variant.SPATIAL]), n_seeds=1
    )
    assert [(a.fold, a.model, a.variant) for a in runs_of(only, n_groups=9)] == [
        (5, "fan", None), (5, "two-stream", "spatial"), (2, "fan", None), (2, "two-stream", "spatial"),
    ]  # fmt: skip


def test_work_is_that_of_the_training_clips_of_each_fold_and_network(shards: Path, tmp_path: Path) -> None:
    runs = schedule(asked(shards, tmp_path / "r"), read_corpus(shards), device=CPU).members
    assert [str(member) for member in runs[:2]] == ["convlstm, fold 1, seed 0", "enhanced, fold 1, seed 0"]
    small, large = runs[0].work, runs[1].work
    assert small < large
    longer = schedule(asked(shards, tmp_path / "r", epochs=6), read_corpus(shards), device=CPU).members
    assert longer[1].work == pytest.approx(3 * large)


def without_labels(file: h5py.File) -> None:
    for table in ("recordings", "clips"):
        rows = file[table][:]
        rows["label"] = -1
        file[table][...] = rows


def test_a_fold_that_cannot_be_tested_is_refused_before_the_first_step(shards: Path, tmp_path: Path) -> None:
    edit_shard(shards, without_labels, number=2)
    with pytest.raises(FoldError, match="the test groups hold no labelled clip"):
        run_set(shards, tmp_path / "r")
    assert not (tmp_path / "r").exists()
    run_set(shards, tmp_path / "r", folds=(1,), variants=A_D[:1], epochs=1)  # the others can be


def test_a_subject_in_two_groups_is_refused_before_the_first_step(shards: Path, tmp_path: Path) -> None:
    edit_index(shards, lambda index: index["shards"][2].update(subject="s00"))
    with pytest.raises(ShardError, match="subject 's00' is in group 1 and in group 3"):
        run_set(shards, tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_a_recording_of_a_subject_of_another_group_is_refused_before_the_first_step(
    shards: Path, tmp_path: Path
) -> None:
    edit_shard(shards, set_field("recordings", 2, subject=b"s00"), number=2)
    with pytest.raises(ShardError, match="subject 's00'"):
        run_set(shards, tmp_path / "r")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"folds": (1, 9)}, "fold 9 does not exist"),
        ({"validation_group": 2}, "validation group 2 is the test group"),
        ({"devices": 2}, r"--devices 2 with several runs: .* give --jobs 2"),
    ],
)
def test_arguments_that_do_not_fit_one_of_the_runs_are_refused_before_the_first_step(
    shards: Path, tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ArgumentError, match=sentence):
        run_set(shards, tmp_path / "r", **changes)
    assert not (tmp_path / "r").exists()


def test_an_option_that_one_model_of_a_set_has_no_use_for_is_for_the_others() -> None:
    common = replace(asked(Path(), Path(), batch_size=None, lr=None).common, epochs=7, log_gradients=True)
    networks = chosen_networks([Model.FAN, Model.LBP_TOP], None)
    both = replace(asked(Path(), Path()), common=common, folds=(1,), networks=networks)
    fan, lbp_top = runs_of(both, n_groups=2)
    assert (fan.epochs, lbp_top.epochs) == (7, None)
    assert {model: [o.option for o in options] for model, options in left_out_of(both).items()} == {
        Model.FAN: [], Model.LBP_TOP: ["--epochs"],
    }  # fmt: skip
    with pytest.raises(ArgumentError, match="--log-gradients: not for --model fan"):  # of no use for both
        check_model(fan, n_processes=1, clip_length=16)


def test_under_torchrun_a_set_is_refused(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "MASTER_PORT"):
        monkeypatch.setenv(name, "0")
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR"):
        monkeypatch.setenv(name, "1")
    with pytest.raises(ArgumentError, match=r"several runs under torchrun.* --jobs N"):
        run_set(shards, tmp_path / "r")


def test_finished_runs_are_kept_and_others_are_named(shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    run(shards, out, fold=2)  # by a command of its own
    said = run_set(shards, out, folds=(2, 1))
    assert "1 of 4 are finished already" in said
    assert runs_in(out) == [
        "convlstm/seed0/fold1",
        "convlstm/seed0/fold2",
        "enhanced/seed0/fold1",
        "enhanced/seed0/fold2",
    ]
    assert "enhanced, fold 2, seed 0:" not in said
    assert "enhanced, fold 1, seed 0:" in said
    before = files(out)
    for resume in (False, True):
        assert "4 of 4 are finished already" in run_set(shards, out, folds=(2, 1), resume=resume)
    with pytest.raises(
        RunDirectoryError, match=r"fold2: the finished run there differs in lr \(0.002 there, 0.1 here\)"
    ):
        run_set(shards, out, folds=(2, 1), lr=0.1)
    assert files(out) == before
    said = run_set(shards, out, folds=(2, 1), epochs=1, overwrite=True)
    assert "already" not in said
    assert {json.loads(path.read_text())["epochs"] for path in out.rglob("summary.json")} == {1}


def test_an_unfinished_run_and_a_directory_that_is_no_run_are_refused_before_the_first_step(
    shards: Path, tmp_path: Path
) -> None:
    interrupted_run(shards, tmp_path / "r")
    before = files(tmp_path / "r")
    with pytest.raises(RunDirectoryError, match="enhanced/seed0/fold1: holds an unfinished run; give --resume or"):
        run_set(shards, tmp_path / "r")
    with pytest.raises(RunDirectoryError, match=r"fold1: the run there differs in epochs \(2 there, 3 here\)"):
        run_set(shards, tmp_path / "r", epochs=3, resume=True)
    thesis = tmp_path / "r" / "tiny" / "convlstm" / "seed0" / "fold3" / "thesis.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("mine")
    for changes in ({"overwrite": True}, {"resume": True}):
        with pytest.raises(RunDirectoryError, match=r"fold3: not (empty and not )?a run"):
            run_set(shards, tmp_path / "r", **changes)
    thesis.unlink()
    assert files(tmp_path / "r") == before


def test_a_damaged_checkpoint_is_named_before_the_first_step(shards: Path, tmp_path: Path) -> None:
    interrupted_run(shards, tmp_path / "r")
    checkpoint = next((tmp_path / "r").rglob("checkpoint.pt"))
    checkpoint.write_bytes(checkpoint.read_bytes()[:-9])
    with pytest.raises(RunDirectoryError, match=r"checkpoint\.pt: damaged"):
        run_set(shards, tmp_path / "r", resume=True)
    assert runs_in(tmp_path / "r") == []


def test_ctrl_c_keeps_the_step_and_says_how_many_runs_are_finished(shards: Path, tmp_path: Path) -> None:
    expected = run_set(shards, tmp_path / "whole", folds=(1, 2))
    with pytest.MonkeyPatch.context() as patch:
        in_step(8, lambda: os.kill(os.getpid(), signal.SIGINT), patch)  # 6 steps a run
        with pytest.raises(Interrupted, match=r"after step 2 of 3 in epoch 1: .*; 1 of 4 runs are finished$") as raised:
            run_set(shards, tmp_path / "r", folds=(1, 2))
    assert raised.value.exit_code == 130
    with pytest.raises(RunDirectoryError, match="unfinished run"):
        run_set(shards, tmp_path / "r", folds=(1, 2))
    said = run_set(shards, tmp_path / "r", folds=(1, 2), resume=True)
    assert "1 of 4 are finished already" in said
    assert said.splitlines()[-4:-1] == expected.splitlines()[-4:-1]


def test_a_run_that_diverges_does_not_end_the_others(shards: Path, tmp_path: Path) -> None:
    """It was interrupted in time, but its weights are already on their way: so they are in its checkpoint."""
    ended_in_step(2, shards, tmp_path, signal.SIGINT)
    directory = rundir.RunDirectory(path=tmp_path / "tiny" / "enhanced" / "seed0" / "fold1")
    state = rundir.read_checkpoint(directory)
    assert state is not None
    state["network"]["fully_connected.2.weight"] *= 1e6
    rundir.save_checkpoint(directory, state)
    with pytest.raises(FailedRunsError) as raised:
        run_set(shards, tmp_path, folds=(1, 3), resume=True, validation_group=2)
    assert raised.value.exit_code == 3
    first, reason = str(raised.value).splitlines()
    assert first == "1 of 4 runs did not finish:"
    assert reason.startswith("enhanced, fold 1, seed 0: the loss exploded to")
    assert "training diverged" in reason
    assert runs_in(tmp_path) == ["convlstm/seed0/fold1", "convlstm/seed0/fold3", "enhanced/seed0/fold3"]


def test_an_error_that_ends_the_set_names_its_run(shards: Path, tmp_path: Path) -> None:
    """A shard that is damaged while the set goes on."""
    with pytest.MonkeyPatch.context() as patch:
        in_step(7, lambda: [path.write_bytes(b"") for path in shards.glob("*.h5")], patch)
        with pytest.raises(FerModelError, match=r"\.h5"):
            run_set(shards, tmp_path / "r", data="disk")
    assert runs_in(tmp_path / "r") == ["convlstm/seed0/fold1"]
