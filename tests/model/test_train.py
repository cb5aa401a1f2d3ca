"""One fold from shards to a run directory, in process."""

import csv
import io
import json
import operator
import os
import signal
from pathlib import Path

import h5py
import pytest
from rich.console import Console
from runs import fold_of, losses, run, same_weights
from safetensors.torch import load_file
from shard_files import edit_shard, write_corpus

from fer_model import rundir
from fer_model.errors import RunDirectoryError
from fer_model.figures import confusion_figure
from fer_model.journal import Journal
from fer_model.network import Stream
from fer_model.stop import Interrupted
from fer_model.terminal import confusion_table


def test_a_finished_run_holds_the_promised_files(shards: Path, tmp_path: Path) -> None:
    log = io.StringIO()
    result = run(shards, tmp_path / "runs", fold=2, validation_group=3, log=log)
    path = tmp_path / "runs" / "tiny" / "enhanced" / "seed0" / "fold2"
    assert result.run.path == path
    tables = {"config.json", "metrics.csv", "losses.csv", "predictions.csv", "summary.json"}
    rest = {"confusion.png", "loss.png", "model.safetensors", "tensorboard"}
    assert {p.name for p in path.iterdir()} == tables | rest
    summary = json.loads((path / "summary.json").read_text())
    assert (summary["corpus"], summary["name"], summary["seed"], summary["fold"]) == ("tiny", "enhanced", 0, 2)
    assert (summary["n_test_recordings"], summary["n_test_clips"], summary["n_train_clips"]) == (6, 8, 8)
    assert (summary["epochs"], summary["preset"], summary["note"]) == (2, "small", None)
    for name in ("video_accuracy", "video_uar", "video_f1", "clip_accuracy", "clip_uar"):
        assert 0 <= summary[name] <= 1
    assert sum(w.numel() for w in load_file(path / "model.safetensors").values()) == summary["parameters"]
    with (path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["level"] for row in rows] == ["clip"] * 8 + ["video"] * 6
    assert {row["subject"] for row in rows} == {"s01"}
    assert sum(float(rows[0][f"p_{c}"]) for c in ("left", "right", "still")) == pytest.approx(1, abs=1e-5)
    right = [row["label"] == row["predicted"] for row in rows if row["level"] == "video"]
    assert sum(right) / 6 == pytest.approx(summary["video_accuracy"])
    with (path / "metrics.csv").open() as file:
        assert all(float(row["validation_loss"]) > 0 for row in csv.DictReader(file))
    assert "validation loss" in log.getvalue()
    assert "always the most frequent of the test classes" in log.getvalue()


def test_the_network_learns_the_order_of_two_movements(tmp_path: Path) -> None:
    """Each video moves up and down between two still frames; only which comes first tells the classes apart."""
    shards = write_corpus(tmp_path / "shards", n_groups=2, subjects_per_group=4, labels=(0, 1) * 3, n_frames=(4,))
    result = run(shards, tmp_path / "runs", epochs=16, lr=5e-3)
    assert result.video.accuracy >= 0.9
    assert float(losses(result.run.path)[-1]) < 0.2


def test_a_network_that_sees_only_the_last_frame_learns_no_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above: without memory, the same data stay at chance."""
    shards = write_corpus(tmp_path / "shards", n_groups=2, subjects_per_group=4, labels=(0, 1) * 3, n_frames=(4,))
    remembering = Stream.forward
    monkeypatch.setattr(Stream, "forward", lambda self, x_BTCHW: remembering(self, x_BTCHW[:, -1:]))
    assert run(shards, tmp_path / "runs", epochs=16, lr=5e-3).video.accuracy <= 0.75


def test_losses_are_the_same_from_memory_and_from_disk(shards: Path, tmp_path: Path) -> None:
    logs = io.StringIO(), io.StringIO()
    ram, disk = (
        run(shards, tmp_path / data, data=data, validation_group=2, log=log)
        for data, log in zip(("ram", "disk"), logs, strict=True)
    )
    assert losses(ram.run.path) == losses(disk.run.path)
    assert (ram.run.path / "predictions.csv").read_bytes() == (disk.run.path / "predictions.csv").read_bytes()
    assert "clips come from memory" in logs[0].getvalue()
    assert "clips come from disk" in logs[1].getvalue()


def test_nothing_of_the_test_group_reaches_training(tmp_path: Path) -> None:
    shards = write_corpus(tmp_path / "shards")
    first = run(shards, tmp_path / "first", fold=2)

    def spoil(file: h5py.File) -> None:
        file["frames/rgb"][:] = 255 - file["frames/rgb"][:]
        file["frames/flow"][:] = 77
        for table in ("recordings", "clips"):
            rows = file[table][:]
            rows["label"] = (rows["label"] + 1) % 3
            file[table][:] = rows

    edit_shard(shards, spoil, number=1)
    second = run(shards, tmp_path / "second", fold=2)
    assert losses(first.run.path) == losses(second.run.path)
    assert same_weights(first.run.path, second.run.path)
    probabilities = [
        [line.split(",")[6:] for line in (result.run.path / "predictions.csv").read_text().splitlines()]
        for result in (first, second)
    ]
    assert probabilities[0] != probabilities[1]


@pytest.mark.parametrize("variant", ["a", "d"])
def test_the_same_seed_gives_the_same_losses_and_another_seed_others(
    shards: Path, tmp_path: Path, variant: str
) -> None:
    first, again, other = (
        losses(run(shards, tmp_path / name, variant=variant, seed=seed).run.path)
        for name, seed in (("first", 5), ("again", 5), ("other", 6))
    )
    assert first == again
    assert first != other


def interrupted_run(shards: Path, out: Path) -> None:
    """Two epochs, of which only the first is made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "epoch_done", lambda self, history: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(Interrupted):
            run(shards, out)


def test_a_run_that_is_there_is_left_alone_unless_told_otherwise(shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    interrupted_run(shards, out)
    with pytest.raises(RunDirectoryError, match="unfinished run; give --resume or --overwrite"):
        run(shards, out)
    with pytest.raises(RunDirectoryError, match=r"differs in lr \(0.002 there, 0.5 here\)"):
        run(shards, out, lr=0.5, resume=True)
    run(shards, out, resume=True)
    for resume in (False, True):
        with pytest.raises(RunDirectoryError, match="finished run; give --overwrite"):
            run(shards, out, resume=resume)
    assert len(losses(run(shards, out, epochs=1, overwrite=True).run.path)) == 1


def test_a_directory_that_is_no_run_is_never_deleted(shards: Path, tmp_path: Path) -> None:
    path = tmp_path / "runs" / "tiny" / "enhanced" / "seed0" / "fold1"
    path.mkdir(parents=True)
    (path / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(RunDirectoryError, match=r"fold1: not (empty and not )?a run"):
            run(shards, tmp_path / "runs", overwrite=overwrite)
    assert (path / "thesis.txt").read_text() == "mine"


def test_a_damaged_checkpoint_is_named(shards: Path, tmp_path: Path) -> None:
    interrupted_run(shards, tmp_path / "runs")
    path = fold_of(tmp_path / "runs") / "checkpoint.pt"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    path.write_bytes(flipped)
    with pytest.raises(RunDirectoryError, match=r"checkpoint\.pt: damaged"):
        run(shards, tmp_path / "runs", resume=True)
    path.write_bytes(whole[:1000])
    with pytest.raises(RunDirectoryError, match=r"checkpoint\.pt: damaged"):
        run(shards, tmp_path / "runs", resume=True)


def test_absent_classes_are_named_and_do_not_spoil_the_measures(tmp_path: Path) -> None:
    shards = write_corpus(tmp_path / "shards", labels=(0, 1, 0, 1))
    log = io.StringIO()
    result = run(shards, tmp_path / "runs", epochs=1, log=log)
    assert "warning: no training clip of still" in log.getvalue()
    assert "warning: no test clip of still" in log.getvalue()
    assert 0 <= result.video.uar <= 1


def test_each_step_leaves_its_loss(shards: Path, tmp_path: Path) -> None:
    path = run(shards, tmp_path, epochs=3, batch_size=4).run.path
    with (path / "losses.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    with (path / "metrics.csv").open() as file:
        epochs = [float(row["loss"]) for row in csv.DictReader(file)]
    n_clips = json.loads((path / "summary.json").read_text())["n_train_clips"]
    sizes = [min(4, n_clips - first) for first in range(0, n_clips, 4)]
    assert len(losses) == 3 * len(sizes)
    for epoch, mean in enumerate(epochs):
        of_epoch = losses[epoch * len(sizes) : (epoch + 1) * len(sizes)]
        assert sum(map(operator.mul, of_epoch, sizes)) / n_clips == pytest.approx(mean, rel=1e-5)


def test_what_the_user_notes_stands_beside_the_numbers(tmp_path: Path) -> None:
    shards, log = write_corpus(tmp_path / "shards", recipe={"corpus": "sample"}), io.StringIO()
    result = run(shards, tmp_path / "runs", epochs=1, log=log, note="a trial")
    assert log.getvalue().count("note: a trial; warped photographs") == 2
    assert json.loads(result.run.summary.read_text())["note"].startswith("a trial; warped")


@pytest.mark.parametrize("where", ["corpus", "recipe"])
def test_results_of_warped_photographs_carry_a_note(tmp_path: Path, where: str) -> None:
    shards = write_corpus(
        tmp_path / "shards",
        corpus="sample" if where == "corpus" else "tiny",
        recipe={"corpus": "sample"} if where == "recipe" else {},
    )
    log = io.StringIO()
    result = run(shards, tmp_path / "runs", epochs=1, log=log)
    assert log.getvalue().count("not an expression-recognition accuracy") == 2
    assert "warped photographs" in json.loads(result.run.summary.read_text())["note"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("../../etc", "etc"), ("/root", "root"), ("..", "corpus"), ("a b/c", "a-b-c"), ("日本", "corpus"), (".x", "x")],
)
def test_a_hostile_corpus_name_stays_inside_the_output_directory(tmp_path: Path, name: str, expected: str) -> None:
    path = rundir.run_directory(tmp_path, corpus=name, name="enhanced", seed=0, fold=1).path
    assert path == tmp_path / expected / "enhanced" / "seed0" / "fold1"


def test_a_class_name_may_look_like_markup_or_a_formula(tmp_path: Path) -> None:
    names = ["[red]a[/red]", "$x_", "b"]
    log = io.StringIO()
    Console(file=log, width=80).print(confusion_table([[1, 0, 0]] * 3, names))
    assert "[red]a[/red]" in log.getvalue()
    confusion_figure(tmp_path / "c.png", confusion_KK=[[1, 0, 0]] * 3, classes=names, title="$\\frac{ [x]")
    assert (tmp_path / "c.png").stat().st_size > 1000
