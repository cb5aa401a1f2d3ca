"""SIGKILL at random moments, to every process that takes part: the next run ends with the bytes of an undisturbed one.

What a killed build has finished is not done again: no track in the cache, no shard whose recordings are in the ledger.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import psutil
import pytest
from running import (
    SUBJECTS,
    DaskCluster,
    command,
    dask_cluster,
    digest,
    local_workers,
    run,
    start,
    tracks,
)

from fer_prep.ledger import read_ledger

pytest_plugins = ["faults_fixtures"]

Victim: TypeAlias = Literal["driver and workers", "driver", "driver of a cluster", "nanny", "OpenFace", "worker"]
VICTIMS: tuple[Victim, ...] = get_args(Victim)
N_TRACKS = 16
ON_CLUSTER = ("driver of a cluster", "nanny")
SURVIVED = ("worker", "nanny")  # the build itself goes on


# two of them in the usual tests, which kill workers and nannies elsewhere, too; the stand-in takes long
USUAL = ("driver and workers", "driver of a cluster")
MOMENTS = [
    pytest.param(
        VICTIMS[seed % len(VICTIMS)],
        seed,
        marks=[] if seed < len(VICTIMS) and VICTIMS[seed] in USUAL else [pytest.mark.slow],
    )
    for seed in range(40)
]


@pytest.mark.parametrize(("victim", "seed"), MOMENTS)
def test_whoever_is_killed_whenever_the_next_run_ends_with_the_same_bytes(
    root: Path, tmp_path: Path, request: pytest.FixtureRequest, victim: Victim, seed: int
) -> None:
    chance = random.Random(seed)
    options: tuple[str, ...] = request.getfixturevalue("by_openface") if victim == "OpenFace" else ()
    expected = request.getfixturevalue("expected_by_openface" if victim == "OpenFace" else "expected")
    out, cache = tmp_path / "out", tmp_path / "cache"
    with _place(tmp_path, victim) as cluster:
        where = f"--scheduler={cluster.address}" if cluster else "--workers=2"
        command_line = command(root, out, cache, where, *options)
        process = _strike(command_line, victim, cluster, chance, out, cache)
        finished = _finished(out, cache)
        output = process.communicate(timeout=90)[0]
        assert "Traceback" not in output
        if victim in SURVIVED:
            assert process.returncode == 0, output
        else:
            assert process.returncode in ((0, 3) if victim == "OpenFace" else (-signal.SIGKILL,)), output
            done = run(command_line)
            assert done.returncode == 0, done.stdout + done.stderr
    assert digest(out) == expected
    assert {path: _identity(path) for path in finished} == finished
    assert sorted(path.name for path in out.glob(".*")) == [".lock"]


@contextmanager
def _place(home: Path, victim: Victim) -> Iterator[DaskCluster | None]:
    if victim not in ON_CLUSTER:
        yield None
        return
    with dask_cluster(home, 2) as cluster:
        yield cluster


def _strike(
    command_line: list[str], victim: Victim, cluster: DaskCluster | None, chance: random.Random, out: Path, cache: Path
) -> "subprocess.Popen[str]":
    """A build that has lost the victim, at some moment before its end. A build that was quicker is forgotten."""
    for _ in range(5):
        process = start(command_line)
        by_shards = chance.random() < 0.5
        n_tracks, n_shards, delay_s = chance.randrange(N_TRACKS - 3), chance.randint(1, 2), chance.uniform(0, 0.15)
        while process.poll() is None:
            if len(_whole(out)) >= n_shards if by_shards else tracks(cache) >= n_tracks:
                break
            time.sleep(0.02)
        time.sleep(delay_s)
        if process.poll() is None and _kill(process, victim, cluster, chance):
            return process
        process.communicate(timeout=90)
        shutil.rmtree(out)
        shutil.rmtree(cache)
    pytest.fail("every build had ended before its moment")


def _kill(process: "subprocess.Popen[str]", victim: Victim, cluster: DaskCluster | None, chance: random.Random) -> bool:
    """Whether the victim was there."""
    try:
        match victim:
            case "driver and workers":
                workers = local_workers(process)
                os.killpg(process.pid, signal.SIGKILL)
                _see_them_end(workers)
            case "driver":
                workers = local_workers(process)
                process.kill()
                _see_them_end(workers)
            case "driver of a cluster":
                process.kill()
            case "worker":
                chance.choice(local_workers(process)).kill()
            case "nanny":
                assert cluster is not None
                chance.choice(cluster.processes[1:]).kill()
            case "OpenFace":
                return _kill_openface(process)
    except (psutil.NoSuchProcess, IndexError):
        return False
    return True


def _kill_openface(process: "subprocess.Popen[str]") -> bool:
    while process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                if "standin.py" in " ".join(child.cmdline()):
                    child.kill()
                    return True
            except psutil.NoSuchProcess:
                continue
    return False


def _see_them_end(workers: list[psutil.Process]) -> None:
    """Workers of this machine do not outlive their driver."""
    assert not psutil.wait_procs(workers, timeout=10)[1]


def _finished(out: Path, cache: Path) -> dict[Path, tuple[int, int]]:
    """Tracks in the cache and shards in the ledger, as files that nobody may write again."""
    paths = [*cache.rglob("output.pkl"), *(out / f"manifest-s{subject}.h5" for subject in _whole(out))]
    return {path: _identity(path) for path in paths}


def _whole(out: Path) -> list[str]:
    """Subjects whose recordings are in the ledger, all four."""
    rows = read_ledger(out)
    return [subject for subject in SUBJECTS if sum(row.subject == subject for row in rows.values()) == 4]


def _identity(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_ino, facts.st_mtime_ns
