"""Ctrl-C while fer-prep builds, as a terminal sends it: to the whole process group."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running import command, dask_cluster, digest, run, start, tracks, wait_for

from fer_prep.ledger import read_ledger

pytest_plugins = ["faults_fixtures"]

N_BATCHES, LARGEST_BATCH = 2, 2  # under way; of 16 recordings on two workers
AT_ONCE_S = 3.0


def press(process: "subprocess.Popen[str]") -> None:
    os.killpg(process.pid, signal.SIGINT)


@contextmanager
def place(where: str, home: Path) -> Iterator[str]:
    """The option that says where to work. The workers of a cluster do not hear the terminal."""
    if where == "local workers":
        yield "--workers=2"
        return
    with dask_cluster(home, 2) as cluster:
        yield f"--scheduler={cluster.address}"


def sentences(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("fer-prep:")]


@pytest.mark.parametrize("where", [pytest.param("local workers", marks=pytest.mark.slow), "a cluster"])
def test_one_ctrl_c_begins_nothing_writes_what_is_whole_and_the_next_run_goes_on(
    root: Path, expected: str, tmp_path: Path, where: str
) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    with place(where, tmp_path) as option:
        process = start(command(root, out, cache, option))
        wait_for(lambda: tracks(cache) >= 2 or process.poll() is not None)
        before = tracks(cache)
        press(process)
        output = process.communicate(timeout=60)[0]
        assert process.returncode == 130, output
        assert "Traceback" not in output
        (sentence,) = sentences(output)
        assert "the same command goes on from here" in sentence
        # those under way, and as many that workers took before the driver heard
        assert tracks(cache) - before <= 2 * N_BATCHES * LARGEST_BATCH
        n_shards = len(list(out.glob("*.h5")))
        told = re.search(r"interrupted; (\d) of 4 shards are in ", sentence)
        assert told
        assert int(told[1]) == n_shards
        assert len(read_ledger(out)) == 4 * n_shards
        assert not (out / "index.json").exists()
        done = run(command(root, out, cache, option))
    assert done.returncode == 0, done.stderr
    assert digest(out) == expected


@pytest.mark.parametrize("where", ["local workers", pytest.param("a cluster", marks=pytest.mark.slow)])
def test_a_second_ctrl_c_ends_the_build_at_once(root: Path, expected: str, tmp_path: Path, where: str) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    with place(where, tmp_path) as option:
        process = start(command(root, out, cache, option))
        wait_for(lambda: tracks(cache) >= 3 or process.poll() is not None)
        press(process)
        time.sleep(0.05)
        press(process)
        begin = time.monotonic()
        output = process.communicate(timeout=60)[0]
        assert time.monotonic() - begin < AT_ONCE_S
        assert process.returncode == 130, output
        assert "Traceback" not in output
        assert len(sentences(output)) == 1
        done = run(command(root, out, cache, option))
    assert done.returncode == 0, done.stderr
    assert digest(out) == expected


@pytest.mark.parametrize("presses", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_ctrl_c_while_workers_start_ends_the_build_in_order(root: Path, tmp_path: Path, presses: int) -> None:
    out = tmp_path / "out"
    process = start(command(root, out, tmp_path / "cache", "--workers=2"))
    wait_for(lambda: (out / ".lock").exists() or process.poll() is not None)
    for _ in range(presses):
        time.sleep(0.1)
        press(process)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 130, output
    assert "Traceback" not in output
    (sentence,) = sentences(output)
    assert sentence.startswith("fer-prep: interrupted; ")
    assert not list(out.glob("*.h5"))
