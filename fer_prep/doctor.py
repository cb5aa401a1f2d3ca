"""`fer-prep doctor`: what is installed, what works, and what mends what does not. Things are tried, not looked up."""

import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import cv2
import h5py
import hdf5plugin
import numpy as np

from fer_prep.align.choose import choose_aligner
from fer_prep.align.mesh import MODELS, MeshFinder
from fer_prep.align.openface.probe import PICTURE, visible_cpus
from fer_prep.errors import FerPrepError
from fer_prep.image import DIGEST, running_image
from fer_prep.recipe import AlignRecipe, LandmarkModel
from fer_prep.sequence import read_picture
from fer_prep.stages import track_cache
from fer_prep.stored import file_sha256
from fer_prep.video import ToRgb

LITTLE_SPACE = 5e9


@dataclass(frozen=True)
class Finding:
    """One thing that was tried.

    Attributes:
        works: None: not there, and not needed.
        mend: what to do; empty where nothing is wrong.
    """

    name: str
    works: bool | None
    says: str
    mend: str = ""


def examine(
    *, openface: Path | None = None, landmark_model: LandmarkModel = "ceclm", cache: Path | None = None
) -> list[Finding]:
    """Try everything that a build needs; OpenFace, too, where it is installed."""
    return [
        _openface(openface, landmark_model),
        _attempt("embedded aligner", _mesh, "install fer-convlstm again: its models are damaged"),
        _attempt("OpenCV", _opencv, "pip uninstall every opencv package, then pip install 'fer-convlstm[prep]'"),
        _attempt("HDF5 filters", _filters, "pip install --force-reinstall hdf5plugin h5py"),
        _cores(),
        _space(track_cache(cache)),
        *_image(),
    ]


def _attempt(name: str, trial: Callable[[], str], mend: str) -> Finding:
    """Whatever goes wrong in here is what is looked for."""
    try:
        return Finding(name, True, trial())
    except Exception as error:
        return Finding(name, False, f"{type(error).__name__}: {error}", mend)


def _openface(named: Path | None, landmark_model: LandmarkModel) -> Finding:
    try:
        aligner = choose_aligner(AlignRecipe(backend="auto", landmark_model=landmark_model), named)
        if aligner.openface is None and aligner.problem:
            return Finding("OpenFace", False, aligner.problem, "until then, the embedded aligner is taken")
    except FerPrepError as error:
        return Finding("OpenFace", False, str(error), "until then, use --aligner mesh")
    if aligner.openface is None or aligner.trial is None:
        return Finding("OpenFace", None, "not installed; the embedded aligner is taken",
                       "to have faces aligned by OpenFace, install it and name it with --openface")  # fmt: skip
    return Finding(
        "OpenFace", True,
        f"{aligner.openface.program}, dialect {aligner.trial.dialect}, model {landmark_model}, one picture in "
        f"{aligner.trial.startup_s:.1f} s, identity {aligner.openface.identity[:12]}",
    )  # fmt: skip


def _mesh() -> str:
    face = MeshFinder().find(read_picture(PICTURE, ToRgb()))
    if face is None:
        raise FerPrepError(f"no face is found in {PICTURE}")
    expected = [line.split() for line in (MODELS / "SHA256SUMS").read_text(encoding="utf-8").splitlines()]
    for sha256, name in expected:
        if file_sha256(MODELS / name) != sha256:
            raise FerPrepError(f"{MODELS / name} is not the model that was shipped")
    models = ", ".join(f"{Path(name).stem} {sha256[:12]}" for sha256, name in expected)
    return f"found the face of the bundled picture; models {models}"


def _opencv() -> str:
    packages = [name for name in (d.name for d in metadata.distributions()) if name.startswith("opencv-")]
    if len(packages) != 1:
        raise FerPrepError(f"{len(packages)} packages of OpenCV are installed ({', '.join(packages)}), not one")
    return f"{cv2.__version__} ({packages[0]})"


def _filters() -> str:
    content = np.arange(1000, dtype=np.int16)
    with h5py.File(io.BytesIO(), "w") as file:
        dataset = file.create_dataset("x", data=content, chunks=True, **hdf5plugin.Bitshuffle(cname="lz4"))
        if not np.array_equal(dataset[:], content):
            raise FerPrepError("bitshuffle-LZ4 gives back other values than it was given")
    return f"bitshuffle-LZ4 works; h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}"


def _cores() -> Finding:
    visible, installed = visible_cpus(), os.cpu_count() or 1
    says = f"{visible} of {installed} may be used"
    if visible == 1:
        return Finding("cores", None, says, "OpenFace 2.0 hangs on one: allow it two if you use it")
    return Finding("cores", True, says)


def _space(cache: Path) -> Finding:
    there = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(there).free
    says = f"{free / 1e9:.1f} GB free for aligned faces in {cache}"
    if free < LITTLE_SPACE:
        return Finding("disk", False, says, "choose another --cache; fer-prep plan tells how much a corpus needs")
    return Finding("disk", True, says)


def _image() -> list[Finding]:
    """Nothing outside of a container image: that is no lack."""
    try:
        image = running_image()
    except FerPrepError as error:
        return [Finding("image", False, str(error), "docs/image.md says which digest that is")]
    if image is None:
        return []
    if image.digest is None:
        return [Finding("image", None, f"{image.name}, digest not known in here", f"give it with ${DIGEST}")]
    return [Finding("image", True, f"{image.name}, {image.digest}")]
