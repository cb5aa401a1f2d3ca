"""What a stranger has so far, to type wrong commands at: small shards, a run trained on them, videos, a manifest."""

import subprocess
import sys
import venv
from pathlib import Path

import av
import numpy as np
import small

ROOT = Path(__file__).parents[2]
PROGRAMS = {
    "prep": "fer_prep",
    "train": "fer_model",
    "predict": "fer_model.predict",
    "results": "fer_model.results_cli",
}
RECORDINGS: small.Recordings = {
    "anna": {f"anna/{i}.avi": (i % 2, "f" * 12) for i in range(4)},
    "ben": {f"ben/{i}.avi": (i % 2, "f" * 12) for i in range(4)},
}
LABELS = "file,subject,label\nanna.mp4,anna,anger\nben.mp4,ben,joy\n"
TRAINING = ["shards", "--fold=1", "--epochs=1", "--preset=small", "--device=cpu"]


def make_programs(directory: Path) -> Path:
    """The four programs, as an installation has them; of the Python that $PYTHON names, if it is set."""
    directory.mkdir(parents=True)
    for name, module in PROGRAMS.items():
        program = directory / f"fer-{name}"
        program.write_text(f'#!/bin/sh\nexec "${{PYTHON:-{sys.executable}}}" -m {module} "$@"\n')
        program.chmod(0o755)
    return directory


def make_scene(scene: Path, *, trained: bool) -> Path:
    """Shards of two groups and two classes, two videos without a face and their manifest, and `runs` if `trained`."""
    small.write(scene / "shards", recordings=RECORDINGS)
    (scene / "videos").mkdir()
    for name in ("anna", "ben"):
        write_video(scene / "videos" / f"{name}.mp4")
    (scene / "videos" / "labels.csv").write_text(LABELS)
    if trained:
        command = [sys.executable, "-m", "fer_model", *TRAINING]
        subprocess.run(command, cwd=scene, check=True, capture_output=True)
    return scene


def write_video(path: Path, n_frames: int = 12) -> None:
    """A grey picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")
        for _ in range(n_frames):
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def python_without(missing: tuple[str, ...], directory: Path) -> Path:
    """A Python with all packages of this one but some, as where an extra was not installed."""
    venv.create(directory, symlinks=True)
    (there,) = directory.glob("lib/python*/site-packages")
    for package in Path(np.__file__).parents[1].iterdir():
        if not package.name.startswith((*missing, "__editable__")):
            (there / package.name).symlink_to(package)
    return directory / "bin" / "python"
