"""`--log-json`: every line is a JSON object, and the events tell the whole story, however a build ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from changing import SUBJECTS, Corpus

from fer_prep.output import directory_digest

pytest_plugins = ["changing_fixtures"]
N_RECORDINGS = len(SUBJECTS) + 1


def command(root: Path, out: Path, log: Path, *options: str) -> list[str]:
    places = [f"--root={root}", f"--out={out}", f"--log-json={log}", f"--cache={out.parent / 'cache'}"]
    return [sys.executable, "-m", "fer_prep", "build", "--dataset=manifest", "--workers=1", *places, *options]


def run(root: Path, out: Path, log: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(root, out, log, *options), capture_output=True, text=True, check=False)


def events(log: Path) -> list[dict[str, Any]]:
    """Every line parses, and is dated."""
    text = log.read_text()
    assert text.endswith("\n")
    found = [json.loads(line) for line in text.splitlines()]
    assert [event["time"] for event in found] == sorted(event["time"] for event in found)
    return found


def of(found: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in found if event["event"] == name]


@pytest.fixture
def root(small_corpus: Corpus) -> Path:
    small_corpus.write()
    return small_corpus.root


def test_a_build_tells_of_every_recording_and_every_shard_and_the_next_one_goes_on_in_the_file(
    root: Path, small_built: Path, tmp_path: Path
) -> None:
    out, log = tmp_path / "out", tmp_path / "log.json"
    assert run(root, out, log, f"--cache={small_built.parent / 'cache'}").returncode == 0
    first = events(log)
    assert Counter(event["event"] for event in first) == {
        "note": 1, "planned": 1, "recording": N_RECORDINGS, "shard": len(SUBJECTS), "finished": 1,
    }  # fmt: skip
    assert of(first, "planned")[0]["recordings"] == N_RECORDINGS
    assert {event["outcome"] for event in of(first, "recording")} == {"ok"}
    assert {event["file"] for event in of(first, "shard")} == {path.name for path in out.glob("*.h5")}
    assert first[-1]["event"] == "finished"
    assert first[-1]["digest"] == directory_digest(out)
    assert (first[-1]["ok"], first[-1]["failed"]) == (N_RECORDINGS, 0)
    assert run(root, out, log).returncode == 0
    both = events(log)
    assert both[: len(first)] == first
    assert {event["outcome"] for event in of(both[len(first) :], "recording")} == {"kept"}


def test_failed_recordings_have_their_reason(
    small_copy: tuple[Corpus, Path], small_built: Path, tmp_path: Path
) -> None:
    corpus = small_copy[0]
    corpus.write()
    (corpus.root / "003_anger_1.mp4").write_bytes(b"")
    log = tmp_path / "log.json"
    cache = f"--cache={small_built.parent / 'cache'}"
    assert run(corpus.root, tmp_path / "anew", log, cache).returncode == 3
    (failed,) = [event for event in of(events(log), "recording") if event["outcome"] == "failed"]
    assert failed["recording"] == "003_anger_1.mp4"
    assert failed["reason"].startswith("empty file: ")
    assert events(log)[-1]["failed"] == 1


@pytest.mark.parametrize("blow", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_a_build_that_is_stopped_leaves_whole_lines(root: Path, tmp_path: Path, blow: signal.Signals) -> None:
    out, log = tmp_path / "out", tmp_path / "log.json"
    process = subprocess.Popen(
        command(root, out, log), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    while process.poll() is None and not (log.exists() and '"shard"' in log.read_text()):
        time.sleep(0.02)
    os.killpg(process.pid, blow)
    process.communicate(timeout=60)
    last = events(log)[-1]
    if blow is signal.SIGINT:
        assert process.returncode == 130
        assert (last["event"], last["ends"]) == ("fault", True)
        assert last["sentence"].startswith("interrupted; ")
    assert len(of(events(log), "shard")) < len(SUBJECTS)
    assert run(root, out, log).returncode == 0
    assert events(log)[-1]["event"] == "finished"


def test_a_build_that_cannot_run_says_why_at_the_end(root: Path, small_built: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    refused = run(root, small_built, log, "--length=8", "--stride=4")
    nothing = run(tmp_path / "nowhere", tmp_path / "out", log)
    assert (refused.returncode, nothing.returncode) == (2, 2)
    faults = of(events(log), "fault")
    assert [event["ends"] for event in faults] == [True, True]
    for done, event in zip((refused, nothing), faults, strict=True):
        assert done.stderr == f"fer-prep: {event['sentence']}\n"


def test_a_log_that_cannot_be_made_is_a_sentence_before_anything_else(root: Path, tmp_path: Path) -> None:
    done = run(root, tmp_path / "out", tmp_path / "no" / "log.json")
    assert done.returncode == 2
    assert "cannot be written (No such file or directory); name another file with --log-json" in done.stderr
    assert not (tmp_path / "out").exists()


def test_no_log_is_added_to_a_file_of_another_kind(root: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"\0\0\0\x1cftyp")
    done = run(root, tmp_path / "out", film)
    assert done.returncode == 2
    assert "film.mp4 is there already, and holds something else; name another file with --log-json" in done.stderr
    assert film.read_bytes() == b"\0\0\0\x1cftyp"
