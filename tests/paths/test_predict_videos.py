"""From videos to a trained network, and from it to what it says of videos that it has not seen: with all commands."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SUBJECTS = ("001", "003", "005")
LABELS = ("happiness", "surprise")


def run(*command: object, code: int = 0) -> str:
    done = subprocess.run([sys.executable, "-m", *map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def home(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`shards` of real faces, cut and aligned in an unusual way, and the `run` of their fold 1."""
    home = tmp_path_factory.mktemp("home")
    with (home / "manifest.csv").open("w", newline="") as file:
        names = [(f"{s}/{s}_{label}_1.mp4", s, label) for s in SUBJECTS for label in LABELS]
        csv.writer(file).writerows([("file", "subject", "label"), *names])
    (home / "recipe.toml").write_text('[flow]\nbackend = "dis"\n')
    run("fer_prep", "build", "--dataset", "manifest", "--root", shared_data / "london" / "expr6", "--manifest",
        home / "manifest.csv", "--recipe", home / "recipe.toml", "--out", home / "shards", "--cache", home / "cache",
        "--aligner", "mesh", "--length", 8, "--stride", 4, "--face-size", 64, "--groups", "subject")  # fmt: skip
    run("fer_model", home / "shards", "--fold", 1, "--preset", "small", "--epochs", 1, "--device", "cpu", "--out",
        home / "runs", "--note", "warped real faces")  # fmt: skip
    (home / "run").symlink_to(home / "runs/manifest/enhanced/seed0/fold1")
    return home


def test_a_folder_of_new_videos(shared_data: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    videos = tmp_path / "videos"
    (videos / "anna").mkdir(parents=True)
    shutil.copy(shared_data / "london/expr6/006/006_happiness_1.mp4", videos / "anna" / "ü 1.mp4")
    shutil.copy(shared_data / "edge/truncated_45pct.avi", videos / "broken.avi")
    (videos / "a\tb.mp4").write_bytes(b"")
    (videos / "notes.txt").write_text("no video")
    out = videos / "out"
    said = run("fer_model.predict", videos, "--checkpoint", home / "run", "--out", out, "--video", code=3)
    found = {row["recording"]: row for row in rows(out / "recordings.csv")}
    assert set(found) == {"anna/ü 1.mp4", "broken.avi", r"a\tb.mp4"}
    assert found["anna/ü 1.mp4"]["predicted"] in LABELS
    assert found["anna/ü 1.mp4"]["fps"] == "25"
    assert "33 of 75 frames" in found["broken.avi"]["reason"]
    assert found[r"a\tb.mp4"]["reason"].startswith("name: ")
    assert {row["recording"] for row in rows(out / "clips.csv")} == {"anna/ü 1.mp4"}
    assert "not decided: broken.avi (truncated: " in said
    there, here = (json.loads((path / "index.json").read_text()) for path in (home / "shards", out / "shards"))
    for key in ("classes", "clip", "aligner"):
        assert here[key] == there[key]
    for key in ("align", "flow", "clips", "storage"):
        assert here["recipe"][key] == there["recipe"][key]
    assert [shard["n_recordings"] for shard in here["shards"]] == [1]
    assert {path.name for path in out.iterdir()} == {
        "clips.csv", "manifest.csv", "predict.json", "recipe.toml", "recordings.csv", "shards", "timelines", "videos",
    }  # fmt: skip
    again = run("fer_model.predict", videos, "--checkpoint", home / "run", "--out", out, "--overwrite", code=3)
    assert "videos: 2" in again  # its own videos are no input
    assert not (out / "videos").exists() or not list((out / "videos").iterdir())


def test_a_training_video_by_itself_gets_the_numbers_of_its_recording_in_the_test(
    shared_data: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FER_CACHE", str(home / "cache"))
    video = shared_data / "london/expr6/001/001_surprise_1.mp4"
    run("fer_model.predict", video, "--checkpoint", home / "run", "--out", tmp_path / "out")
    (ours,) = rows(tmp_path / "out" / "recordings.csv")
    tested = {row["recording"]: row for row in rows(home / "run" / "predictions.csv") if row["level"] == "video"}
    theirs = tested["001/001_surprise_1.mp4"]
    for label in LABELS:
        assert float(ours[f"p_{label}"]) == pytest.approx(float(theirs[f"p_{label}"]), abs=2e-6)


def test_one_broken_video_alone_is_a_row_with_its_reason(
    shared_data: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    broken = shared_data / "edge/truncated_45pct.avi"
    run("fer_model.predict", broken, "--checkpoint", home / "run", "--out", tmp_path / "out", code=3)
    (row,) = rows(tmp_path / "out" / "recordings.csv")
    assert (row["recording"], row["predicted"]) == ("truncated_45pct.avi", "")
    assert "33 of 75 frames" in row["reason"]
