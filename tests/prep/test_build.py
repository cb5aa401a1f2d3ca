"""The whole pipeline on real files, with real worker processes: outcomes, resuming, interruptions."""

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fer_prep import build as building
from fer_prep.build import BuildResult
from fer_prep.errors import FerPrepError, UsageError
from fer_prep.ledger import COLUMNS, read_ledger, write_ledger
from fer_prep.listener import Listener, Silent
from fer_prep.plan import make_plan
from fer_prep.verify.run import verify

EDGE = {
    "enterface_like_720x576_divx.avi": "ok", "one_frame.mp4": "ok", "with space and ünïcode.mpg": "ok",
    "no_face_gray.mp4": "skipped", "truncated_45pct.avi": "failed", "audio_only.mp4": "failed",
    "empty.avi": "failed", "text_named_avi.avi": "failed", "missing.mp4": "failed",
}  # fmt: skip


class Notes(Silent):
    """Remembers what a user would be told."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def note(self, sentence: str) -> None:
        self.sentences.append(sentence)


def build(
    *, out: Path, cache: Path, listener: Listener, workers: int = 1, rebuild: bool = False, **options: Any
) -> BuildResult:
    """Plan and build, as the command does."""
    return building.build(
        make_plan(**options), out=out, cache=cache, workers=workers, rebuild=rebuild, listener=listener
    )


def write_manifest(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "subject", "label"), *rows])
    return path


def ledger(out: Path) -> list[dict[str, str]]:
    with (out / "ledger.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def london(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Arguments of a small build: 3 subjects with 2 recordings each, copied, so that tests may harm them."""
    home = tmp_path_factory.mktemp("london")
    rows = []
    for subject in ("001", "003", "005"):
        for label in ("happiness", "surprise"):
            name = f"{subject}_{label}_1.mp4"
            shutil.copy(shared_data / "london" / "expr6" / subject / name, home / name)
            rows.append((name, subject, label))
    write_manifest(home / "manifest.csv", rows)
    return {"dataset": "manifest", "root": home, "cache": home / "cache"}


@pytest.fixture(scope="module")
def built(london: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "shards"
    build(**london, out=out, workers=2, listener=Silent())
    return out


def again(london: dict[str, Any], out: Path, **options: Any) -> tuple[BuildResult, list[str]]:
    notes = Notes()
    result = build(**(london | options), out=out, workers=1, listener=notes)
    return result, notes.sentences


def test_edge_files_are_built_or_have_a_reason(shared_data: Path, tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path / "edge.csv", [(name, "e", "neutral") for name in EDGE])
    result = build(
        dataset="manifest", root=shared_data / "edge", manifest=manifest, out=tmp_path / "out",
        cache=tmp_path / "cache", workers=2, listener=Silent(),
    )  # fmt: skip
    rows = ledger(tmp_path / "out")
    assert tuple(rows[0]) == COLUMNS
    assert {row["recording"]: row["status"] for row in rows} == EDGE
    assert [row["recording"] for row in rows] == list(EDGE)
    reasons = {row["recording"]: row["reason"] for row in rows}
    assert "33 of 75 frames" in reasons["truncated_45pct.avi"]
    assert reasons["no_face_gray.mp4"] == "no face: none found in 50 frames"
    assert all(reasons[name] for name, status in EDGE.items() if status != "ok")
    assert result.n_failed == 5
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    assert index["shards"][0]["n_recordings"] == 4
    assert index["shards"][0]["n_clips"] == sum(int(row["n_clips"]) for row in rows)


def test_the_index_describes_the_directory(built: Path) -> None:
    index = json.loads((built / "index.json").read_text())
    assert {"format", "version", "corpus", "classes", "clip", "n_groups", "aligner", "recipe", "versions"} < set(index)
    assert (index["format"], index["version"], index["aligner"]) == ("fer-shards", 1, "mesh")
    assert index["classes"] == ["happiness", "surprise"]
    assert index["clip"] == {"length": 16, "stride": 8}
    assert index["n_groups"] == 3
    for shard in index["shards"]:
        assert set(shard) == {
            "file", "bytes", "sha256", "subject", "group", "n_recordings", "n_clips", "n_frames", "key",
        }  # fmt: skip
        content = (built / shard["file"]).read_bytes()
        assert len(content) == shard["bytes"]
        assert hashlib.sha256(content).hexdigest() == shard["sha256"]
    left = {path.name for path in built.iterdir()}
    shards = {"manifest-s001.h5", "manifest-s003.h5", "manifest-s005.h5"}
    assert left == {".lock", "groups.csv", "index.json", "ledger.csv", "timings.json"} | shards


def test_bytes_do_not_depend_on_workers_cache_or_time(london: dict[str, Any], built: Path, tmp_path: Path) -> None:
    again(london, tmp_path / "out", cache=tmp_path / "other cache")  # seconds later: nothing notes the time
    assert (tmp_path / "out" / "index.json").read_bytes() == (built / "index.json").read_bytes()
    for shard in built.glob("*.h5"):
        assert (tmp_path / "out" / shard.name).read_bytes() == shard.read_bytes()


def test_a_second_run_keeps_every_shard(london: dict[str, Any], built: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(built, tmp_path / "out"))
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.h5")}
    result, notes = again(london, out)
    assert result.n_kept == 3
    assert notes == []
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.h5")} == before
    assert ledger(out) == ledger(built)


def test_stages_are_timed_and_kept_shards_are_not(london: dict[str, Any], built: Path, tmp_path: Path) -> None:
    first = json.loads((built / "timings.json").read_text())
    assert list(first["stages"]) == ["decode", "detect", "align", "cache", "flow", "write"]
    assert all(stage["cpu_s"] > 0 and stage["wall_s"] > 0 for stage in first["stages"].values())
    assert (first["workers"], first["n_frames"]) == (2, sum(int(row["n_frames"]) for row in ledger(built)))

    out = shutil.copytree(built, tmp_path / "out")
    again(london, out)
    assert (out / "timings.json").read_bytes() == (built / "timings.json").read_bytes()
    (out / "manifest-s003.h5").unlink()
    result, _ = again(london, out)
    second = json.loads((out / "timings.json").read_text())
    assert list(second["stages"]) == ["cache", "flow", "write"]
    assert second["n_frames"] == result.n_frames_built == sum(
        int(row["n_frames"]) for row in ledger(out) if row["subject"] == "003"
    )  # fmt: skip
    assert (out / "index.json").read_bytes() == (built / "index.json").read_bytes()


def test_timings_are_nothing_that_verify_minds(built: Path) -> None:
    checked = verify(built, quick=True, workers=1)
    assert (checked.findings, checked.remarks) == ((), ())


def test_a_recording_that_fails_is_timed_too(shared_data: Path, tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path / "edge.csv", [("truncated_45pct.avi", "e", "neutral")])
    result = build(
        dataset="manifest", root=shared_data / "edge", manifest=manifest, out=tmp_path / "out",
        cache=tmp_path / "cache", workers=1, listener=Silent(),
    )  # fmt: skip
    assert result.n_frames_built == 0
    assert min(result.timings.cpu_s[stage] for stage in ("decode", "detect", "align")) > 0


def test_without_an_index_whole_shards_are_kept_all_the_same(
    london: dict[str, Any], built: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(built, tmp_path / "out"))
    (out / "index.json").unlink()
    (out / "manifest-s005.h5").unlink()
    result, _ = again(london, out)
    assert result.n_kept == 2
    assert (out / "index.json").read_bytes() == (built / "index.json").read_bytes()


def test_a_damaged_shard_is_built_anew_and_the_reason_is_told(
    london: dict[str, Any], built: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(built, tmp_path / "out"))
    content = bytearray((out / "manifest-s003.h5").read_bytes())
    content[len(content) // 2] ^= 255
    (out / "manifest-s003.h5").write_bytes(content)
    result, notes = again(london, out)
    assert result.n_kept == 2
    assert notes == ["manifest-s003.h5 is built anew: damaged: not the bytes that the index lists"]
    assert (out / "manifest-s003.h5").read_bytes() == (built / "manifest-s003.h5").read_bytes()


def test_a_changed_input_is_built_anew(london: dict[str, Any], built: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(built, tmp_path / "out"))
    root = Path(shutil.copytree(london["root"], tmp_path / "root"))
    shutil.copy(root / "001_surprise_1.mp4", root / "005_surprise_1.mp4")
    result, notes = again(london, out, root=root)
    assert notes == ["manifest-s005.h5 is built anew: input changed: 005_surprise_1.mp4"]
    assert result.n_kept == 2


def test_a_failed_recording_is_tried_again(london: dict[str, Any], built: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(london["root"], tmp_path / "root"))
    (root / "003_surprise_1.mp4").unlink()
    out = tmp_path / "out"
    assert again(london, out, root=root)[0].n_failed == 1
    shutil.copy(london["root"] / "003_surprise_1.mp4", root)
    result, notes = again(london, out, root=root)
    assert result.n_failed == 0
    assert notes == ["manifest-s003.h5 is built anew: 1 failed recording tried again"]
    assert (out / "manifest-s003.h5").read_bytes() == (built / "manifest-s003.h5").read_bytes()


def test_another_recipe_never_mixes_in(london: dict[str, Any], built: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(built, tmp_path / "out"))
    (out / "mine.h5").write_text("not a shard")
    with pytest.raises(UsageError, match=r"another recipe \(clips.length: 16 -> 8; clips.stride: 8 -> 4\)"):
        again(london, out, length=8, stride=4)
    result, _ = again(london, out, length=8, stride=4, rebuild=True)
    assert result.n_kept == 0
    assert json.loads((out / "index.json").read_text())["clip"] == {"length": 8, "stride": 4}
    assert (out / "mine.h5").read_text() == "not a shard"


@pytest.mark.parametrize("index", ["gone", "edited"])
def test_without_a_whole_index_the_shards_say_of_which_recipe_they_are(
    london: dict[str, Any], built: Path, tmp_path: Path, index: str
) -> None:
    out = Path(shutil.copytree(built, tmp_path / "out"))
    if index == "gone":
        (out / "index.json").unlink()
    else:
        text = (
            (out / "index.json")
            .read_text()
            .replace('"length": 16', '"length": 8')
            .replace('"stride": 8', '"stride": 4')
        )
        (out / "index.json").write_text(text)
    with pytest.raises(UsageError, match=r"another recipe \(clips.length: 16 -> 8; clips.stride: 8 -> 4\)"):
        again(london, out, length=8, stride=4)


def test_the_reason_says_what_changed(london: dict[str, Any], built: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(built, tmp_path / "out"))
    root = Path(shutil.copytree(london["root"], tmp_path / "root"))
    lines = (root / "manifest.csv").read_text().splitlines()
    lines[3] = lines[3].replace(",happiness", ",surprise")
    (root / "manifest.csv").write_text("\n".join([*lines[:5], lines[6]]) + "\n")
    _, notes = again(london, out, root=root)
    assert notes == [
        "manifest-s003.h5 is built anew: label changed: 003_happiness_1.mp4",
        "manifest-s005.h5 is built anew: recording removed: 005_happiness_1.mp4",
    ]


def test_a_ledger_that_does_not_fit_its_shards_is_not_believed(
    london: dict[str, Any], built: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(built, tmp_path / "out"))
    rows = list(read_ledger(out).values())
    rows[0] = replace(rows[0], status="skipped")
    rows[2] = replace(rows[2], n_frames=1)
    write_ledger(out, rows)
    _, notes = again(london, out)
    assert notes == [
        "manifest-s001.h5 is built anew: ledger.csv was edited",
        "manifest-s003.h5 is built anew: ledger.csv tells of other recordings than the shard",
    ]
    assert (out / "index.json").read_bytes() == (built / "index.json").read_bytes()


def test_inputs_that_are_all_gone_cost_nothing(london: dict[str, Any], built: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(built, tmp_path / "out"))
    (tmp_path / "unmounted").mkdir()
    shutil.copy(london["root"] / "manifest.csv", tmp_path / "unmounted")
    with pytest.raises(
        FerPrepError, match=r"none of 6 recordings can be read, .* \(no such file\); is the disk mounted"
    ):
        again(london, out, root=tmp_path / "unmounted")
    assert {p.name: p.read_bytes() for p in out.iterdir()} == {p.name: p.read_bytes() for p in built.iterdir()}


def test_a_shard_without_inputs_is_left_lying_and_named(london: dict[str, Any], built: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(built, tmp_path / "out"))
    root = Path(shutil.copytree(london["root"], tmp_path / "root"))
    lines = (root / "manifest.csv").read_text().splitlines()
    (root / "manifest.csv").write_text("\n".join(line for line in lines if ",005," not in line) + "\n")
    result, notes = again(london, out, root=root)
    assert [entry.subject for entry in result.entries] == ["001", "003"]
    assert notes == [
        f"{out / 'manifest-s005.h5'} belongs to no recording that could be built now; it is not in the index"
    ]
    assert (out / "manifest-s005.h5").exists()


def test_an_index_of_something_else_is_not_replaced(london: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "index.json").write_text('{"mine": 1}')
    with pytest.raises(UsageError, match=r"index.json is no index of fer-prep"):
        again(london, tmp_path / "out")
    assert (tmp_path / "out" / "index.json").read_text() == '{"mine": 1}'


def test_parts_of_one_video_are_recordings_of_their_own(shared_data: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text(
        "file,subject,label,start_frame,end_frame\n"
        "enterface_like_720x576_divx.avi,a,x,0,20\n"
        "enterface_like_720x576_divx.avi,a,x,20,26\n"
        "enterface_like_720x576_divx.avi,a,x,100,\n"
    )
    build(
        dataset="manifest", root=shared_data / "edge", manifest=manifest, out=tmp_path / "out",
        cache=tmp_path / "c", workers=1, listener=Silent(),
    )  # fmt: skip
    rows = [(row["recording"].partition("#")[2], row["status"], row["n_frames"]) for row in ledger(tmp_path / "out")]
    assert rows == [("0-20", "ok", "20"), ("20-26", "ok", "6"), ("100-", "failed", "75")]
    assert [row["reason"] for row in ledger(tmp_path / "out")][:2] == ["", ""]


def test_two_builds_at_once_do_not_meet(london: dict[str, Any], tmp_path: Path) -> None:
    command = command_line(london, tmp_path / "out")
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_for((tmp_path / "out" / ".lock").exists)
    with pytest.raises(FerPrepError, match="another fer-prep build writes to"):
        again(london, tmp_path / "out")
    assert first.wait(60) == 0


def command_line(london: dict[str, Any], out: Path) -> list[str]:
    options = [f"--{name}={value}" for name, value in london.items()]
    return [sys.executable, "-m", "fer_prep", "build", *options, f"--out={out}", "--workers=1"]


def wait_for(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.02)


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_goes_on_and_ends_with_the_same_bytes(
    london: dict[str, Any], built: Path, tmp_path: Path, blow: signal.Signals
) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        command_line(london | {"cache": tmp_path / "cache"}, out),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    wait_for(lambda: (out / "ledger.csv").exists() and len(ledger(out)) > 0)
    os.killpg(process.pid, blow)
    output = process.communicate(timeout=60)[0]
    if blow is signal.SIGINT:
        assert process.returncode == 130
        assert "the same command goes on from here" in output
    assert "Traceback" not in output
    assert not (out / "index.json").exists()
    result, _ = again(london, out)
    assert result.n_kept >= 1
    assert (out / "index.json").read_bytes() == (built / "index.json").read_bytes()
    assert [path.name for path in out.glob(".*")] == [".lock"]


def test_failed_recordings_end_the_command_with_3_and_a_table(shared_data: Path, tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path / "m.csv", [("empty.avi", "a", "x"), ("one_frame.mp4", "b", "x")])
    arguments = {"dataset": "manifest", "root": shared_data / "edge", "manifest": manifest, "cache": tmp_path / "c"}
    done = subprocess.run(
        command_line(arguments, tmp_path / "out"), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 3
    assert "failed: empty file" in done.stdout
    assert "1 recordings built, 0 without a clip, 1 failed" in done.stdout
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines()]
    table = {row[0]: row[2] for row in cells if len(row) == 4 and row[2].endswith("%")}
    assert {"decode", "detect", "align", "cache", "write", "all"} <= set(table)
    assert table["all"] == "100%"
    assert done.stderr == ""
