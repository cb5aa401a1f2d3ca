"""Processes killed and disks filled, for real, while fer-prep builds."""

import subprocess
import time
from pathlib import Path

from running import command, digest, local_workers, start, tracks, wait_for

pytest_plugins = ["faults_fixtures"]


def test_killed_workers_cost_time_and_nothing_else(root: Path, expected: str, tmp_path: Path) -> None:
    process = start(command(root, tmp_path / "out", tmp_path / "cache", "--workers=2"))
    killed: set[int] = set()
    end = time.monotonic() + 60
    wait_for(lambda: tracks(tmp_path / "cache"))
    while len(killed) < 2 and process.poll() is None and time.monotonic() < end:
        for worker in local_workers(process):
            if worker.pid not in killed and len(killed) < 2:
                worker.kill()
                killed.add(worker.pid)
                time.sleep(1)
    output = process.communicate(timeout=120)[0]
    assert len(killed) == 2, output
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert digest(tmp_path / "out") == expected


def run_with_small_files(kilobytes: int, command_line: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command that can write no file larger than this: to its writer, the disk is full."""
    limited = ["bash", "-c", f'ulimit -f {kilobytes}; exec "$@"', "limited", *command_line]
    return subprocess.run(limited, capture_output=True, text=True, check=False, timeout=120)


def test_a_full_disk_is_a_sentence_and_the_next_run_goes_on(root: Path, expected: str, tmp_path: Path) -> None:
    out, command_line = tmp_path / "out", command(root, tmp_path / "out", tmp_path / "cache", "--workers=2")
    # tracks (below 1.2 MB) fit into the cache, shards (2 MB and more) do not
    done = run_with_small_files(1200, command_line)
    assert done.returncode == 1
    assert "shard cannot be written (File too large); is the disk full?" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert not (out / "index.json").exists()
    assert not list(out.glob("*.h5"))
    subprocess.run(command_line, check=True, capture_output=True)
    assert digest(out) == expected


def test_a_cache_that_takes_nothing_is_noted_and_does_no_harm(root: Path, expected: str, tmp_path: Path) -> None:
    command_line = command(root, tmp_path / "out", tmp_path / "cache", "--workers=2")
    done = run_with_small_files(300, command_line)
    assert "cannot be written: " in done.stdout
    assert done.returncode == 1  # the shards do not fit either
    assert "Traceback" not in done.stdout + done.stderr
    subprocess.run(command_line, check=True, capture_output=True)
    assert digest(tmp_path / "out") == expected


def test_a_cache_that_is_no_directory_is_said(root: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    done = subprocess.run(
        command(root, tmp_path / "out", tmp_path / "cache", "--workers=2"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "cache cannot be used (" in done.stderr
    assert not (tmp_path / "out").exists()
