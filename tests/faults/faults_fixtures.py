"""The corpus that is harmed, and what a build of it brings that nobody harms."""

import csv
import shutil
from pathlib import Path

import pytest
from running import LABELS, SUBJECTS, command, digest, run
from standin_install import install


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


@pytest.fixture(scope="session")
def by_openface(openface: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Options of a build by the stand-in for OpenFace, a tenth of a second for each recording at least."""
    program = install(
        tmp_path_factory.mktemp("openface") / "bin", golden=openface / "golden", play={"frame_s": 0.005}
    ).resolve()
    return ("--aligner=openface", f"--openface={program}", "--landmark-model=clnf")


@pytest.fixture(scope="session")
def expected_by_openface(root: Path, by_openface: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("undisturbed-openface") / "out"
    done = run(command(root, out, out.parent / "cache", "--workers=1", *by_openface))
    assert done.returncode == 0, done.stdout + done.stderr
    return digest(out)
