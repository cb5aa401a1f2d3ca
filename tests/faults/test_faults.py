"""Processes killed and disks filled, for real, while fer-prep builds."""

import csv
import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

SUBJECTS, LABELS = ("001", "003", "005", "006"), ("anger", "fear", "happiness", "surprise")


@pytest.fixture(scope="module")
def root(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 subjects with 4 recordings each."""
    home = tmp_path_factory.mktemp("faults")
    rows = [(f"{subject}_{label}_1.mp4", subject, label) for subject in SUBJECTS for label in LABELS]
    for name, subject, _ in rows:
        shutil.copy(shared_data / "london" / "expr6" / subject / name, home / name)
    with (home / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "subject", "label"), *rows])
    return home


def command(root: Path, out: Path, cache: Path, workers: int = 2) -> list[str]:
    options = [f"--root={root}", f"--out={out}", f"--cache={cache}", f"--workers={workers}"]
    return [sys.executable, "-m", "fer_prep", "build", "--dataset=manifest", *options]


def digests(out: Path) -> dict[str, str]:
    """sha256 of every shard, checked against the index."""
    index = json.loads((out / "index.json").read_text())
    found = {shard["file"]: hashlib.sha256((out / shard["file"]).read_bytes()).hexdigest() for shard in index["shards"]}
    assert found == {shard["file"]: shard["sha256"] for shard in index["shards"]}
    return found


@pytest.fixture(scope="module")
def undisturbed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    subprocess.run(command(root, out, out.parent / "cache"), check=True, capture_output=True)
    return digests(out)


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The worker processes: children of the fork server, busy or not."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if child.ppid() != process.pid]


def test_killed_workers_cost_time_and_nothing_else(root: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(root, tmp_path / "out", tmp_path / "cache"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    killed: set[int] = set()
    end = time.monotonic() + 60
    while not list((tmp_path / "cache").rglob("output.pkl")) and time.monotonic() < end:
        time.sleep(0.02)  # until the workers are at work
    while len(killed) < 2 and process.poll() is None and time.monotonic() < end:
        for worker in workers_of(process):
            if worker.pid not in killed and len(killed) < 2:
                worker.kill()
                killed.add(worker.pid)
                time.sleep(1)
    output = process.communicate(timeout=120)[0]
    assert len(killed) == 2, output
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert digests(tmp_path / "out") == undisturbed


def run_with_small_files(kilobytes: int, command_line: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command that can write no file larger than this: to its writer, the disk is full."""
    limited = ["bash", "-c", f'ulimit -f {kilobytes}; exec "$@"', "limited", *command_line]
    return subprocess.run(limited, capture_output=True, text=True, check=False, timeout=120)


def test_a_full_disk_is_a_sentence_and_the_next_run_goes_on(
    root: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    out, command_line = tmp_path / "out", command(root, tmp_path / "out", tmp_path / "cache")
    # tracks (below 1.2 MB) fit into the cache, shards (2 MB and more) do not
    done = run_with_small_files(1200, command_line)
    assert done.returncode == 1
    assert "shard cannot be written (File too large); is the disk full?" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert not (out / "index.json").exists()
    assert not list(out.glob("*.h5"))
    subprocess.run(command_line, check=True, capture_output=True)
    assert digests(out) == undisturbed


def test_a_cache_that_takes_nothing_is_noted_and_does_no_harm(
    root: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    command_line = command(root, tmp_path / "out", tmp_path / "cache")
    done = run_with_small_files(300, command_line)
    assert "cannot be written: " in done.stdout
    assert done.returncode == 1  # the shards do not fit either
    assert "Traceback" not in done.stdout + done.stderr
    subprocess.run(command_line, check=True, capture_output=True)
    assert digests(tmp_path / "out") == undisturbed


def test_a_cache_that_is_no_directory_is_said(root: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    done = subprocess.run(
        command(root, tmp_path / "out", tmp_path / "cache"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "cache cannot be used (" in done.stderr
    assert not (tmp_path / "out").exists()
