"""From the folders of a corpus to a trained fold, with both commands, for both clip geometries of the paper."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trees

ENTERFACE_SUBJECTS = (1, 12, 21, 30, 40)  # one of each group
CKPLUS_PEOPLE = ("001", "003", "005", "006", "008", "010")


def run(*command: object) -> None:
    done = subprocess.run([sys.executable, "-m", *map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def build_and_train(home: Path, corpus: str, *options: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Index and summary after one epoch of fold 1."""
    run("fer_prep", "build", "--dataset", corpus, "--root", home / "in", "--out", home / "out", "--cache",
        home / "cache", *options)  # fmt: skip
    run("fer_model", home / "out", "--fold", 1, "--preset", "small", "--epochs", 1, "--device", "cpu", "--out",
        home / "runs")  # fmt: skip
    index = json.loads((home / "out/index.json").read_text())
    summary = json.loads((home / f"runs/{corpus}/enhanced/seed0/fold1/summary.json").read_text())
    return index, summary


@pytest.mark.parametrize(
    ("options", "n_recordings"),
    [
        (("--select", "*/sentence 1/*"), 30),
        pytest.param((), 150, marks=pytest.mark.slow),
    ],
)
def test_enterface_of_five_subjects(
    shared_data: Path, tmp_path: Path, options: tuple[str, ...], n_recordings: int
) -> None:
    clips = sorted((shared_data / "real" / "grid").glob("*.mpg"))
    trees.make_files(tmp_path / "in", trees.enterface_names(ENTERFACE_SUBJECTS), clips)
    index, summary = build_and_train(tmp_path, "enterface", *options)
    assert index["clip"] == {"length": 16, "stride": 8}
    assert index["n_groups"] == 5
    assert index["classes"] == list(trees.EMOTIONS)
    shards = index["shards"]
    assert sum(shard["n_recordings"] for shard in shards) == n_recordings
    assert sum(shard["n_clips"] for shard in shards) == n_recordings * 8  # 75 frames each
    assert summary["n_test_recordings"] == n_recordings // 5


def test_ck_plus_of_image_sequences(shared_data: Path, tmp_path: Path) -> None:
    labelled = {f"S{k:03}/{q:03}": 1 + (k + q) % 7 for k in range(10, 30) for q in (1, 4)}
    labelled_index, summary = ckplus(shared_data, tmp_path, labelled, [f"S{k:03}/002" for k in range(10, 20)])
    assert labelled_index["n_groups"] == 10
    assert labelled_index["left_out"] == {"unlabelled sequence": 10}
    assert summary["n_test_recordings"] == 4
    shards = labelled_index["shards"]
    assert sum(shard["n_recordings"] for shard in shards) == 40


@pytest.mark.slow
def test_the_whole_ck_plus_tree(shared_data: Path, shared_facts: Path, tmp_path: Path) -> None:
    with (shared_facts / "ckplus_327_labelled.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    labelled = {f"{row['subject']}/{row['sequence']}": int(row["code"]) for row in listed}
    index, summary = ckplus(shared_data, tmp_path, labelled, [f"S{k:03}/001" for k in range(600, 866)])
    assert index["left_out"] == {"unlabelled sequence": 266}
    assert summary["n_test_recordings"] == sum(row["fold10"] == "1" for row in listed) == 33


def ckplus(
    shared_data: Path, home: Path, labelled: dict[str, int], unlabelled: list[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Build and train on real faces behind the names."""
    people = [shared_data / "london" / "expr6" / who / f"{who}_happiness_1.mp4" for who in CKPLUS_PEOPLE]
    pictures = trees.ckplus_pictures(people, home / "pictures")
    trees.ckplus_tree(home / "in", labelled, unlabelled, pictures)
    index, summary = build_and_train(home, "ckplus")
    assert index["clip"] == {"length": 8, "stride": 2}
    shards = index["shards"]
    assert sum(shard["n_frames"] for shard in shards) == len(labelled) * trees.CKPLUS_IMAGES
    assert sum(shard["n_clips"] for shard in shards) == len(labelled) * 3  # 12 frames each
    with (home / "out/ledger.csv").open(newline="") as file:
        assert {row["n_detected"] for row in csv.DictReader(file)} == {str(trees.CKPLUS_IMAGES)}
    return index, summary
