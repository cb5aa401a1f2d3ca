"""Typing what a page says into a shell, in a directory with small real videos."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

SUBJECTS = ("001", "003", "005", "006", "008")
TIMEOUT_S = 300


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
