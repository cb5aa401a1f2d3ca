"""`fer-predict` as a process."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from predictions import RECIPE, fer_predict, table
from runs import run
from shard_files import write_corpus

from fer_model.predict_cli import main


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus `shards`, and a `run` on it."""
    home = tmp_path_factory.mktemp("cli")
    result = run(write_corpus(home / "shards", recipe=RECIPE), home / "runs", epochs=1)
    (home / "run").symlink_to(result.run.path)
    return home


def test_the_options_are_these() -> None:
    found = {p.opts[-1] for p in main.params if isinstance(p, click.Option)}
    shared = {"--out", "--device", "--overwrite", "--debug", "--version"}
    assert found == shared | {"--checkpoint", "--timelines", "--video"}


def test_shards_to_tables_and_figures(home: Path, tmp_path: Path) -> None:
    done = fer_predict(home / "shards", "--checkpoint", home / "run", "--out", tmp_path / "out", "--timelines", 2)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(table(tmp_path / "out" / "recordings.csv")) == 18
    assert len(list((tmp_path / "out" / "timelines").iterdir())) == 2
    assert "timelines of 2 of 18 recordings are drawn; --timelines all draws all" in done.stdout
    assert done.stdout.splitlines()[-1] == f"tables and timelines: {tmp_path / 'out'}"


def test_undecided_recordings_exit_with_3(home: Path, tmp_path: Path) -> None:
    shards = write_corpus(tmp_path / "shards", n_groups=1, recipe=RECIPE)
    (shards / "ledger.csv").write_text("recording,subject,status,reason\nx.mp4,x,failed,truncated: half\n")
    done = fer_predict(shards, "--checkpoint", home / "run", "--out", tmp_path / "out", "--timelines", "none")
    assert (done.returncode, done.stderr) == (3, "")
    assert "not decided: x.mp4 (truncated: half)" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["shards"], 2, "Missing option '--checkpoint'"),
        (["nothing", "--checkpoint", "run"], 2, "Path 'nothing' does not exist"),
        (["shards", "--checkpoint", "run", "--timelines", "some"], 2, "neither a number nor 'all' nor 'none'"),
        (["shards", "--checkpoint", "shards"], 1, "error: shards: not a run (no config.json)"),
        (["shards", "--checkpoint", "run", "--out", "shards"], 1, "error: shards: not empty and not of fer-predict"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(home: Path, arguments: list[str], code: int, sentence: str) -> None:
    command = [sys.executable, "-m", "fer_model.predict", *arguments]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == code
    assert sentence in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "SIG")]
)
def test_an_interruption_is_one_line_and_the_same_command_goes_on(
    home: Path, tmp_path: Path, number: int, code: int, word: str
) -> None:
    shards = write_corpus(tmp_path / "shards", n_groups=1, labels=(-1,) * 40, recipe=RECIPE)
    command = [sys.executable, "-m", "fer_model.predict", str(shards), "--checkpoint", str(home / "run")]
    command += ["--out", str(tmp_path / "out"), "--timelines", "all"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(tmp_path / "out" / "timelines")
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert len(errors.splitlines()) == 1
    assert word in errors
    assert not json.loads((tmp_path / "out" / "predict.json").read_text())["finished"]
    done = fer_predict(shards, "--checkpoint", home / "run", "--out", tmp_path / "out", "--timelines", 1)
    assert done.returncode == 0
    assert len(list((tmp_path / "out" / "timelines").iterdir())) == 1


def test_an_interruption_reaches_fer_prep_which_is_waited_for(home: Path, tmp_path: Path) -> None:
    """The program here only is called fer-prep; it takes a moment to end, and says so, as the real one does."""
    program = tmp_path / "bin" / "fer-prep"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport pathlib, signal, sys, time\n"
        f"ended = lambda *_: (time.sleep(0.5), print('fer-prep: interrupted', file=sys.stderr), sys.exit(130))\n"
        f"signal.signal(signal.SIGINT, ended)\npathlib.Path({str(tmp_path / 'started')!r}).touch()\ntime.sleep(60)\n"
    )
    program.chmod(0o755)
    (tmp_path / "video.mp4").write_bytes(b"something")
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    command = [str(tmp_path / "bin" / "python"), "-m", "fer_model.predict", str(tmp_path / "video.mp4")]
    command += ["--checkpoint", str(home / "run"), "--out", str(tmp_path / "out")]
    paths = os.pathsep.join(path for path in sys.path if path)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": paths})
    wait_for(tmp_path / "started")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "fer-prep: interrupted\n")


def wait_for(path: Path) -> None:
    """Until it is there."""
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.02)
