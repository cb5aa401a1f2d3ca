"""The corpus that is harmed, and what a build of it brings that nobody harms."""

import csv
import shutil
from pathlib import Path

import pytest
from running import LABELS, SUBJECTS, command, digest, run


@pytest.fixture(scope="session")
def root(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 subjects with 4 recordings each."""
    home = tmp_path_factory.mktemp("faults")
    rows = [(f"{subject}_{label}_1.mp4", subject, label) for subject in SUBJECTS for label in LABELS]
    for name, subject, _ in rows:
        shutil.copy(shared_data / "london" / "expr6" / subject / name, home / name)
    with (home / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "subject", "label"), *rows])
    return home


@pytest.fixture(scope="session")
def undisturbed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards, by one worker on this machine."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    done = run(command(root, out, out.parent / "cache", "--workers=1"))
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def expected(undisturbed: Path) -> str:
    return digest(undisturbed)
