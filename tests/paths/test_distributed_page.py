"""What docs/distributed.md tells a user to type brings the shards that one machine brings.

The schedulers, workers and drivers are real processes of this machine. What is not here is stood in for: `srun` runs
its command once, and the classes of dask-jobqueue, dask-kubernetes and SSHCluster give a local cluster. That their own
arguments are right these tests cannot say, but for those of SSHCluster.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import pytest
import yaml
from running import command, digest, kill_all, run

PAGE = Path(__file__).parents[2] / "docs" / "distributed.md"
CLIPS = ("001_anger_1.mp4", "003_fear_1.mp4")
STAND_INS = """
import inspect, runpy, sys, types
import dask.distributed
from dask.distributed import LocalCluster

real = inspect.signature(dask.distributed.SSHCluster)


class Local(LocalCluster):
    def __init__(self, *arguments, **options):
        super().__init__(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None)

    def scale(self, n=0, *, jobs=None):
        if jobs is None:
            super().scale(n)


def ssh(*arguments, **options):
    real.bind(*arguments, **options)
    return Local()


def make_cluster_spec(**options):
    return {"spec": {"worker": {"spec": {"containers": [{"name": "worker"}]}}}}


if __name__ == "__main__":
    dask.distributed.SSHCluster = ssh
    sys.modules["dask_jobqueue"] = jobqueue = types.ModuleType("dask_jobqueue")
    jobqueue.SLURMCluster = Local
    sys.modules["dask_kubernetes"] = types.ModuleType("dask_kubernetes")
    sys.modules["dask_kubernetes.operator"] = operator = types.ModuleType("dask_kubernetes.operator")
    operator.KubeCluster, operator.make_cluster_spec = Local, make_cluster_spec
    runpy.run_path(sys.argv[1], run_name="__main__")
"""
SRUN = '#!/bin/bash\nexec "$@"\n'
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
TIMEOUT_S = 120


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


PYTHON = blocks("python")


@pytest.fixture(scope="module")
def corpus(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as the page has it: `videos`, and a virtual environment `venv`, which is this one."""
    home = tmp_path_factory.mktemp("distributed")
    (home / "videos").mkdir()
    for name in CLIPS:
        shutil.copy(shared_data / "london" / "expr6" / name[:3] / name, home / "videos" / name)
    rows = "".join(f"{name},{name[:3]},{name.split('_')[1]}\n" for name in CLIPS)
    (home / "videos" / "manifest.csv").write_text("file,subject,label\n" + rows)
    (home / "venv" / "bin").mkdir(parents=True)
    (home / "venv" / "bin" / "activate").write_text(f"PATH={Path(sys.executable).parent}:$PATH\n")
    return home


@pytest.fixture(scope="module")
def expected(corpus: Path) -> str:
    """By one worker of this machine."""
    out = corpus / "expected"
    done = run(command(corpus / "videos", out, corpus / "tracks", "--workers=1"))
    assert done.returncode == 0, done.stderr
    return digest(out)


@pytest.fixture
def home(corpus: Path, expected: str) -> Path:
    """The same directory without shards; tracks are in the cache."""
    shutil.rmtree(corpus / "shards", ignore_errors=True)
    return corpus


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def type_in(home: Path, words: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run a command in the directory, and end all that it leaves running; its exit code and its output."""
    with (home / "output").open("w+") as output:
        process = subprocess.Popen(
            words, cwd=home, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            env={**ENVIRONMENT, **(environment or {})},
        )  # fmt: skip
        try:
            code = process.wait(TIMEOUT_S)
        finally:
            end_session(process.pid)
        output.seek(0)
        return code, output.read()


def end_session(leader: int) -> None:
    """Kill what was started in a session; children outlive the shell that started them."""
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader:
                process.kill()
        except (psutil.Error, OSError):
            continue


def test_every_block_of_the_page_is_known_here() -> None:
    assert len(PYTHON) == 4
    assert len(blocks("bash")) == 2
    assert len(blocks("yaml")) == 1


def test_the_sentences_of_the_page_are_those_of_the_program() -> None:
    text = PAGE.read_text(encoding="utf-8")
    checked = text.split("It is checked before work begins")[1].split("\n## ")[0]
    failures = text.split("## What can fail")[1].split("**Ctrl-C**")[0]
    package = PAGE.parents[1] / "fer_prep"
    source = "".join(
        (package / f"{name}.py").read_text() for name in ("places", "flight", "pipeline", "resume", "forecast")
    )
    # a literal that goes on in the next line is one text
    joined = re.sub(r'"\s*\n\s*f?"', "", source)
    said = "".join(joined.replace("{what}", what) for what in ("output directory", "cache"))
    rows = [*checked.splitlines()[5:], *failures.splitlines()]
    phrases = [p for row in rows for code in re.findall("`([^`]+)`", row) for p in re.split(r"…|\([^)]*\)|\d", code)]
    found = [phrase.strip(" :;/") for phrase in phrases if len(phrase.split()) >= 3]
    assert len(found) >= 10
    for phrase in found:
        assert phrase in said


@pytest.mark.parametrize("number", range(4), ids=["local", "slurm", "kubernetes", "ssh"])
def test_the_programs_of_the_page_build(home: Path, expected: str, number: int) -> None:
    (home / "stand_ins.py").write_text(STAND_INS)
    (home / "build.py").write_text(PYTHON[number].replace("/faces", str(home)))
    program = ["build.py"] if number == 0 else ["stand_ins.py", "build.py"]
    code, output = type_in(home, [sys.executable, *program])
    assert code == 0, output
    assert f"0 of {len(CLIPS)} recordings failed; digest {expected}" in output
    assert digest(home / "shards") == expected


def test_scheduler_and_workers_by_hand_build(home: Path, expected: str) -> None:
    code, output = type_in(home, ["bash", "-c", blocks("bash")[0].replace("8786", free_port())])
    assert code == 0, output
    assert digest(home / "shards") == expected


def slurm_job(home: Path) -> tuple[str, dict[str, str]]:
    (home / "bin").mkdir(exist_ok=True)
    (home / "bin" / "srun").write_text(SRUN)
    (home / "bin" / "srun").chmod(0o755)
    return blocks("bash")[1].replace("8786", free_port()), {"PATH": f"{home / 'bin'}:{os.environ['PATH']}"}


def test_the_slurm_job_builds_and_logs(home: Path, expected: str) -> None:
    job, environment = slurm_job(home)
    code, output = type_in(home, ["bash", "-c", job], environment)
    assert code == 0, output
    assert digest(home / "shards") == expected
    lines = [json.loads(line) for line in (home / "build.jsonl").read_text().splitlines()]
    assert lines[-1]["digest"] == expected
    assert {line["event"] for line in lines} >= {"planned", "recording", "shard", "note", "finished"}
    documented = log_keys()
    for line in lines:
        assert {*line} - {"time", "event"} == documented[line["event"]]


def log_keys() -> dict[str, set[str]]:
    """Event -> keys, by the page's table of the log."""
    section = PAGE.read_text(encoding="utf-8").split("## A log for programs")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)
    return {event: set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", keys))) for event, keys in rows}


@pytest.mark.slow
def test_the_slurm_job_whose_time_is_up_ends_with_130(home: Path) -> None:
    """The build waits for a worker that never comes, and `timeout` presses Ctrl-C once: that is an orderly end."""
    job, environment = slurm_job(home)
    assert "INT 7h" in job
    (home / "bin" / "srun").write_text("#!/bin/bash\nexec sleep 1000\n")
    code, output = type_in(home, ["bash", "-c", job.replace("INT 7h", "INT 10")], environment)
    assert code == 128 + signal.SIGINT, output
    assert "interrupted; 0 of 2 shards are in shards" in output


def test_the_pods_of_the_page_build(home: Path, expected: str) -> None:
    port = free_port()
    pods = [
        container["command"]
        for resource in yaml.safe_load_all(blocks("yaml")[0])
        for container in resource["spec"].get("template", {}).get("spec", {}).get("containers", [])
    ]
    scheduler, worker, driver = (
        [word.replace("fer-scheduler", "127.0.0.1").replace("8786", port).replace("/faces", str(home)) for word in pod]
        for pod in pods
    )
    others = [
        subprocess.Popen(words, stderr=subprocess.DEVNULL, cwd=home, env=ENVIRONMENT) for words in (scheduler, worker)
    ]
    try:
        code, output = type_in(home, driver)
    finally:
        for process in others:
            kill_all(process.pid)
            process.wait()
    assert code == 0, output
    assert digest(home / "shards") == expected
