"""Which aligner a corpus gets: OpenFace if it is there and works, else the embedded mesh, and why."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from fer_prep.align.openface.probe import Trial, try_out
from fer_prep.align.openface.program import OpenFace, find_program, with_model
from fer_prep.errors import FerPrepError, UsageError
from fer_prep.recipe import AlignRecipe


@dataclass(frozen=True)
class Aligner:
    """A decision.

    Attributes:
        recipe: `backend` is "mesh" or "openface", never "auto".
        openface: set with the backend "openface".
        says: a sentence for the user.
        problem: why an OpenFace that is there is not taken; else empty.
    """

    recipe: AlignRecipe
    openface: OpenFace | None
    trial: Trial | None
    says: str
    problem: str = ""


def choose_aligner(recipe: AlignRecipe, named: Path | None = None) -> Aligner:
    """Find OpenFace if it is wanted, and try it.

    Args:
        named: where it is; None: $OPENFACE_BIN, else the PATH.

    Raises:
        UsageError: a place was named where no OpenFace is, or one was named for the mesh.
        FerPrepError: OpenFace is asked for and does not work.
    """
    if recipe.backend == "mesh":
        if named is not None:
            raise UsageError("--openface goes with --aligner openface or auto; the embedded aligner needs none")
        return _mesh(recipe, "Faces are aligned by the embedded mesh.")
    program = find_program(named)
    if program is None:
        if recipe.backend == "auto":
            return _mesh(recipe, "Faces are aligned by the embedded mesh; OpenFace is not installed.")
        raise FerPrepError(
            "OpenFace is not installed: no FeatureExtraction is on the PATH; name it with --openface or "
            "$OPENFACE_BIN, or use --aligner mesh"
        )
    try:
        openface = with_model(program, recipe.landmark_model)
        trial = try_out(openface)
    except FerPrepError as error:
        # who names a program wants it; what is only found on the PATH may be broken
        if recipe.backend == "openface" or named is not None or os.environ.get("OPENFACE_BIN"):
            raise
        says = f"Faces are aligned by the embedded mesh, for OpenFace does not work: {error}"
        return replace(_mesh(recipe, says), problem=str(error))
    return Aligner(
        recipe.model_copy(update={"backend": "openface"}), openface, trial,
        f"Faces are aligned by OpenFace {trial.dialect} ({recipe.landmark_model}) at {program}, "
        f"which starts in {trial.startup_s:.1f} s.",
    )  # fmt: skip


def _mesh(recipe: AlignRecipe, says: str) -> Aligner:
    # what is of OpenFace decides nothing here, and must not part equal shards
    defaults = AlignRecipe()
    of_openface = {name: getattr(defaults, name) for name in ("landmark_model", "mask", "min_confidence")}
    return Aligner(recipe.model_copy(update={"backend": "mesh", **of_openface}), None, None, says)
