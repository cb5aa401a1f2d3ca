"""What README.md and docs/quickstart.md tell a user to type runs as it stands there, on small real videos.

What is stood in for, or not run: `pip` and the making of a virtual environment (this one is used; the extras named are
checked), and `make` (its targets are checked; the recipes are run by whoever runs the tests).
"""

import csv
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import trees
from pages import DOCS, README, ROOT, blocks, languages

QUICKSTART = DOCS / "quickstart.md"
SUBJECTS = ("001", "003", "005", "006", "008")
ENVIRONMENT = ["python3 -m venv .venv\n", "source .venv/bin/activate\n"]  # this one is used
TIMEOUT_S = 120


def type_in(home: Path, block: str) -> str:
    """What a shell prints that stops at the first failure; `pip` does nothing."""
    stand_ins = home / "bin"
    stand_ins.mkdir(exist_ok=True)
    (stand_ins / "pip").write_text("#!/bin/sh\n")
    (stand_ins / "pip").chmod(0o755)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block], cwd=home, capture_output=True, text=True, check=False,
        timeout=TIMEOUT_S,
        env=os.environ | {
            "PATH": f"{stand_ins}:{Path(sys.executable).parent}:{os.environ['PATH']}", "FER_CACHE": str(home / "cache"),
            "CUDA_VISIBLE_DEVICES": "", "OPENFACE_BIN": "",
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def take(shared_data: Path, subject: str, label: str) -> Path:
    """A real face of 17 frames, warped into an expression."""
    return shared_data / "london" / "expr6" / subject / f"{subject}_{label}_1.mp4"


def own_videos(home: Path, shared_data: Path, table: str) -> None:
    """`my_videos` with the CSV of a page, and a video behind each of its rows."""
    rows = list(csv.DictReader(table.splitlines()))
    people = dict(zip(dict.fromkeys(row["subject"] for row in rows), SUBJECTS, strict=False))
    for row in rows:
        place = home / "my_videos" / row["file"]
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(take(shared_data, people[row["subject"]], row["label"]), place)
    (home / "my_videos" / "labels.csv").write_text(table)


def test_every_block_is_known_here() -> None:
    assert languages(README) == ["bash", "bash", "csv", "bash", "bash"]
    assert languages(QUICKSTART) == ["bash", "csv", "bash", "bash", "bash", "bash", "bash"]


def test_targets_of_make_are_in_the_makefile() -> None:
    named = re.findall(r"`?make (\w+)", README.read_text(encoding="utf-8"))
    assert {"demo", "test", "docs", "lint", "bench"} <= {*named}
    makefile = (ROOT / "Makefile").read_text()
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("page", [README, *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_extras_that_are_to_be_installed_exist(page: Path) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for named in re.findall(r"'(?:\.|fer-convlstm)\[([\w,]+)\]'", page.read_text(encoding="utf-8")):
        assert {*named.split(",")} <= {*extras}, named


def test_readme_from_a_corpus_to_a_prediction(shared_data: Path, tmp_path: Path) -> None:
    _, corpus, _, prediction = blocks(README, "bash")
    names = [name for name in trees.enterface_names((1, 12, 21, 30, 40)) if "/sentence 1/" in name]
    for name, subject in zip(names, [s for s in SUBJECTS for _ in trees.EMOTIONS], strict=True):
        place = tmp_path / "downloads" / name
        place.parent.mkdir(parents=True)
        place.symlink_to(take(shared_data, subject, name.split("/")[2]))
    said = type_in(tmp_path, corpus)
    assert "30" in said
    shutil.copy(take(shared_data, "010", "surprise"), tmp_path / "party.mp4")
    type_in(tmp_path, prediction)
    made = {path.name for path in (tmp_path / "predictions" / "party").iterdir()}
    assert {"clips.csv", "recordings.csv", "timelines", "videos"} <= made


def test_readme_with_own_videos(shared_data: Path, tmp_path: Path) -> None:
    own_videos(tmp_path, shared_data, blocks(README, "csv")[0])
    type_in(tmp_path, blocks(README, "bash")[2])
    assert (tmp_path / "runs/manifest/enhanced/seed0/fold1/summary.json").is_file()


def test_quickstart_from_the_first_line_to_the_last(shared_data: Path, tmp_path: Path) -> None:
    install, *steps = blocks(QUICKSTART, "bash")
    lines = install.splitlines(keepends=True)
    assert lines[:2] == ENVIRONMENT
    own_videos(tmp_path, shared_data, blocks(QUICKSTART, "csv")[0])
    shutil.copy(take(shared_data, "010", "surprise"), tmp_path / "party.mp4")
    type_in(tmp_path, "".join(lines[2:-1]))
    assert lines[-1] == "fer-prep doctor\n"  # it fails where a disk is nearly full
    for step in steps:
        type_in(tmp_path, step)
    run = "runs/manifest/enhanced/seed0/fold1"
    for made in (
        "shards/report.html",
        "clip.png",
        f"{run}/confusion.png",
        "results.html",
        "predictions/party/clips.csv",
    ):
        assert (tmp_path / made).is_file(), made
