"""The container image that this process runs in, as far as it can be known from the inside (docs/image.md).

An image cannot hold its own digest: whoever starts it says it, or the engine that runs it.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fer_prep.errors import UsageError

NAME, DIGEST = "FER_IMAGE", "FER_IMAGE_DIGEST"  # the image sets the first, the command that runs it the second
ENGINE = Path("/run/.containerenv")  # by Podman, if --privileged, and by Buildah
_LONGEST_FILE = 10_000


@dataclass(frozen=True)
class Image:
    """A container image.

    Attributes:
        name: with its version, as docker/Dockerfile calls it.
        digest: "sha256:" and 64 hex digits, or None where nobody said it.
    """

    name: str
    digest: str | None

    @property
    def says(self) -> str:
        """One sentence for whoever builds."""
        if self.digest:
            return f"The index names the image {self.name}, {self.digest}."
        return (
            f"The index names the image {self.name} without its digest, which is not known inside of it; "
            f"give it with the environment variable {DIGEST}."
        )


def running_image(environment: Mapping[str, str] = os.environ, engine: Path | None = None) -> Image | None:
    """The image that this runs in; None where it is none of docker/Dockerfile.

    Args:
        engine: what the engine notes in the container; default: `ENGINE`.

    Raises:
        UsageError: `FER_IMAGE_DIGEST` is no digest.
    """
    name = environment.get(NAME)
    if not name:
        return None
    return Image(name, _said(environment.get(DIGEST, "")) or _noted(engine or ENGINE))


def _said(text: str) -> str | None:
    """A digest as `docker image inspect` prints it, also behind a name: NAME@sha256:…"""
    if not text:  # compose hands on variables that are not set as empty ones
        return None
    digest = re.fullmatch(r"(?:[^@\s]+@)?(sha256:[0-9a-f]{64})", text)
    if digest is None:
        raise UsageError(
            f"${DIGEST} is {text!r}, expected sha256: and 64 hex digits, as printed by docker image inspect --format "
            "'{{.Id}}' IMAGE; correct it, or leave it out"
        )
    return digest[1]


def _noted(engine: Path) -> str | None:
    """What the engine noted in the container."""
    try:
        with engine.open(encoding="utf-8", errors="replace") as file:
            found = re.search(r'^imageid="(?:sha256:)?([0-9a-f]{64})"$', file.read(_LONGEST_FILE), re.MULTILINE)
    except OSError:
        return None
    return f"sha256:{found[1]}" if found else None
