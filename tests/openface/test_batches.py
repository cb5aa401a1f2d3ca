"""Batches through the stand-in: what is finished is kept, what fails has its reason, and nothing takes others along."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
from filelock import FileLock
from standin_install import install
from standin_play import Act

from fer_prep.align.mesh import MeshFinder
from fer_prep.align.openface import batch as batching
from fer_prep.align.openface import run as running
from fer_prep.align.openface.batch import Made, Result, Wanted, align_batch
from fer_prep.align.openface.program import OpenFace, with_model
from fer_prep.errors import RecordingError
from fer_prep.recipe import AlignRecipe
from fer_prep.sequence import ImageList, list_images
from fer_prep.stopwatch import Stopwatch

RECIPE = AlignRecipe(backend="openface", landmark_model="clnf")


@pytest.fixture(scope="module")
def finder() -> MeshFinder:
    return MeshFinder()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the number of inputs at each start of OpenFace."""
    started: list[int] = []
    original = running.run_openface

    def counted(openface: OpenFace, inputs: Sequence[running.Input], *rest: Any, **options: Any) -> running.Run:
        started.append(len(inputs))
        return original(openface, inputs, *rest, **options)

    monkeypatch.setattr(batching, "run_openface", counted)
    return started


def standin(home: Path, golden: Path, play: Act | Sequence[Act] | None = None, **options: Any) -> OpenFace:
    return with_model(install(home / "openface", golden=golden, play=play, **options).resolve(), "clnf")


def kinds(results: Sequence[Result]) -> list[str]:
    return [result.kind if isinstance(result, RecordingError) else "made" for result in results]


def grid(shared_data: Path, n: int) -> list[Wanted]:
    """n recordings; the stand-in replays what OpenFace wrote for two of them, and makes up the others."""
    clips = sorted((shared_data / "real" / "grid").glob("*.mpg"))
    return [Wanted(clips[k % len(clips)]) for k in range(n)]


def test_the_program_and_what_we_do_ourselves_are_timed_apart(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder
) -> None:
    watch = Stopwatch()
    results = align_batch(grid(shared_data, 2), standin(tmp_path, golden), RECIPE, finder, watch)
    assert kinds(results) == ["made"] * 2
    assert set(watch.timings.cpu_s) == {"openface", "decode", "detect", "align"}
    # the stand-in is a Python program: starting it is computing, of which we only see the wait
    assert watch.timings.cpu_s["openface"] > 0.01
    assert min(watch.timings.cpu_s.values()) > 0


def test_a_batch_is_one_process_and_gives_what_single_runs_give(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder, runs: list[int]
) -> None:
    openface = standin(tmp_path, golden)
    wanted = [
        Wanted(shared_data / "real/grid/bbaf2n.mpg"), Wanted(golden / "ck_sequence/input/S000/001"),
        Wanted(shared_data / "edge/with space and ünïcode.mpg"), Wanted(shared_data / "edge/one_frame.mp4"),
    ]  # fmt: skip
    together = align_batch(wanted, openface, RECIPE, finder)
    assert runs == [3, 1]
    alone = [align_batch([item], openface, RECIPE, finder)[0] for item in wanted]
    for a, b in zip(together, alone, strict=True):
        assert isinstance(a, Made)
        assert isinstance(b, Made)
        assert np.array_equal(a.track.rgb_NHWC, b.track.rgb_NHWC)
        assert np.array_equal(a.track.transform_N2x3, b.track.transform_N2x3)
    assert [made.track.n_frames for made in together if isinstance(made, Made)] == [75, 12, 75, 1]
    assert [made.fps for made in together if isinstance(made, Made)] == [25, None, 25, 25]


def test_three_bad_files_of_twelve_cost_three_files(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder, runs: list[int]
) -> None:
    wanted = [
        Wanted(Path(shutil.copy(item.path, tmp_path / f"{k}.mpg"))) for k, item in enumerate(grid(shared_data, 12))
    ]
    wanted[2] = Wanted(shared_data / "edge/text_named_avi.avi")
    wanted[5] = Wanted(shared_data / "edge/truncated_45pct.avi")
    shutil.copy(wanted[0].path, tmp_path / "killer.mpg")
    wanted[7] = Wanted(tmp_path / "killer.mpg")
    openface = standin(tmp_path, golden, {"abort_at_frame": 10, "input": "killer"})
    results = align_batch(wanted, openface, RECIPE, finder)
    assert kinds(results) == [
        "made", "made", "cannot be opened", "made", "made", "truncated", "made", "OpenFace died", "made", "made",
        "made", "made",
    ]  # fmt: skip
    assert "33 of 75 frames" in str(results[5])
    assert runs[0] == 11  # the text file never reaches OpenFace
    assert sum(runs[1:]) <= 2 + 4  # the killer twice more, and those that came after it once


@pytest.mark.parametrize(
    ("act", "kind", "words"),
    [
        ({"abort": "before"}, "OpenFace died", "SIGABRT"),
        ({"abort": "after"}, "made", ""),
        ({"abort_at_frame": 10}, "OpenFace died", "SIGABRT"),
        ({"rc": 1}, "OpenFace wrote nothing", "there is no table"),
        ({"rc": 1, "stdout": "Could not find the landmark detection model to load"}, "OpenFace lacks its model", ""),
        ({"rc": 1, "stdout": "Could not find CEN patch experts, for instructions"}, "OpenFace lacks the weights", ""),
        ({"rc": 0, "stdout": "Failed to open the video file at location: x"}, "OpenFace cannot open it", ""),
        ({"rc_at_frame": 9, "rc": 1}, "OpenFace stopped early", "75 frames, but OpenFace wrote 8 rows"),
        ({"stop_at_frame": 40}, "OpenFace stopped early", "75 frames, but OpenFace wrote 39 rows"),
        ({"drop_rows": [7]}, "OpenFace wrote a broken table", "not numbered 1, 2, 3"),
        ({"drop_images": [7]}, "OpenFace wrote no image", "no image of frame 7"),
        ({"no_images": True}, "OpenFace cannot write", "Could not output similarity aligned image"),
        ({"wrong_size_images": [7]}, "OpenFace wrote other images", "frame 7 is 119×119 and not 112×112"),
        ({"zero_byte_images_from": 30}, "OpenFace wrote a broken table", "is the disk full?"),
        ({"truncate_csv_bytes": 0}, "OpenFace wrote a broken table", "no column frame"),
        ({"truncate_csv_bytes": -9}, "OpenFace wrote a broken table", ""),
        ({"garbage_csv": True}, "OpenFace wrote a broken table", ""),
        ({"no_face": True}, "made", ""),
    ],
)  # fmt: skip
def test_every_silent_failure_has_its_reason(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder, act: Act, kind: str, words: str
) -> None:
    (result,) = align_batch(grid(shared_data, 1), standin(tmp_path, golden, act), RECIPE, finder)
    assert kinds([result])[0].startswith(kind), result
    assert words in str(result)


@pytest.mark.parametrize("act", [{"hang": True}, {"hang_at_frame": 5}])
def test_a_hang_is_killed_and_said(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder, act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "SECONDS_TO_START", 1.0)
    monkeypatch.setattr(running, "SECONDS_PER_FRAME", 0.0)
    (result,) = align_batch(grid(shared_data, 1), standin(tmp_path, golden, act), RECIPE, finder)
    assert isinstance(result, RecordingError)
    assert result.kind == "OpenFace timed out"
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or [])]


def test_what_fails_once_is_tried_again(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder, runs: list[int]
) -> None:
    openface = standin(tmp_path, golden, {"abort_at_frame": 5, "times": 1})
    assert kinds(align_batch(grid(shared_data, 1), openface, RECIPE, finder)) == ["made"]
    assert runs == [1, 1]


def test_a_missing_model_is_not_tried_again(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder, runs: list[int]
) -> None:
    openface = standin(tmp_path, golden)
    openface.model.unlink()
    assert kinds(align_batch(grid(shared_data, 2), openface, RECIPE, finder)) == ["OpenFace lacks its model"] * 2
    assert runs == [2]


def test_a_killed_openface_costs_time_only(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder, runs: list[int]
) -> None:
    openface = standin(tmp_path, golden, {"frame_s": 0.02, "runs": [1]})

    def kill() -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            for process in psutil.Process().children(recursive=True):
                if any(str(tmp_path) in word for word in process.cmdline()):
                    time.sleep(0.5)
                    process.kill()
                    return
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    killer.start()
    results = align_batch(grid(shared_data, 3), openface, RECIPE, finder)
    killer.join()
    assert kinds(results) == ["made"] * 3
    assert len(runs) > 1


def test_words_in_a_file_name_are_no_reason(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder
) -> None:
    folder = tmp_path / "No space left"
    folder.mkdir()
    shutil.copy(shared_data / "real/grid/bbaf2n.mpg", folder / "a.mpg")
    (result,) = align_batch([Wanted(folder / "a.mpg")], standin(tmp_path, golden, {"drop_images": [3]}), RECIPE, finder)
    assert kinds([result]) == ["OpenFace wrote no image"]


def test_loading_the_weights_is_not_lacking_them(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder, runs: list[int]
) -> None:
    said = "Reading the intensity CEN patch experts from: model/patch_experts/cen_patches_0.25_of.dat....Done"
    openface = standin(tmp_path, golden, {"rc": 1, "stdout": said, "times": 1})
    assert kinds(align_batch(grid(shared_data, 1), openface, RECIPE, finder)) == ["made"]
    assert runs == [1, 1]


def test_a_reason_is_found_in_much_noise(golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder) -> None:
    act: Act = {"rc": 0, "noise_bytes": 20_000, "stdout": "Failed to open the video file at location: x"}
    (result,) = align_batch(grid(shared_data, 1), standin(tmp_path, golden, act), RECIPE, finder)
    assert kinds([result]) == ["OpenFace cannot open it"]


def test_images_that_vanish_cost_their_own_recording(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = golden / "ck_sequence/input/S000/001", tmp_path / "bad"
    shutil.copytree(good, bad)
    original = list_images

    def gone(directory: Path) -> ImageList:
        if directory == bad:
            shutil.rmtree(bad, ignore_errors=True)
        return original(directory)

    monkeypatch.setattr(running, "list_images", gone)
    results = align_batch([Wanted(good), Wanted(bad)], standin(tmp_path, golden), RECIPE, finder)
    assert kinds(results) == ["made", "no such file"]


def test_what_killed_workers_left_in_memory_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "MEMORY_DISK", tmp_path)
    old, live, young = (tmp_path / f"fer-prep-openface-{name}" for name in "abc")
    for folder in (old, live, young):
        folder.mkdir()
    with FileLock(live / ".lock"):
        for folder in (old, live):
            os.utime(folder, (0, 0))
        with running.private_directory(1, 112) as home:
            assert home.parent == tmp_path
            assert not old.exists()
        assert live.exists()
    assert young.exists()


def test_parts_of_one_file_are_one_input(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder, runs: list[int]
) -> None:
    film = shared_data / "edge/really_sideways_no_tag.mp4"
    parts = [Wanted(film, first, first + 10) for first in range(0, 70, 10)]
    results = align_batch(parts, standin(tmp_path, golden), RECIPE, finder)
    assert kinds(results) == ["made"] * 7
    assert runs == [1]
    remarks = [result.remark for result in results if isinstance(result, Made)]
    assert remarks[1] == "implausible faces of OpenFace not used: 2 frames (13-14)"
    assert remarks[2] == "implausible faces of OpenFace not used: 9 frames (21, 23-30)"


def test_chunks_keep_parts_together_and_memory_bounded(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MOST_FRAMES", 160)
    a, b = (shared_data / f"real/grid/{name}.mpg" for name in ("bbaf2n", "lbax4n"))  # 74 frames by their headers
    assert batching.in_memory_chunks([a, b, a, b, b, b, a]) == [[0, 1], [2, 3, 4, 5], [6]]
    assert batching.in_memory_chunks([shared_data / "edge/empty.avi"]) == [[0]]


def test_an_openface_that_stalls_is_killed_long_before_its_time_limit(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "STALLED_S", 1.0)
    begin = time.monotonic()
    (result,) = align_batch(grid(shared_data, 1), standin(tmp_path, golden, {"hang_at_frame": 9}), RECIPE, finder)
    assert kinds([result]) == ["OpenFace timed out"]
    assert time.monotonic() - begin < 20


def test_an_openface_dies_with_its_worker(golden: Path, shared_data: Path, tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux ends children with their parent")
    standin(tmp_path, golden, {"hang_at_frame": 9})
    code = (
        "import sys; from pathlib import Path; from fer_prep.align.mesh import MeshFinder\n"
        "from fer_prep.align.openface.batch import Wanted, align_batch\n"
        "from fer_prep.align.openface.program import with_model\n"
        "from fer_prep.recipe import AlignRecipe\n"
        f"openface = with_model(Path({str(tmp_path / 'openface/FeatureExtraction')!r}).resolve(), 'clnf')\n"
        f"clip = Wanted(Path({str(shared_data / 'real/grid/bbaf2n.mpg')!r}))\n"
        "align_batch([clip], openface, AlignRecipe(backend='openface'), MeshFinder())\n"
    )

    def ours() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if any(str(tmp_path / "openface") in word for word in words) and "-c" not in words:
                found.append(process)
        return found

    with subprocess.Popen([sys.executable, "-c", code]) as worker:
        end = time.monotonic() + 60
        while not ours():
            assert time.monotonic() < end
            time.sleep(0.1)
        worker.kill()
    end = time.monotonic() + 10
    while ours():
        assert time.monotonic() < end, "OpenFace outlives its worker"
        time.sleep(0.1)


def test_faces_that_are_none_are_not_detected(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder
) -> None:
    openface = standin(tmp_path, golden, [{"false_face": [20, 24]}])
    (result,) = align_batch([Wanted(shared_data / "real/pyfeat/no_face.mp4")], openface, RECIPE, finder)
    assert isinstance(result, Made)
    assert result.track.n_detected == 0
    assert result.remark.endswith("implausible faces of OpenFace not used: 5 frames (20-24)")


@pytest.mark.parametrize("act", [{"first_black": True}, {"nan": 1}, {"confidence": {"1": 0.48}}])
def test_success_alone_is_no_detection(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder, act: Act
) -> None:
    (result,) = align_batch(grid(shared_data, 1), standin(tmp_path, golden, act), RECIPE, finder)
    assert isinstance(result, Made)
    assert result.track.detected_N.tolist() == [False] + [True] * 74
    assert not result.track.rgb_NHWC[0].any()


def test_a_part_of_a_video_is_cut_out_of_the_whole(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder
) -> None:
    clip = shared_data / "real/grid/bbaf2n.mpg"
    wanted = [Wanted(clip), Wanted(clip, 10, 30), Wanted(clip, 70, None), Wanted(clip, 70, 90), Wanted(clip, 80, None)]
    wanted.append(Wanted(shared_data / "edge/truncated_45pct.avi", 0, 20))
    whole, part, tail, *bad, broken = align_batch(wanted, standin(tmp_path, golden), RECIPE, finder)
    assert isinstance(whole, Made)
    assert isinstance(part, Made)
    assert isinstance(tail, Made)
    assert np.array_equal(part.track.rgb_NHWC, whole.track.rgb_NHWC[10:30])
    assert np.array_equal(tail.track.landmarks_N68x2, whole.track.landmarks_N68x2[70:])
    assert kinds(bad) == ["too short", "too short"]
    assert isinstance(broken, Made)
    assert broken.track.n_frames == 20


def test_frames_are_numbered_as_we_number_them_and_not_as_text(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder
) -> None:
    """OpenFace reads 10.PNG not at all, and frame10 before frame2."""
    sequence = tmp_path / "-s e q"
    sequence.mkdir()
    images = sorted((golden / "ck_sequence/input/S000/001").glob("*.png"))
    for number, image in enumerate(images, start=1):
        shutil.copy(image, sequence / f"frame{number}.PNG")
    openface = standin(tmp_path, golden)
    first, second = align_batch([Wanted(images[0].parent), Wanted(sequence)], openface, RECIPE, finder)
    assert isinstance(first, Made)
    assert isinstance(second, Made)
    assert np.array_equal(first.track.rgb_NHWC, second.track.rgb_NHWC)


def test_face_size_and_mask_reach_openface(golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder) -> None:
    recipe = AlignRecipe(backend="openface", landmark_model="clnf", face_size=96, mask=False)
    (result,) = align_batch(grid(shared_data, 1), standin(tmp_path, golden), recipe, finder)
    assert isinstance(result, Made)
    assert result.track.rgb_NHWC.shape == (75, 96, 96, 3)
    assert (result.track.rgb_NHWC[0] == 0).all(axis=2).mean() < 0.05  # a mask is a third of it
    image = cv2.imread(str(golden / "bbaf2n/bbaf2n_aligned_nomask/frame_det_00_000001.png"))
    assert image is not None
    expected = cv2.resize(image, (96, 96), interpolation=cv2.INTER_AREA)[:, :, ::-1]
    assert np.abs(result.track.rgb_NHWC[0].astype(int) - expected).mean() < 5


def test_nothing_is_left_behind(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    openface = standin(tmp_path, golden)
    memory = tmp_path / "memory"  # in the real one, other tests come and go
    memory.mkdir()
    monkeypatch.setattr(running, "MEMORY_DISK", memory)
    before = {path.name for path in tmp_path.iterdir()}
    align_batch(grid(shared_data, 2), openface, RECIPE, finder)
    assert list(memory.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == before
