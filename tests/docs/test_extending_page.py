"""The corpus that docs/extending.md adds is added as the page says, to a copy of fer_prep, and built."""

import csv
import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from pages import DOCS, ROOT, blocks, languages

from fer_prep.align.openface.probe import PICTURE
from fer_prep.sequence import read_picture
from fer_prep.video import ToRgb

PAGE = DOCS / "extending.md"
TAKES = ("P01/happy_01.mp4", "P01/sad_01.mp4", "P02/angry_01.mp4", "P02/happy_00.mp4")
FRAMES = 8


def write_take(path: Path, shift: int) -> None:
    """The bundled face, moving to the right."""
    face_HWC = read_picture(PICTURE, ToRgb())
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(25))
        stream.height, stream.width = (side // 2 * 2 for side in face_HWC.shape[:2])
        for t in range(FRAMES):
            moved = np.roll(face_HWC[: stream.height, : stream.width], shift + t, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with the corpus in `studio`."""
    for number, take in enumerate(TAKES):
        write_take(tmp_path / "studio" / take, shift=number)
    return tmp_path


def type_in(home: Path, command: str, *, package: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command.replace("fer-prep", f"{sys.executable} -m fer_prep")],
        cwd=home, capture_output=True, text=True, check=False, timeout=120,
        env=os.environ | {"PYTHONPATH": str(package), "FER_CACHE": str(home / "cache"), "OPENFACE_BIN": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def ledger(home: Path) -> dict[str, tuple[str, str, str]]:
    with (home / "shards" / "ledger.csv").open(newline="") as file:
        return {row["recording"]: (row["subject"], row["label"], row["status"]) for row in csv.DictReader(file)}


def test_every_block_is_known_here() -> None:
    assert languages(PAGE) == ["python", "bash", "python", "toml", "diff", "bash"]


def test_the_script_writes_a_manifest_that_builds(home: Path) -> None:
    (home / "write_manifest.py").write_text(blocks(PAGE, "python")[0])
    subprocess.run([sys.executable, "write_manifest.py"], cwd=home, check=True)
    type_in(home, blocks(PAGE, "bash")[0], package=ROOT)
    assert ledger(home) == {take: (take[:3], take[4:].split("_")[0], "ok") for take in TAKES}


def test_the_adapter_of_the_page_builds(home: Path) -> None:
    package = home / "package"
    shutil.copytree(ROOT / "fer_prep", package / "fer_prep", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "fer_prep/corpora/studio.py").write_text(blocks(PAGE, "python")[1])
    (package / "fer_prep/pipelines/studio.toml").write_text(blocks(PAGE, "toml")[0])
    subprocess.run(["git", "apply", "-"], cwd=package, input=blocks(PAGE, "diff")[0], text=True, check=True)
    plan, build = blocks(PAGE, "bash")[1].splitlines()
    (home / "studio" / "P02" / "outtake.mp4").write_bytes(b"x")
    said = type_in(home, plan, package=package)
    assert "rehearsal" in said
    assert "name does not fit" in said
    type_in(home, build, package=package)
    assert ledger(home) == {take: (take[1:3], take[4:].split("_")[0], "ok") for take in TAKES}
    index = json.loads((home / "shards" / "index.json").read_text())
    assert index["corpus"] == "studio"
    assert index["classes"] == ["angry", "happy", "sad"]
    assert index["left_out"] == {"name does not fit": 1}
