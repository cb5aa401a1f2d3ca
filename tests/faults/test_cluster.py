"""Builds on a real Dask cluster: `dask scheduler` and `dask worker` processes that come, go, stop and differ."""

import signal
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest
from distributed import Client, LocalCluster
from running import (
    HARD,
    DaskCluster,
    command,
    dask_cluster,
    digest,
    run,
    start,
    tracks,
    trap,
    wait_for,
    worker_processes,
)

from fer_prep import build as building
from fer_prep.errors import FerPrepError, UsageError
from fer_prep.ledger import read_ledger
from fer_prep.listener import Silent
from fer_prep.plan import make_plan

pytest_plugins = ["faults_fixtures"]


class Faults(Silent):
    """Remembers what went wrong."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def fault(self, sentence: str) -> None:
        self.sentences.append(sentence)


def test_a_cluster_that_loses_and_gains_workers_brings_what_one_local_worker_brings(
    root: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    with dask_cluster(tmp_path, 3) as cluster:
        process = start(command(root, out, cache, f"--scheduler={cluster.address}"))
        wait_for(lambda: tracks(cache) >= 2 or process.poll() is not None)
        worker_processes(cluster.processes[1])[0].kill()
        cluster.add_worker()
        output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert (out / "index.json").read_bytes() == (undisturbed / "index.json").read_bytes()
    assert not list(out.glob(".token*")) + list(cache.glob(".token*"))


@pytest.mark.parametrize(
    ("workers", "threads", "processes"), [(1, 2, False), (2, 1, True), (1, 4, False), (4, 1, True)]
)
def test_threads_and_processes_bring_the_same_through_a_callers_client(
    root: Path, undisturbed: Path, tmp_path: Path, workers: int, threads: int, processes: bool
) -> None:
    plan = make_plan(dataset="manifest", root=root)
    with (
        LocalCluster(workers, threads_per_worker=threads, processes=processes, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        building.build(plan, out=tmp_path / "out", cache=tmp_path / "cache", client=client)
        assert client.status == "running"
        assert client.submit(abs, -1).result() == 1
    assert (tmp_path / "out" / "index.json").read_bytes() == (undisturbed / "index.json").read_bytes()


def test_a_lost_scheduler_is_a_sentence_and_the_next_run_goes_on(root: Path, expected: str, tmp_path: Path) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    with dask_cluster(tmp_path, 2) as cluster:
        command_line = command(root, out, cache, f"--scheduler={cluster.address}")
        process = start(command_line)
        wait_for(lambda: read_ledger(out) or process.poll() is not None)
        cluster.scheduler.kill()
        output = process.communicate(timeout=60)[0]
        assert process.returncode == 1, output
        (sentence,) = [line for line in output.splitlines() if line.startswith("fer-prep:")]
        assert sentence.startswith(f"fer-prep: the connection to {cluster.address} is lost: ")
        assert "finished shards are kept, the same command goes on from here" in sentence
        assert "Traceback" not in output
        assert not (out / "index.json").exists()
    with dask_cluster(tmp_path, 1) as cluster:
        done = run(command(root, out, cache, f"--scheduler={cluster.address}"))
    assert done.returncode == 0, done.stderr
    assert "kept from before" in done.stdout
    assert digest(out) == expected


@pytest.mark.slow
def test_a_scheduler_that_falls_silent_is_lost(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    with dask_cluster(tmp_path, 2) as cluster:
        monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP", "12s")  # of the driver; Dask takes no less
        process = start(command(root, out, cache, f"--scheduler={cluster.address}"))
        wait_for(lambda: tracks(cache) >= 2 or process.poll() is not None)
        cluster.scheduler.send_signal(signal.SIGSTOP)
        output = process.communicate(timeout=60)[0]
    assert process.returncode == 1, output
    assert f"the connection to {cluster.address} is lost: " in output
    assert "Traceback" not in output


@pytest.mark.parametrize("harm", [pytest.param("stopped", marks=pytest.mark.slow), "nanny killed"])
def test_a_worker_that_is_cut_off_is_done_without(root: Path, expected: str, tmp_path: Path, harm: str) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    quick = {"SCHEDULER__WORKER_TTL": "4s", "COMM__TIMEOUTS__TCP": "12s", "COMM__TIMEOUTS__CONNECT": "5s"}
    settings = {f"DASK_DISTRIBUTED__{name}": value for name, value in quick.items()}
    with dask_cluster(tmp_path, 2, **settings) as cluster:
        process = start(command(root, out, cache, f"--scheduler={cluster.address}"))
        wait_for(lambda: tracks(cache) >= 2 or process.poll() is not None)
        nanny = cluster.processes[1]
        (worker,) = worker_processes(nanny)
        if harm == "stopped":
            psutil.Process(nanny.pid).suspend()
            worker.suspend()
        else:
            nanny.kill()
        output = process.communicate(timeout=60)[0]
        if harm == "stopped":
            worker.resume()  # back from the dead, with a task that others have done: it must do no harm
            time.sleep(2)
    assert process.returncode == 0, output
    assert digest(out) == expected


def test_a_cluster_without_workers_is_said_and_waited_for(root: Path, expected: str, tmp_path: Path) -> None:
    with dask_cluster(tmp_path, 0) as cluster:
        log = tmp_path / "log.json"
        process = start(
            command(root, tmp_path / "out", tmp_path / "c", f"--scheduler={cluster.address}", f"--log-json={log}")
        )
        wait_for(lambda: log.exists() and "The cluster has no worker now" in log.read_text())
        cluster.add_worker("--nthreads=2")
        output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output
    assert digest(tmp_path / "out") == expected


@pytest.mark.slow
def test_no_scheduler_at_the_address_is_a_sentence_before_anything_is_touched(root: Path, tmp_path: Path) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()  # it takes connections, and says nothing
        begin = time.monotonic()
        done = run(
            command(root, tmp_path / "out", tmp_path / "c", f"--scheduler=tcp://127.0.0.1:{deaf.getsockname()[1]}")
        )
        assert time.monotonic() - begin < 30
    assert done.returncode == 1
    assert "no Dask scheduler answers there within 10 s" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--scheduler=somewhere"], "'somewhere' is no address of a Dask scheduler; write it as tcp://host:port"),
        (["--scheduler=tcp://here:99999"], "'tcp://here:99999' is no address of a Dask scheduler"),
        (["--scheduler=tcp://h:1", "--workers=2"], "--workers starts processes on this machine, --scheduler uses"),
    ],
)
def test_places_that_make_no_sense_are_a_sentence(
    root: Path, tmp_path: Path, options: list[str], sentence: str
) -> None:
    done = run(command(root, tmp_path / "out", tmp_path / "c", *options))
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_client_that_is_closed_is_refused(root: Path, tmp_path: Path) -> None:
    with LocalCluster(1, processes=False, dashboard_address=None) as cluster:
        client = Client(cluster)
        client.close()
        with pytest.raises(UsageError, match="the client is closed; a running Client"):
            building.build(make_plan(dataset="manifest", root=root), out=tmp_path / "out", client=client)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def in_own_mounts(change: str) -> list[str]:
    """Words before a command that give it a view of the disk of its own (root only, as containers have it)."""
    return ["unshare", "-m", "bash", "-c", f'{change} && exec "$@"', "changed"]


def can_mount(tmp_path: Path) -> bool:
    probe = run([*in_own_mounts(f"mount -t tmpfs none {tmp_path}"), "true"]) if sys.platform == "linux" else None
    return probe is not None and probe.returncode == 0


@pytest.mark.parametrize(
    ("what", "change", "sentence"),
    [
        ("out", "mount -t tmpfs none {}", "sees another directory than this machine under the output directory {}"),
        ("cache", "mount -t tmpfs none {}", "sees another directory than this machine under the cache {}"),
        ("out", "mount --bind {0} {0} && mount -o remount,ro,bind {0}", "cannot write to the output directory: {}"),
        ("root", "mount -t tmpfs none {}", "cannot read {}/001_anger_1.mp4; all workers must see it"),
    ],
)
def test_a_worker_that_sees_other_files_is_named_before_work_begins(
    root: Path, tmp_path: Path, what: str, change: str, sentence: str
) -> None:
    if not can_mount(tmp_path):
        pytest.skip("this user may not mount")
    places = {"out": tmp_path / "out", "cache": tmp_path / "cache", "root": root}
    places["out"].mkdir()
    places["cache"].mkdir()
    with dask_cluster(tmp_path, 1) as cluster:
        cluster.add_worker(before=in_own_mounts(change.format(places[what])))
        cluster.wait_for_workers(2)
        done = run(command(root, places["out"], places["cache"], f"--scheduler={cluster.address}"))
    assert done.returncode == 1
    assert done.stderr.startswith("fer-prep: worker tcp://127.0.0.1:")
    assert sentence.format(places[what]) in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(places["cache"].rglob("output.pkl"))


OTHER_OPENCV = "import cv2; cv2.__version__ = '4.0.0'\n"


def test_a_worker_with_other_tools_is_named(root: Path, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(OTHER_OPENCV)
    with dask_cluster(tmp_path, 1) as cluster:
        cluster.add_worker(f"--preload={tmp_path / 'other.py'}")
        cluster.wait_for_workers(2)
        done = run(command(root, tmp_path / "out", tmp_path / "c", f"--scheduler={cluster.address}"))
    assert done.returncode == 1
    assert "has other tools than this machine (opencv: " in done.stderr
    assert " -> 4.0.0); install the same versions" in done.stderr


@pytest.mark.slow
def test_a_worker_with_other_tools_that_joins_later_ends_the_build(root: Path, expected: str, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(OTHER_OPENCV)
    out, cache = tmp_path / "out", tmp_path / "cache"
    with dask_cluster(tmp_path, 1) as cluster:
        process = start(command(root, out, cache, f"--scheduler={cluster.address}"))
        wait_for(lambda: tracks(cache) >= 1 or process.poll() is not None)
        cluster.add_worker(f"--preload={tmp_path / 'other.py'}")
        output = process.communicate(timeout=60)[0]
        assert process.returncode == 1, output
        assert "has other tools than this machine (opencv: " in output
    assert run(command(root, out, cache, "--workers=2")).returncode == 0
    assert digest(out) == expected


@pytest.mark.parametrize("who", ["worker", "scheduler"])
def test_a_machine_without_fer_prep_is_a_sentence(root: Path, tmp_path: Path, who: str) -> None:
    blocker = {"PYTHONPATH": str(tmp_path / "empty")}
    (tmp_path / "empty" / "fer_prep").mkdir(parents=True)
    (tmp_path / "empty" / "fer_prep" / "__init__.py").write_text("raise ImportError('not here')")
    cluster = DaskCluster(tmp_path, **(blocker if who == "scheduler" else {}))
    try:
        cluster.add_worker(environment=blocker if who == "worker" else None)
        cluster.wait_for_workers(1)
        done = run(command(root, tmp_path / "out", tmp_path / "c", f"--scheduler={cluster.address}"))
    finally:
        cluster.end()
    assert done.returncode == 1
    assert "cannot import fer_prep" in done.stderr
    assert who in done.stderr
    assert "Traceback" not in done.stderr


def test_a_recording_that_kills_its_workers_is_a_row_and_others_are_not_blamed(
    root: Path, tmp_path: Path, shared_data: Path
) -> None:
    """The worker dies of one recording each time; whoever waited behind it is tried again."""
    plan, faults = make_plan(dataset="manifest", root=root), Faults()
    deadly = trap(tmp_path, "\n    import os; os._exit(9)\n")
    with dask_cluster(tmp_path, 0) as cluster:
        for _ in range(2):
            cluster.add_worker(deadly)
        cluster.wait_for_workers(2)
        result = building.build(
            plan, out=tmp_path / "out", cache=tmp_path / "cache", scheduler=cluster.address, listener=faults
        )
    failed = {row.recording: row.kind for row in result.rows if row.status == "failed"}
    assert failed == {HARD: "worker died"}
    assert faults.sentences


def test_build_refuses_two_places_at_once(root: Path, tmp_path: Path) -> None:
    with pytest.raises(FerPrepError, match="give one of them"):
        building.build(
            make_plan(dataset="manifest", root=root), out=tmp_path / "out", workers=1, scheduler="tcp://127.0.0.1:1"
        )
    assert not (tmp_path / "out").exists()
