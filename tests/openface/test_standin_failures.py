"""The stand-in against the 54 recorded failures (and controls) of the real OpenFace, case by case."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from standin_films import audio, files, flat, h264, mjpeg, picture, rows, sequence
from standin_install import install
from standin_play import Act

SHARED_FAILURES = Path(__file__).parents[3] / "shared" / "openface" / "failures" / "failures.json"
FIRST_LINE = "STAND-IN for OpenFace FeatureExtraction - not OpenFace\n"
OTHER_PROGRAM = "FaceLandmarkImg: the wrapper calls FeatureExtraction only, and the stand-in is that program only"
NOT_PLAYED = dict.fromkeys(
    ["img_batch_mid_missing", "img_dir_empty", "img_dir_missing", "img_missing", "img_noface", "img_ok"], OTHER_PROGRAM
)
NEEDS_A_USER = ["outdir_create_denied", "outdir_write_denied"]  # root may write everywhere, unless it gives that up

# What the stand-in cannot find out from a picture (or from its argv) is told to it; the other cases come by themselves.
TOLD: dict[str, Act] = {
    "argv0_without_directory": {"argv0_without_directory": True},
    "midcorrupt": {"confidence": {"7": 0.92}},
    "noface40": {"no_face": True},
    "noface40_nobadaligned": {"no_face": True},
    "rot180": {"lost_from": 1, "first_black": "0.02"},
    "rot90": {"first_black": "0.02"},
    "sigterm_midway": {"frame_s": 0.02},
}
FACE = picture()


def film(name: str, path: Path) -> None:
    """The input of that name, made after its description in failures.json."""
    pictures = {
        "one.mp4": [FACE],
        "vidéo é 1.mp4": [FACE],
        "ok20.mp4": [FACE] * 20,
        "flick4.mp4": [flat() if i % 4 == 0 else FACE for i in range(24)],
        "gap20.mp4": [FACE] * 10 + [flat()] * 20 + [FACE] * 10,
        "late20.mp4": [flat()] * 20 + [FACE] * 20,
        "vanish20.mp4": [FACE] * 20 + [flat(128)] * 20,
        "noface40.mp4": [FACE] * 40,
        "rot180.mp4": [FACE[::-1, ::-1].copy()] * 20,
        "rot90.mp4": [picture(240, 320)] * 20,
    }
    small = {f"small{n}.avi": [picture(n, n)] * 12 for n in (48, 64, 80)}
    if name in pictures:
        h264(path, pictures[name])
    elif name in small:
        mjpeg(path, small[name])
    else:
        OTHER_INPUTS[name](path)


def folder_with_a_text(path: Path) -> None:
    sequence(path, [FACE] * 4, ".jpg")
    (path / "image002.jpg").write_text("not an image")


def half(path: Path) -> None:
    content = mjpeg(path, [FACE] * 20, quantiser=4).read_bytes()
    path.write_bytes(content[: len(content) // 2])


def hole(path: Path) -> None:
    content = bytearray(mjpeg(path, [FACE] * 20).read_bytes())
    third = len(content) // 3
    # whether 19, 20 or only 6 frames survive depends on the bytes and the decoder; with these it is 19, as recorded
    content[third : third + 8000] = np.random.default_rng(0).bytes(8000)
    path.write_bytes(content)


def header(path: Path) -> None:
    path.write_bytes(mjpeg(path, [FACE] * 20).read_bytes()[:2000])


OTHER_INPUTS: dict[str, Callable[[Path], object]] = {
    "seq12": lambda path: sequence(path, [FACE] * 12, ".png"),
    "seq_corrupt": folder_with_a_text,
    "seq_mixed": lambda path: sequence(path, [FACE, picture(160, 120)] * 2, ".jpg"),
    "seq_upper": lambda path: sequence(path, [FACE] * 4, ".JPG"),
    "empty": lambda path: path.mkdir(),
    "nodir": lambda path: None,
    "nope.avi": lambda path: None,
    "audio.mp4": audio,
    "headonly.avi": header,
    "random.avi": lambda path: path.write_bytes(os.urandom(5000)),
    "text.avi": lambda path: path.write_text("no video at all\n" * 20),
    "zero.avi": lambda path: path.write_bytes(b""),
    "trunc.avi": half,
    "midcorrupt.avi": hole,
    "long.wmv": lambda path: mjpeg(path, [picture(640, 480)] * 288),
}


def recorded() -> dict[str, dict[str, Any]]:
    cases = json.loads(SHARED_FAILURES.read_text()) if SHARED_FAILURES.is_file() else []
    return {case["name"]: case for case in cases}


CASES = recorded()
SPECIAL = {"one_cpu_deadlock", "sigterm_midway"}


class Stage:
    """The folders of one case."""

    def __init__(self, home: Path, case: dict[str, Any], films: Path) -> None:
        self.case, self.out, self.inputs = case, home / "out", home / "in"
        dialect = "2.2" if "2.2.0 output layer" in case["openface"] else "2.0"
        only_cpu = case["name"] == "one_cpu_deadlock"
        self.executable = install(
            home / "bin",
            dialect="2.2" if dialect == "2.2" else "2.0",
            play=TOLD.get(case["name"]),
            one_cpu_hang=only_cpu,
        )
        for name in case["inputs"]:
            path = Path(name.replace("{IN}", str(self.inputs)))
            path.parent.mkdir(parents=True, exist_ok=True)
            ready = films / path.name
            if not ready.exists():
                film(path.name, ready)
            if ready.exists():
                path.symlink_to(ready)
        (home / "file").write_text("a regular file\n")
        (home / "unwritable").mkdir(mode=0o555)
        self.places = {
            "{BIN}": self.executable.parent,
            "{IN}": self.inputs,
            "{OUT}": self.out,
            "{REGULAR_FILE}": home / "file",
            "{UNWRITABLE_DIR}": home / "unwritable",
        }

    def fill(self, text: str) -> str:
        for place, path in self.places.items():
            text = text.replace(place, str(path))
        return text

    def command(self) -> list[str]:
        return [self.fill(word) for word in self.case["argv"]]

    def environment(self) -> dict[str, str]:
        given = {name: self.fill(value) for name, value in self.case["env"].items()}
        return {**os.environ, **{name: value.replace("$PATH", os.environ["PATH"]) for name, value in given.items()}}

    def said(self, stdout: str) -> str:
        """What was printed after the first line, with the placeholders of the recording."""
        assert stdout.startswith(FIRST_LINE)
        stdout = stdout.removeprefix(FIRST_LINE)
        for place, path in self.places.items():
            stdout = stdout.replace(str(path), place)
        return stdout


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the inputs are made once."""
    return tmp_path_factory.mktemp("films")


@pytest.fixture
def stage(openface: Path, films: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Stage:
    return Stage(tmp_path, CASES[request.param], films)


def test_every_recorded_case_is_played_or_its_absence_has_a_reason(openface: Path) -> None:
    assert len(CASES) == 54
    assert set(NOT_PLAYED) | set(TOLD) | SPECIAL <= set(CASES)


@pytest.mark.parametrize("stage", sorted(set(CASES) - set(NOT_PLAYED) - SPECIAL), indirect=True)
def test_a_recorded_case_ends_writes_and_says_what_openface_did(stage: Stage) -> None:
    case = stage.case
    plain_user = []
    if case["name"] in NEEDS_A_USER and os.access(stage.places["{UNWRITABLE_DIR}"], os.W_OK):
        setpriv = shutil.which("setpriv") or pytest.skip("root may write everywhere, and there is no setpriv")
        plain_user = [setpriv, "--bounding-set=-dac_override", "--inh-caps=-dac_override"]
    env = stage.environment()
    cwd = stage.inputs.parent
    done = subprocess.run(
        [*plain_user, *stage.command()], capture_output=True, text=True, errors="replace", timeout=60, env=env, cwd=cwd
    )
    assert done.returncode in case.get("rc_seen", [case["rc"]]), done.stderr
    assert files(stage.out) == sorted(case["files"])
    found = {name: rows(stage.out / name) for name in files(stage.out) if name.endswith(".csv")}
    assert {name: table for name, table in found.items() if table} == case["csv_rows"]
    assert all((stage.out / name).stat().st_size == 0 for name, size in case["sizes"].items() if size == 0)
    assert stage.said(done.stdout) == case["stdout"]
    expected = case["stderr"].partition("\n  what():")[0]
    if case["rc"] == -signal.SIGABRT and expected.startswith("terminate"):
        assert stage.fill(expected) in done.stderr


@pytest.mark.parametrize("stage", ["one_cpu_deadlock"] if CASES else [], indirect=True)
def test_with_one_cpu_2_0_hangs_and_2_2_does_not(stage: Stage, tmp_path: Path) -> None:
    pin = [shutil.which("taskset") or pytest.skip("taskset is not installed"), "-c", str(min(os.sched_getaffinity(0)))]
    with subprocess.Popen([*pin, *stage.command()], stdout=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 20
        while files(stage.out) != sorted(stage.case["files"]):
            assert time.monotonic() < end, files(stage.out)
            time.sleep(0.02)
        time.sleep(0.5)
        assert process.poll() is None
        process.kill()
        stdout = process.communicate(timeout=10)[0]
    assert process.returncode == stage.case["rc"]
    assert stage.said(stdout) == stage.case["stdout"]
    assert files(stage.out) == sorted(stage.case["files"])
    install(stage.executable.parent, dialect="2.2")
    assert subprocess.run([*pin, *stage.command()], capture_output=True, timeout=20).returncode == 0


@pytest.mark.parametrize("stage", ["sigterm_midway"] if CASES else [], indirect=True)
def test_a_killed_run_leaves_whole_rows_some_images_and_no_percentages(stage: Stage) -> None:
    with subprocess.Popen(stage.command(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        end = time.monotonic() + 20
        while len(files(stage.out)) < 10:
            assert time.monotonic() < end
            time.sleep(0.02)
        process.terminate()
        stdout = process.communicate(timeout=10)[0]
    assert process.returncode == stage.case["rc"]
    assert stage.said(stdout) == stage.case["stdout"]
    names = files(stage.out)
    assert names == sorted(stage.case["files"])[: len(names) - 1] + ["long_of_details.txt"]
    assert 0 < len(rows(stage.out / "long.csv")) < 288
