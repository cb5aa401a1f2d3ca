"""A set of runs as a process, or several: to the same results, through kill -9, Ctrl-C and a process that dies."""

import csv
import io
import json
import os
import re
import signal
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest
import torch
from rich.console import Console
from runs import fer_train, started
from scipy.stats import binom
from sets import A_D, ARGUMENTS, asked, assert_same_runs, run_set, runs_in, table_of
from shard_files import edit_shard, write_corpus
from test_going_on import wait_for
from test_ranks import ranks_of

from fer_model.config import Variant
from fer_model.experiments.display import Clock, ExperimentDisplay, RunState, in_hours, mean_and_sd
from fer_model.experiments.jobs import JobFiles, reading, take
from fer_model.experiments.schedule import schedule
from fer_model.shards import read_corpus

EPOCHS = 3


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "shards", n_groups=2)


@pytest.fixture(scope="module")
def whole(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The runs of an undisturbed set, and what it said."""
    out = tmp_path_factory.mktemp("whole")
    return out, run_set(corpus, out, epochs=EPOCHS)


def command(corpus: Path, out: Path, *more: object) -> list[object]:
    """What trains the same set."""
    return [corpus, "--fold", "all", "--epochs", EPOCHS, "--out", out, *ARGUMENTS, *more]


def test_a_set_that_was_killed_in_its_third_run_goes_on_to_the_same_results(
    corpus: Path, whole: tuple[Path, str], tmp_path: Path
) -> None:
    with started(*command(corpus, tmp_path, "--checkpoint-every", 0)) as process:
        wait_for(tmp_path / "tiny" / "convlstm" / "seed0" / "fold2" / "checkpoint.pt", process)
        process.kill()
    assert runs_in(tmp_path) == ["convlstm/seed0/fold1", "enhanced/seed0/fold1"]
    done = fer_train(*command(corpus, tmp_path, "--resume"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 of 4 are finished already" in done.stdout
    assert_same_runs(tmp_path, whole[0])
    ours, theirs = (" ".join(" ".join(table_of(said)).split()) for said in (done.stdout, whole[1]))
    assert ours == theirs
    assert done.stdout.splitlines()[-1] == f"all figures and comparisons: fer-results {tmp_path}"


@pytest.mark.slow
def test_two_at_a_time_have_the_results_of_one_after_the_other(
    corpus: Path, whole: tuple[Path, str], tmp_path: Path
) -> None:
    done = fer_train(*command(corpus, tmp_path, "--jobs", 2))
    assert (done.returncode, done.stderr) == (0, "")
    assert_same_runs(tmp_path, whole[0])
    assert len(re.findall(r"^\w+, fold \d, seed 0: [\d.]+% of recordings right, \d+ s$", done.stdout, re.M)) == 4
    assert " ".join(table_of(whole[1])[1].split()) in " ".join(done.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_in_the_terminal_keeps_the_steps_of_all_runs(
    corpus: Path, whole: tuple[Path, str], tmp_path: Path, jobs: int
) -> None:
    under_way = [tmp_path / "tiny" / name / "seed0" / "fold2" / "checkpoint.pt" for name in ("convlstm", "enhanced")]
    with started(*command(corpus, tmp_path, "--checkpoint-every", 0, "--jobs", jobs)) as process:
        wait_for(under_way[0], process)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.search(r"interrupted after .*: the same command with --resume .* goes on there; \d of 4 runs", errors)
    assert errors.count("Ctrl-C again ends at once") <= 1
    assert "Traceback" not in errors
    done = fer_train(*command(corpus, tmp_path, "--jobs", jobs, "--resume"))
    assert (done.returncode, done.stderr) == (0, "")
    assert_same_runs(tmp_path, whole[0])


@pytest.mark.slow
def test_a_process_that_dies_is_named_and_the_other_trains_all_other_runs(
    corpus: Path, whole: tuple[Path, str], tmp_path: Path
) -> None:
    with started(*command(corpus, tmp_path, "--checkpoint-every", 0, "--jobs", 2)) as process:
        wait_for(tmp_path / "tiny" / "convlstm" / "seed0" / "fold1" / "config.json", process)
        wait_for(tmp_path / "tiny" / "enhanced" / "seed0" / "fold1" / "config.json", process)
        jobs: list[psutil.Process] = ranks_of(process.pid)
        jobs[1].kill()
        _, errors = process.communicate(timeout=240)
    assert process.returncode == 1
    assert re.search(r"error: job 1 was killed by SIGKILL \(often: out of memory\); 3 of 4 runs are finished; ", errors)
    assert "the same command with --resume (and no --overwrite) goes on" in errors
    assert len(runs_in(tmp_path)) == 3
    run_set(corpus, tmp_path, epochs=EPOCHS, resume=True)
    assert_same_runs(tmp_path, whole[0])


def shuffle_labels(shards: Path, *, n_classes: int, seed: int) -> None:
    """Give each recording of all shards a label by chance, and its clips the same."""
    random = np.random.default_rng(seed)

    def shuffle(file: h5py.File) -> None:
        recordings, clips = file["recordings"][:], file["clips"][:]
        recordings["label"] = random.integers(0, n_classes, len(recordings))
        clips["label"] = recordings["label"][clips["recording"]]
        file["recordings"][...], file["clips"][...] = recordings, clips

    for number in range(len(list(shards.glob("*.h5")))):
        edit_shard(shards, shuffle, number=number)


def right(out: Path) -> tuple[int, int]:
    """How many recordings of how many are decided as their labels say, in all runs below a directory."""
    rows = [row for path in out.rglob("predictions.csv") for row in csv.DictReader(path.open())]
    videos = [row for row in rows if row["level"] == "video"]
    return sum(row["label"] == row["predicted"] for row in videos), len(videos)


@pytest.mark.slow
def test_what_is_trained_on_shuffled_labels_is_at_chance_on_the_test_folds(tmp_path: Path) -> None:
    """The same shards are learned where the labels are true; so a leak of test labels would be learned too."""
    shards = write_corpus(tmp_path / "shards", n_groups=2, subjects_per_group=4, labels=(0, 1) * 3, n_frames=(4,))
    asked_for = {"variants": A_D[1:], "epochs": 16, "lr": 5e-3}
    run_set(shards, tmp_path / "true", **asked_for)
    n_right, n = right(tmp_path / "true")
    assert n == 48
    assert n_right >= 0.9 * n
    shuffle_labels(shards, n_classes=2, seed=1)
    run_set(shards, tmp_path / "shuffled", **asked_for)
    low, high = binom.interval(0.99, n, 0.5)  # 15 to 33 of 48
    assert low <= right(tmp_path / "shuffled")[0] <= high


def test_the_bar_says_which_run_is_under_way_and_what_time_is_left(corpus: Path, tmp_path: Path) -> None:
    runs = schedule(asked(corpus, tmp_path), read_corpus(corpus), device=torch.device("cpu"))
    log = io.StringIO()
    display = ExperimentDisplay(Console(file=log, width=120, force_terminal=True), runs, jobs=1)
    with display.showing():
        display.said(RunState(number=2, epoch=1, share=0.25))
        display.said(RunState(number=2, epoch=2, share=0.75))
    assert re.search(r"run 3 of 4 · convlstm, fold 2, seed 0 · epoch 2/2 .*\d:\d\d left", log.getvalue())


def test_each_of_several_jobs_has_a_row(corpus: Path, tmp_path: Path) -> None:
    runs = schedule(asked(corpus, tmp_path), read_corpus(corpus), device=torch.device("cpu"))
    log = io.StringIO()
    display = ExperimentDisplay(Console(file=log, width=120, force_terminal=True), runs, jobs=2)
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    with display.showing(), reading(meeting, display, n_jobs=2, n_runs=4):
        for number in (0, 3, 3):
            assert take(meeting, number) == (not (meeting / f"run{number}.ended").exists())
            JobFiles(meeting, number % 2).said(RunState(number=number, epoch=2, share=0.5))
            JobFiles(meeting, number % 2).ended(number, "it diverged")
    assert "convlstm, fold 1, seed 0: not finished: it diverged" in log.getvalue()
    for row in (
        "run 1 of 4 · convlstm, fold 1, seed 0 · epoch 2/2",
        "run 4 of 4 · enhanced, fold 2, seed 0",
        "all runs",
    ):
        assert row in log.getvalue()
    assert display.failed == {0: "it diverged", 3: "it diverged"}


def test_time_left_goes_by_the_work_that_was_made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("fer_model.experiments.display.time.monotonic", lambda: now[0])
    clock = Clock([100.0, 300.0, 100.0])
    assert clock.left_s() is None
    clock.set(0, 0.5)  # resumed: its first half was made before
    assert clock.left_s() is None
    now[0] = 10.0
    clock.set(0, 0.75)  # 25 in 10 s, 425 are left
    assert clock.left_s() == pytest.approx(170)
    clock.end(0)  # it failed
    assert clock.left_s() == pytest.approx(160)
    assert clock.share == pytest.approx(0.2)
    clock.end(1)
    clock.end(2)
    assert clock.left_s() == 0
    assert (in_hours(0), in_hours(61.4), in_hours(3600)) == ("0:00", "1:01", "1:00:00")


def test_a_single_run_has_no_deviation() -> None:
    assert mean_and_sd([]) == "–"
    assert mean_and_sd([0.5]) == "50.0%"
    assert mean_and_sd([0.5, 0.7]) == "60.0% ± 14.1"


def test_an_experiment_of_one_variant_and_one_fold_with_two_seeds_lies_side_by_side(
    corpus: Path, tmp_path: Path
) -> None:
    said = run_set(corpus, tmp_path, folds=(2,), variants=(Variant.SPATIAL,), n_seeds=2, epochs=1)
    assert runs_in(tmp_path) == ["spatial/seed0/fold2", "spatial/seed1/fold2"]
    assert "fold 2 of 2, seeds 0, 1;" in said
    seeds = [json.loads(path.read_text())["video_accuracy"] for path in tmp_path.rglob("summary.json")]
    assert [line.split() for line in table_of(said) if "spatial" in line] == [
        ["spatial", f"{sum(seeds) / 2:.1%}", "2", "of", "2"]  # seeds of one fold are one number, without deviation
    ]
