"""The tools that made the bytes: names and versions for the index and for the keys of resuming."""

from functools import cache
from typing import Any

import av
import cv2
import numpy as np

from fer_prep import __version__
from fer_prep.align.mesh import MODELS
from fer_prep.align.openface.program import OpenFace
from fer_prep.stored import file_sha256


def tool_versions(openface: OpenFace | None = None) -> dict[str, Any]:
    """Tool -> version; "models" -> {file: sha256}; "openface" -> hash over program and models, where it aligns."""
    return _own_versions() | ({"openface": openface.identity} if openface else {})


@cache
def _own_versions() -> dict[str, Any]:
    return {
        "fer_prep": __version__,
        "opencv": cv2.__version__,
        "av": av.__version__,
        "numpy": np.__version__,
        "models": {path.name: file_sha256(path) for path in sorted(MODELS.glob("*.tflite"))},
    }
