"""Whether the network of a run can be used on some shards: faces, flow, clips and classes must be those it learnt."""

from collections.abc import Iterator
from typing import Any

from fer_model.errors import ArgumentError
from fer_model.folds import check_face_size
from fer_model.index import Index
from fer_model.shards import Corpus
from fer_model.trained import Trained

WHICH_FRAMES = {"backend", "max_gap_frames", "min_presence", "min_confidence"}
"""Keys of `align` that leave a face as it is, once it is found; the backend is compared by itself, as it was used."""
OPENFACE_ONLY = {"landmark_model", "mask"}


def check_fits(trained: Trained, corpus: Corpus) -> None:
    """Refuse shards on which the network's output would mean nothing.

    Raises:
        ArgumentError: something differs; the message names each field, its value in the run and its value here.
    """
    found = list(differences(trained, corpus.index))
    if found:
        raise ArgumentError(
            f"{corpus.index.directory}: the model {trained.run.path} does not fit these shards: {'; '.join(found)}. "
            "Take another run, or build the shards with the recipe of this one, as fer-predict does with videos."
        )
    check_face_size(corpus, size=trained.config.input_size)


def differences(trained: Trained, index: Index) -> Iterator[str]:
    """Sentences such as "clip length is 16 in the run, 8 here"."""
    for name, there, here in _compared(trained, index):
        if there != here:
            yield f"{name} {_are(name)} {_shown(there)} in the run, {_shown(here)} here"


def _compared(trained: Trained, index: Index) -> Iterator[tuple[str, object, object]]:
    yield "classes", list(trained.classes), list(index.classes)
    yield "clip length", trained.clip_length, index.clip_length
    yield "aligner", trained.aligner, index.aligner
    there, here = _section(trained.recipe, "align"), _section(index.recipe, "align")
    ignored = WHICH_FRAMES | (OPENFACE_ONLY if trained.aligner != "openface" else set())
    for key in sorted((there.keys() | here.keys()) - ignored):
        yield f"align.{key}", there.get(key), here.get(key)
    there, here = _section(trained.recipe, "flow"), _section(index.recipe, "flow")
    if there.get("backend") != here.get("backend"):
        yield "flow.backend", there.get("backend"), here.get("backend")
        return
    for key in sorted(there.keys() | here.keys()):
        yield f"flow.{key}", there.get(key), here.get(key)


def _section(recipe: dict[str, Any], name: str) -> dict[str, Any]:
    section = recipe.get(name)
    return section if isinstance(section, dict) else {}


def _are(name: str) -> str:
    return "are" if name == "classes" else "is"


def _shown(value: object) -> str:
    if value is None:
        return "not stated"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
