"""Where images are built, and what is missing where they cannot be."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from buildah import Buildah

PREP, TRAIN = "fer-convlstm-prep", "fer-convlstm-train"


@dataclass(frozen=True)
class Workshop:
    """Where images are built.

    Attributes:
        wheels: served to builds under `address`.
    """

    buildah: Buildah
    home: Path
    wheels: Path
    address: str


def lacks() -> str:
    """Why no image can be built here; empty if nothing is missing."""
    if sys.platform != "linux" or os.geteuid():
        return "images are built by root on Linux only"
    if missing := [name for name in ("buildah", "debootstrap") if not shutil.which(name)]:
        return f"{' and '.join(missing)} not installed (apt-get install buildah debootstrap)"
    if sys.version_info[:2] != (3, 11):
        return "wheels are fetched for bookworm's Python 3.11, with a Python 3.11"
    return ""
