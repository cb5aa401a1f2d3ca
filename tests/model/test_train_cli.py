"""`fer-train` as a process."""

import json
from pathlib import Path

import click
import pytest
from runs import fer_train
from shard_files import edit_shard, set_field

from fer_model.cli import main


def test_the_options_are_these() -> None:
    found = {p.opts[-1] for p in main.params if isinstance(p, click.Option)}
    run = {
        "--fold",
        "--model",
        "--variant",
        "--weights",
        "--preset",
        "--device",
        "--out",
        "--note",
        "--resume",
        "--overwrite",
    }
    machine = {"--devices", "--data", "--readers", "--precision", "--compile", "--checkpoint-layers", "--log-gradients"}
    assert found == run | machine | {
        "--version",
        "--epochs",
        "--batch-size",
        "--lr",
        "--seed",
        "--seeds",
        "--jobs",
        "--report-best-epoch",
        "--checkpoint-every",
        "--debug",
        "--validation-group",
    }


def test_a_run_from_shards_to_summary(shards: Path, tmp_path: Path) -> None:
    done = fer_train(shards, "--fold", 3, "--variant", "a", "--device", "cpu", "--epochs", 1, "--out", tmp_path / "r")
    assert (done.returncode, done.stderr) == (0, "")
    path = tmp_path / "r" / "tiny" / "convlstm" / "seed0" / "fold3"
    assert json.loads((path / "summary.json").read_text())["name"] == "convlstm"
    assert "epoch   1/1  loss" in done.stdout
    assert str(path) in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Missing option '--fold'"),
        (["--fold", "9"], "fold 9 does not exist: these shards have folds 1 to 3"),
        (["--fold", "1", "--validation-group", "1"], "is the test group"),
        (["--fold", "1", "--variant", "e"], "Invalid value for '--variant'"),
        (["--fold", "1", "--lr", "0"], "Invalid value for '--lr'"),
        (["--fold", "1", "--lr", "nan"], "Invalid value for '--lr'"),
        (["--fold", "1", "--resume", "--overwrite"], "exclude each other"),
    ],
)
def test_bad_arguments_exit_with_2(shards: Path, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    done = fer_train(shards, "--preset", "small", "--out", tmp_path / "r", *arguments)
    assert done.returncode == 2
    assert sentence in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "r").exists()


def test_a_leaked_subject_stops_the_run_before_anything_is_written(shards: Path, tmp_path: Path) -> None:
    edit_shard(shards, set_field("recordings", 2, subject=b"s01"))
    done = fer_train(shards, "--fold", 1, "--preset", "small", "--out", tmp_path / "r")
    assert done.returncode == 1
    assert "'s01'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "r").exists()


def test_debug_shows_the_traceback(shards: Path, tmp_path: Path) -> None:
    (shards / "index.json").unlink()
    done = fer_train(shards, "--fold", 1, "--out", tmp_path / "r", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "not finished" in done.stderr.splitlines()[-1]
