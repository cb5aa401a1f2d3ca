"""Where OpenFace's FeatureExtraction is, which landmark model it is to use, and what identifies both."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fer_prep.align.openface.matrices import read_reference
from fer_prep.errors import FerPrepError, UsageError
from fer_prep.recipe import LandmarkModel
from fer_prep.stored import file_sha256

PROGRAM = "FeatureExtraction"
PLACES = (PROGRAM, f"bin/{PROGRAM}", f"build/bin/{PROGRAM}")  # below a directory that is named in its stead
REFERENCE = "AU_predictors/In-the-wild_aligned_PDM_68.txt"
CEN_WEIGHTS = "patch_experts/cen_patches_*_of.dat"


@dataclass(frozen=True)
class OpenFace:
    """A program and a model that belong together.

    Attributes:
        program: absolute, links resolved: it looks for its models beside the path that it was called by.
        model: the model's main file; absolute.
        reference: OpenFace's reference shape, that it aligns to; None: not where it is usually installed.
        identity: sha256 over the program, the reference, and everything in the model directory.
    """

    program: Path
    model: Path
    reference: Path | None
    identity: str


@contextmanager
def _readable() -> Iterator[None]:
    """An unreadable place is a sentence."""
    try:
        yield
    except OSError as error:
        raise FerPrepError(
            f"{error.filename}: OpenFace's file cannot be read ({error.strerror}); mend its permissions"
        ) from error


@_readable()
def find_program(named: Path | None) -> Path | None:
    """The program: as named, else $OPENFACE_BIN, else on the PATH; None if it is not installed.

    Raises:
        UsageError: a place was named, and no program is there.
        FerPrepError: the place cannot be read.
    """
    from_environment = os.environ.get("OPENFACE_BIN")
    place = named or (Path(from_environment) if from_environment else None)
    if place is None:
        on_path = shutil.which(PROGRAM)
        return Path(on_path).resolve() if on_path else None
    asked_by = "--openface" if named else "$OPENFACE_BIN"
    for candidate in (place, *(place / name for name in PLACES)):
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate.resolve()
    found = "is no program" if place.is_file() else f"holds no program {PROGRAM}" if place.is_dir() else "is not there"
    raise UsageError(f"{place} {found}; name OpenFace's {PROGRAM}, or the directory that it is in, with {asked_by}")


@_readable()
def with_model(program: Path, landmark_model: LandmarkModel) -> OpenFace:
    """The program with one of its landmark models.

    Raises:
        FerPrepError: the model, or the weights of CE-CLM, are not beside the program, or a file cannot be read.
    """
    home = program.parent / "model"
    model = home / f"main_{landmark_model}_general.txt"
    if not model.is_file():
        raise FerPrepError(
            f"{model} is not there: OpenFace at {program} has no landmark model {landmark_model!r} beside it; "
            "put OpenFace's directory `model` beside the program, or choose another --landmark-model"
        )
    if landmark_model == "ceclm" and not any(home.glob(CEN_WEIGHTS)):
        raise FerPrepError(
            f"{home / CEN_WEIGHTS} are not there: the weights of CE-CLM are a download of their own; "
            "run OpenFace's download_models.sh, or use --landmark-model clnf, which needs none"
        )
    shape = program.parent / REFERENCE
    reference = shape if shape.is_file() else None
    if reference is not None:
        read_reference(reference)
    models = sorted(path for path in home.rglob("*") if path.is_file())
    files = [program, *([reference] if reference else []), *models]
    listing = "".join(f"{path.relative_to(program.parent).as_posix()} {file_sha256(path)}\n" for path in files)
    return OpenFace(program, model, reference, hashlib.sha256(listing.encode()).hexdigest())
