"""The stand-in against the recorded good runs of the real OpenFace; and the failures it can play."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Literal, cast

import cv2
import numpy as np
import pytest
from standin_films import files, flat, h264, mjpeg, picture, read, rows, sequence
from standin_install import install, runs
from standin_play import Act

CLNF = ["-mloc", "model/main_clnf_general.txt"]
OUTPUTS = ["-2Dfp", "-simalign"]
CLIPS = [
    "bbaf2n",
    "lbax4n",
    "single_face",
    "face_noface",
    "no_face",
    "enterface_like_720x576_divx",
    "truncated_45pct",
    "two_faces",
    "very_dark",
    "really_sideways_no_tag",
    "one_frame",
    "vfr_dropped_frames",
    "space_unicode",
    "ck_sequence",
]
GOLDEN_RUNS: list[tuple[Literal["2.0", "2.2"], str]] = [("2.0", "masked"), ("2.2", "fmt22")]


def call(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def arguments(recorded: dict[str, Any], executable: Path, inputs: Path, out: Path) -> list[str]:
    """The recorded command line with its placeholders filled in."""
    places = {"{BIN}": executable.parent, "{IN}": inputs, "{OUT}": out}
    words = list(recorded["argv"])
    for place, path in places.items():
        words = [word.replace(place, str(path)) for word in words]
    return words


def words_of(stdout: str, executable: Path, inputs: Path) -> str:
    """What was printed after the line that says who prints, with the placeholders of the recording."""
    first, _, rest = stdout.partition("\n")
    assert first == "STAND-IN for OpenFace FeatureExtraction - not OpenFace"
    return rest.replace(str(executable.parent), "{BIN}").replace(str(inputs), "{IN}")


def recorded_run(golden: Path, clip: str, run: str) -> tuple[Path, dict[str, Any]]:
    """The folder that {IN} stands for, and the recorded run."""
    whole = json.loads((golden / clip / "runs.json").read_text())
    return golden / whole["IN"], whole["runs"][run]


@pytest.mark.parametrize(("dialect", "run"), GOLDEN_RUNS)
@pytest.mark.parametrize("clip", CLIPS)
def test_a_recorded_clip_comes_out_as_openface_wrote_it(
    golden: Path, tmp_path: Path, clip: str, dialect: Literal["2.0", "2.2"], run: str
) -> None:
    inputs, recorded = recorded_run(golden, clip, run)
    executable = install(tmp_path / "bin", dialect=dialect, golden=golden, one_cpu_hang=False)
    out = tmp_path / "out"
    done = call(arguments(recorded, executable, inputs, out))
    assert done.returncode == recorded["rc"], done.stderr
    assert words_of(done.stdout, executable, inputs) == recorded["stdout"]
    assert files(out) == sorted(recorded["files"])
    stem = next(path for path in out.glob("*.csv")).stem
    expected = golden / clip / (f"{stem}.csv" if run == "masked" else f"{stem}.fmt22.csv")
    assert (out / f"{stem}.csv").read_bytes() == expected.read_bytes()
    details = (out / f"{stem}_of_details.txt").read_text().replace(str(inputs), "{IN}")
    assert details.replace(str(inputs.resolve()), "{IN}") == (golden / clip / f"{stem}_of_details.txt").read_text()
    kept = {path.stem: path for path in (golden / clip / f"{stem}_aligned").glob("*.png")}
    for row in rows(out / f"{stem}.csv"):
        name = f"frame_det_00_{row[0]:06d}"
        image = read(next((out / f"{stem}_aligned").glob(f"{name}.*")))
        assert image.shape == (112, 112, 3)
        if name in kept:
            assert np.array_equal(image, read(kept[name])), name
        else:
            assert row[3] == "0", "every image of a tracked frame was kept"
            assert not image.any()


def test_a_batch_writes_the_same_as_single_runs_and_unmasked_images_are_close_where_none_was_kept(
    golden: Path, tmp_path: Path
) -> None:
    executable = install(tmp_path / "bin", golden=golden, one_cpu_hang=False)
    words = [str(executable), "-nomask", *OUTPUTS, *CLNF, "-out_dir", str(tmp_path / "out")]
    clips = json.loads((golden / "clips.json").read_text())
    for clip in clips:
        words += ["-fdir" if (golden / clip["input"]).is_dir() else "-f", str(golden / clip["input"])]
    done = call(words)
    assert done.stdout.count("Closed successfully") == len(clips)
    for clip in clips:
        stem, home = clip["stem"], golden / clip["clip"]
        assert (tmp_path / "out" / f"{stem}.csv").read_bytes() == (home / f"{stem}.csv").read_bytes()
        masked = {path.stem: path for path in (home / f"{stem}_aligned").glob("*.png")}
        kept = {path.stem: path for path in (home / f"{stem}_aligned_nomask").glob("*.png")}
        for path in sorted((tmp_path / "out" / f"{stem}_aligned").iterdir()):
            image = read(path)
            if path.stem in kept:
                assert np.array_equal(image, read(kept[path.stem]))
            elif path.stem in masked and (face := read(masked[path.stem])).any():
                inside = face.any(axis=2)
                difference = np.abs(image[inside].astype(int) - face[inside]).mean()
                assert difference < (3.5 if clip["clip"] == "face_noface" else 0.5), (stem, path.name)


@pytest.mark.parametrize("run", ["batch", "batch_fmt22", "batch_without_the_unopenable"])
def test_a_batch_ends_at_the_first_unopenable_input(golden: Path, tmp_path: Path, run: str) -> None:
    inputs, recorded = recorded_run(golden, "batch_middle_unopenable", run)
    executable = install(
        tmp_path / "bin", dialect="2.2" if "fmt22" in run else "2.0", golden=golden, one_cpu_hang=False
    )
    done = call(arguments(recorded, executable, inputs, tmp_path / "out"))
    assert done.returncode == recorded["rc"] == 0
    assert words_of(done.stdout, executable, inputs) == recorded["stdout"]
    assert files(tmp_path / "out") == sorted(recorded["files"])


@pytest.mark.parametrize("run", ["same_name", "same_name_with_of"])
def test_two_folders_of_the_same_name_overwrite_each_other_without_a_word(
    golden: Path, tmp_path: Path, run: str
) -> None:
    given, recorded = recorded_run(golden, "batch_same_name", run)
    inputs = tmp_path / "in"
    for subject, images in (("S000", 12), ("S001", 8)):
        (inputs / subject / "001").mkdir(parents=True)
        for i in range(1, images + 1):
            name = f"001_{i:08d}.png"
            shutil.copy(given / "S000" / "001" / f"S000_{name}", inputs / subject / "001" / f"{subject}_{name}")
    executable = install(tmp_path / "bin", golden=golden, one_cpu_hang=False)
    done = call(arguments(recorded, executable, inputs, tmp_path / "out"))
    assert done.returncode == 0
    assert words_of(done.stdout, executable, inputs) == recorded["stdout"]
    assert files(tmp_path / "out") == sorted(recorded["files"])
    found = {path.name: len(rows(path)) for path in (tmp_path / "out").glob("*.csv")}
    assert found == recorded["csv_rows"]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """12 frames with what the stand-in takes for a face."""
    return mjpeg(tmp_path / "film.avi", [picture()] * 12)


def play(tmp_path: Path, film: Path, act: Act, *words: str, dialect: Literal["2.0", "2.2"] = "2.0") -> Any:
    executable = install(tmp_path / "bin", dialect=dialect, play=act, one_cpu_hang=False)
    return call([str(executable), "-f", str(film), *OUTPUTS, *CLNF, "-out_dir", str(tmp_path / "out"), *words])


def written(tmp_path: Path) -> list[list[str | int]]:
    return rows(tmp_path / "out" / "film.csv")


@pytest.mark.parametrize(("dialect", "whole_rows"), [("2.0", 6), ("2.2", 0)])
def test_an_abort_in_the_middle_is_a_real_signal_and_loses_what_2_2_had_buffered(
    tmp_path: Path, film: Path, dialect: Literal["2.0", "2.2"], whole_rows: int
) -> None:
    done = play(tmp_path, film, {"abort_at_frame": 7}, dialect=dialect)
    assert done.returncode == -signal.SIGABRT
    assert "Closed successfully" not in done.stdout
    assert "0%" not in done.stdout
    assert len(list((tmp_path / "out" / "film_aligned").iterdir())) == 6
    content = (tmp_path / "out" / "film.csv").read_text()
    assert max(0, content.count("\n") - 1) == whole_rows


def test_an_abort_before_leaves_nothing(tmp_path: Path, film: Path) -> None:
    assert play(tmp_path, film, {"abort": "before"}).returncode == -signal.SIGABRT
    assert files(tmp_path / "out") == []


def test_an_exit_code_can_be_chosen(tmp_path: Path, film: Path) -> None:
    done = play(tmp_path, film, {"rc": 3, "stdout": "no licence\n"})
    assert (done.returncode, files(tmp_path / "out")) == (3, [])
    assert done.stdout.endswith("no licence\n")


@pytest.mark.parametrize(("act", "n_rows"), [(Act(hang=True), None), (Act(hang_at_frame=5), 4)])
def test_a_hang_uses_no_cpu_and_ends_on_sigterm(tmp_path: Path, film: Path, act: Act, n_rows: int | None) -> None:
    executable = install(tmp_path / "bin", play=act, one_cpu_hang=False)
    words = ["-f", str(film), *OUTPUTS, *CLNF, "-out_dir", str(tmp_path / "out")]
    with subprocess.Popen([executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(tmp_path / "out" / "film_aligned" if n_rows is None else tmp_path / "out" / "film.csv")
        time.sleep(0.3)
        before = cpu_seconds(process.pid)
        time.sleep(0.2)
        assert process.poll() is None
        assert cpu_seconds(process.pid) == before
        process.terminate()
        stdout = process.communicate(timeout=10)[0]
    assert process.returncode == -signal.SIGTERM
    if n_rows is None:
        assert stdout.splitlines()[-1] == "Device or file opened"
        assert files(tmp_path / "out") == ["film_aligned/", "film_of_details.txt"]
    else:
        assert len(written(tmp_path)) == n_rows


def wait_for(path: Path) -> None:
    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)


def cpu_seconds(pid: int) -> float:
    """User and system time of a living process."""
    numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


def test_a_full_disk_ends_with_rc_0_a_cut_csv_and_empty_images(tmp_path: Path, film: Path) -> None:
    done = play(tmp_path, film, {"zero_byte_images_from": 5})
    assert (done.returncode, "Closed successfully" in done.stdout) == (0, True)
    sizes = [path.stat().st_size for path in sorted((tmp_path / "out" / "film_aligned").iterdir())]
    assert sizes == [37686] * 4 + [0] * 8
    lines = (tmp_path / "out" / "film.csv").read_text().split("\n")
    assert len(lines) == 6
    assert 0 < len(lines[5]) < len(lines[4]) - 100


def test_images_that_cannot_be_written_are_a_warning_line_each(tmp_path: Path, film: Path) -> None:
    done = play(tmp_path, film, {"no_images": True})
    assert done.returncode == 0
    assert done.stdout.count("Warning: Could not output similarity aligned image image") == 12
    assert [row[5] for row in written(tmp_path)] == ["none"] * 12


def test_what_is_seen_can_be_played(tmp_path: Path, film: Path) -> None:
    play(tmp_path, film, {"first_black": True, "confidence": {"3": 0.5, "4": 0.78}, "lost_from": 9, "nan": 2})
    found = [(row[2], row[3], row[5]) for row in written(tmp_path)]
    face, lost = ("0.98", "1", "face"), ("0.02", "0", "black")
    middle = [face, ("0.50", "0", "black"), ("0.78", "1", "face")]
    assert found == [("0.00", "1", "black"), *middle, *[face] * 4, *[lost] * 4]
    content = (tmp_path / "out" / "film.csv").read_text().splitlines()
    assert content[2].count("nan") == 136
    assert len(set(content[9:])) == len({line.partition("0.02")[2] for line in content[9:]}) == 4


def test_a_false_face_is_a_picture_of_what_is_there(golden: Path, tmp_path: Path) -> None:
    executable = install(tmp_path / "bin", golden=golden, play={"false_face": [20, 22]}, one_cpu_hang=False)
    video = golden / "../../data/real/pyfeat/no_face.mp4"
    call([str(executable), "-f", str(video), *OUTPUTS, *CLNF, "-out_dir", str(tmp_path / "out")])
    found = [row[2:] for row in rows(tmp_path / "out" / "no_face.csv")]
    assert found[18] == ["0.00", "0", "zero", "black"]
    assert found[19:22] == [["0.82", "1", "values", "face"]] * 3


def test_what_is_written_can_be_damaged(tmp_path: Path, film: Path) -> None:
    play(tmp_path, film, {"drop_rows": [4, 5], "drop_images": [7], "wrong_size_images": [2], "truncate_csv_bytes": -20})
    found = written(tmp_path)
    assert [row[0] for row in found] == [1, 2, 3, 6, 7, 8, 9, 10, 11, 12]
    assert found[4][5] == "none"
    assert read(tmp_path / "out" / "film_aligned" / "frame_det_00_000002.bmp").shape == (119, 119, 3)
    assert not (tmp_path / "out" / "film.csv").read_text().endswith("\n")


def test_an_input_can_end_early_in_good_order(tmp_path: Path, film: Path) -> None:
    done = play(tmp_path, film, {"stop_at_frame": 5})
    assert (done.returncode, "Closed successfully" in done.stdout, len(written(tmp_path))) == (0, True, 4)
    assert "30% Closing output recorder" in done.stdout


def test_a_csv_of_garbage_is_no_text(tmp_path: Path, film: Path) -> None:
    play(tmp_path, film, {"garbage_csv": True})
    with pytest.raises(UnicodeDecodeError):
        (tmp_path / "out" / "film.csv").read_text(encoding="utf-8")


def test_an_act_can_be_limited_to_runs_inputs_and_attempts(tmp_path: Path, film: Path) -> None:
    other = mjpeg(tmp_path / "other.avi", [picture()] * 2)
    acts = [Act(rc=3, runs=[2]), Act(abort="before", stem="other", times=1), Act(stop_after_inputs=1, runs=[4])]
    executable = install(tmp_path / "bin", play=acts, one_cpu_hang=False)
    ends: list[tuple[int, list[str]]] = []
    for _ in range(4):
        out = tmp_path / f"out{len(ends)}"
        words = ["-f", str(film), "-f", str(other), *OUTPUTS, *CLNF, "-out_dir", str(out)]
        done = call([str(executable), *words])
        ends.append((done.returncode, sorted(path.stem for path in out.glob("*.csv"))))
    assert ends == [(-6, ["film"]), (3, []), (0, ["film", "other"]), (0, ["film"])]
    assert [(run["run"], run["rc"]) for run in runs(executable)] == [(1, None), (2, 3), (3, 0), (4, 0)]


def test_the_environment_goes_before_the_install(tmp_path: Path, film: Path) -> None:
    executable = install(tmp_path / "bin", play={"rc": 3}, one_cpu_hang=False)
    words = [str(executable), "-f", str(film), *OUTPUTS, *CLNF, "-out_dir", str(tmp_path / "out")]
    assert call(words, env={**os.environ, "STANDIN_PLAY": '{"rc": 4}'}).returncode == 4


def test_a_slow_start_and_a_noisy_stderr_can_be_played(tmp_path: Path, film: Path) -> None:
    begun = time.monotonic()
    done = play(tmp_path, film, {"startup_s": 0.8, "noise_bytes": 300_000})
    assert time.monotonic() - begun > 0.8
    assert len(done.stderr) > 290_000
    assert done.returncode == 0


def test_a_word_the_stand_in_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no act of the stand-in: .*hnag"):
        install(tmp_path / "bin", play=cast(Act, {"hnag": True}))


def test_no_output_flags_means_everything_even_over_the_input(tmp_path: Path) -> None:
    video = mjpeg(tmp_path / "film.avi", [picture()] * 3)
    before = video.read_bytes()
    executable = install(tmp_path / "bin", one_cpu_hang=False)
    done = call([str(executable), "-f", str(video), *CLNF, "-out_dir", str(tmp_path)])
    assert done.returncode == 0
    assert video.read_bytes() != before
    assert len((tmp_path / "film.csv").read_text().splitlines()[0].split(", ")) == 714
    assert (tmp_path / "film.hog").exists()


@pytest.mark.parametrize(
    ("words", "shape"),
    [
        (["-simsize", "224"], (224, 224, 3)),
        (["-g"], (112, 112)),
        (["-simsize", "0"], (240, 320, 3)),
        (["-format_aligned", "png"], (112, 112, 3)),
        (["-format_aligned", "jpg", "-simsize", "96"], (96, 96, 3)),
    ],
)
def test_images_have_the_size_and_kind_asked_for(
    tmp_path: Path, film: Path, words: list[str], shape: tuple[int, ...]
) -> None:
    assert play(tmp_path, film, {}, *words, dialect="2.2").returncode == 0
    suffix = words[1] if words[0] == "-format_aligned" else "bmp"
    path = tmp_path / "out" / "film_aligned" / f"frame_det_00_000012.{suffix}"
    assert read(path).shape == shape
    if words == ["-g"]:
        assert path.stat().st_size == 13622


def test_the_image_kind_is_ignored_by_2_0(tmp_path: Path, film: Path) -> None:
    play(tmp_path, film, {}, "-format_aligned", "png")
    assert {path.suffix for path in (tmp_path / "out" / "film_aligned").iterdir()} == {".bmp"}


def test_a_link_elsewhere_finds_no_model_and_the_cwd_helps(tmp_path: Path, film: Path) -> None:
    executable = install(tmp_path / "bin", one_cpu_hang=False)
    link = tmp_path / "link" / "FeatureExtraction"
    link.parent.mkdir()
    link.symlink_to(executable)
    words = ["-f", str(film), *OUTPUTS, *CLNF, "-out_dir", str(tmp_path / "out")]
    assert call([str(link), *words]).returncode == 1
    assert call([str(link), *words], cwd=executable.parent).returncode == 0


def test_the_default_model_needs_its_weights(tmp_path: Path, film: Path) -> None:
    words = ["-f", str(film), *OUTPUTS, "-out_dir", str(tmp_path / "out")]
    for weights, rc in ((False, 1), (True, 0)):
        executable = install(tmp_path / str(weights), cen_weights=weights, one_cpu_hang=False)
        assert call([str(executable), *words]).returncode == rc


def test_a_model_that_was_not_shipped_is_missed(tmp_path: Path, film: Path) -> None:
    executable = install(tmp_path / "bin", models=("clm",), one_cpu_hang=False)
    done = call([str(executable), "-f", str(film), *OUTPUTS, *CLNF, "-out_dir", str(tmp_path / "out")])
    assert (done.returncode, "Couldn't open the model file, aborting" in done.stdout) == (1, True)


def test_an_aligned_folder_keeps_what_an_earlier_run_left(tmp_path: Path) -> None:
    for n in (5, 3):
        play(tmp_path, mjpeg(tmp_path / "film.avi", [picture()] * n), {})
    assert (len(written(tmp_path)), len(list((tmp_path / "out" / "film_aligned").iterdir()))) == (3, 5)


def test_a_csv_that_cannot_be_opened_is_rc_1(tmp_path: Path, film: Path) -> None:
    (tmp_path / "out" / "film.csv").mkdir(parents=True)
    done = play(tmp_path, film, {})
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "The output CSV file is not open, exiting")


def test_synthetic_landmarks_lie_where_the_synthetic_image_was_cut(tmp_path: Path) -> None:
    play(tmp_path, h264(tmp_path / "film.mp4", [picture(), flat(), picture()]), {}, "-nomask")
    line = (tmp_path / "out" / "film.csv").read_text().splitlines()[1].split(", ")
    x, y = np.array(line[5:73], float), np.array(line[73:], float)
    eyes = np.array([[x[36:42].mean(), y[36:42].mean()], [x[42:48].mean(), y[42:48].mean()]])
    scale = np.linalg.norm(eyes[1] - eyes[0]) / 46
    corner = eyes.mean(axis=0) - np.array([56, 29]) * scale
    image = read(tmp_path / "out" / "film_aligned" / "frame_det_00_000001.bmp")
    frame = picture()
    left, top, side = (round(float(number)) for number in (*corner, 112 * scale))

    def difference(shift: int) -> float:
        cut = frame[top + shift : top + shift + side, left : left + side]
        return float(np.abs(cv2.resize(cut, (112, 112)).astype(int) - image).mean())

    assert difference(0) < min(difference(-3), difference(3)) / 2


def test_a_sequence_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    levels = [picture(), flat(9), picture()]
    folder = sequence(tmp_path / "film", levels, ".png")
    (folder / "image002.png").rename(folder / "image0005.png")  # sorts before image001
    (folder / "notes.txt").write_text("no image")
    executable = install(tmp_path / "bin", one_cpu_hang=False)
    call([str(executable), "-fdir", f"{folder}/", *OUTPUTS, *CLNF, "-out_dir", str(tmp_path / "out")])
    assert [row[1:4] for row in written(tmp_path)] == [
        ["0.000", "0.98", "1"],
        ["0.000", "0.98", "1"],
        ["0.000", "0.02", "0"],
    ]
