"""The recipe: every parameter that decides the bytes of the shards, and nothing else."""

import tomllib
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from fer_prep.errors import UsageError


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


FLOW = "farneback"  # the paper's
LandmarkModel = Literal["ceclm", "clnf", "clm"]


def _check_groups(value: Any) -> Any:
    if value in ("corpus", "subject") or (type(value) is int and 1 <= value <= 1000):
        return value
    raise ValueError('a number from 1 to 1000, "subject" or "corpus" was expected')


def _check_names(value: Any) -> tuple[str, ...]:
    """Names without what only a keyboard put around them: equal choices are equal recipes."""
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise ValueError('a list of names, such as ["a", "b"], was expected')
    names = tuple(name.strip() for name in value)
    if not all(name and name.isprintable() for name in names):
        raise ValueError("a name is empty or has control characters")
    return names


def _check_classes(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not (names := _check_names(value)):
        raise ValueError("the list is empty; leave the key out to take all classes")
    return names


def _check_kinds(value: Any) -> tuple[str, ...]:
    return tuple(sorted(set(_check_names(value))))


Groups = Annotated[int | str, BeforeValidator(_check_groups)]
# TOML and JSON have lists; which is why these are not strict
Classes = Annotated[tuple[str, ...] | None, Field(strict=False), BeforeValidator(_check_classes)]
Kinds = Annotated[tuple[str, ...], Field(strict=False), BeforeValidator(_check_kinds)]


class AlignRecipe(_Section):
    """Faces out of frames.

    Attributes:
        backend: the aligner; "auto": OpenFace if it works, else the embedded mesh. Shards never say "auto".
        face_size: side of the aligned face, pixels.
        max_gap_frames: gaps up to this length show a face: cut out with an interpolated transform (mesh), or the
            nearer one (OpenFace); longer ones stay black.
        min_presence: of the mesh; below this confidence a frame counts as having no face.
        landmark_model: of OpenFace.
        mask: of OpenFace; what lies outside the face is black.
        min_confidence: of OpenFace; below this a frame counts as having no face.
    """

    backend: Literal["auto", "mesh", "openface"] = "auto"
    face_size: int = Field(default=112, ge=16, le=1024)
    max_gap_frames: int = Field(default=5, ge=0)
    min_presence: float = Field(default=0.5, ge=0, le=1)
    landmark_model: LandmarkModel = "ceclm"
    mask: bool = True
    min_confidence: float = Field(default=0.725, ge=0, le=1)


class FarnebackRecipe(_Section):
    """Farnebäck's optical flow on the aligned grey faces; OpenCV's parameters by OpenCV's names."""

    backend: Literal["farneback"] = "farneback"
    pyr_scale: float = Field(default=0.5, gt=0, lt=1)
    levels: int = Field(default=3, ge=1)
    winsize: int = Field(default=15, ge=1)
    iterations: int = Field(default=3, ge=1)
    poly_n: Literal[5, 7] = 5
    poly_sigma: float = Field(default=1.2, gt=0)
    flags: Literal[0, 256] = 0


class DisRecipe(_Section):
    """Dense inverse search (Kroeger et al. 2016), by one of OpenCV's presets."""

    backend: Literal["dis"] = "dis"
    preset: Literal["ultrafast", "fast", "medium"] = "medium"


class Tvl1Recipe(_Section):
    """TV-L1 flow (Zach et al. 2007); OpenCV's parameters and defaults.

    Attributes:
        tau: time step.
        attachment: weight of the images against smoothness; OpenCV's `lambda`.
        theta: tightness.
        nscales, warps: images of the pyramid, and warps on each.
        epsilon: change at which the iterations end before their time.
        iterations, outer_iterations: OpenCV's inner ones, and how often a median filter comes between them.
    """

    backend: Literal["tvl1"] = "tvl1"
    tau: float = Field(default=0.25, gt=0, le=0.25)
    attachment: float = Field(default=0.15, gt=0)
    theta: float = Field(default=0.3, gt=0)
    nscales: int = Field(default=5, ge=1)
    warps: int = Field(default=5, ge=1)
    epsilon: float = Field(default=0.01, gt=0)
    iterations: int = Field(default=30, ge=1)
    outer_iterations: int = Field(default=10, ge=1)


FlowRecipe: TypeAlias = FarnebackRecipe | DisRecipe | Tvl1Recipe
_FLOWS: dict[str, type[_Section]] = {"farneback": FarnebackRecipe, "dis": DisRecipe, "tvl1": Tvl1Recipe}


def _name_flow(value: Any) -> Any:
    """A section that names no backend is the paper's."""
    return {"backend": FLOW} | value if isinstance(value, dict) else value


class ClipRecipe(_Section):
    """Windows over a face track.

    Attributes:
        length, stride: frames; a clip is held in memory, so its length has a limit.
        short: a recording shorter than a clip is padded by its last frame, or dropped.
        tail: the frames after the last whole clip are dropped, or covered by one clip moved back to fit.
        min_detected: least share of frames with a face; clips below are left out.
    """

    length: int = Field(default=16, ge=1, le=4096)
    stride: int = Field(default=8, ge=1)
    short: Literal["pad", "drop"] = "pad"
    tail: Literal["drop", "shift"] = "drop"
    min_detected: float = Field(default=0.75, ge=0, le=1)


class StorageRecipe(_Section):
    """How pixels lie on disk; changes bytes, not pixels.

    Attributes:
        chunk_kib: images and flow are compressed and read in chunks of whole frames: as many, by powers of two, as
            this holds, at least one and at most 64. Small chunks are read quickly at any first frame of a clip.
    """

    filter: Literal["bitshuffle-lz4", "gzip", "none"] = "bitshuffle-lz4"
    chunk_kib: int = Field(default=128, ge=1, le=16384)


class Recipe(_Section):
    """Everything that decides the output bytes, besides the input and the tool versions.

    Attributes:
        corpus: name of the corpus adapter.
        select: glob over files relative to the root, and over recording ids; None: all recordings.
        include: kinds of recordings that the corpus' adapter leaves out unless asked.
        classes: classes to keep, drop or merge, in the notation of `--classes`; None: the corpus' own.
        groups: a number: subjects are dealt into so many groups (fewer if there are fewer subjects); "subject":
            everyone is a group (leave one subject out); "corpus": the corpus' own groups, else five dealt out.
        image_fps: frames per second of image sequences, which say nothing of it themselves; 0: unknown.
    """

    corpus: str
    select: str | None = None
    include: Kinds = ()
    classes: Classes = None
    groups: Groups = "corpus"
    image_fps: float = Field(default=0.0, ge=0)
    align: AlignRecipe = AlignRecipe()
    flow: Annotated[FlowRecipe, Field(discriminator="backend"), BeforeValidator(_name_flow)] = FarnebackRecipe()
    clips: ClipRecipe = ClipRecipe()
    storage: StorageRecipe = StorageRecipe()


def load_recipe(path: Path | None, corpus: str, overrides: dict[str, Any]) -> Recipe:
    """The recipe shipped for the corpus; what a TOML file says differently; then the overrides on top.

    Args:
        overrides: dotted key -> value, as in {"clips.length": 8}; None values are left alone.

    Raises:
        UsageError: the file is missing or no TOML, or a key or value is not allowed.
    """
    source = path if path is not None else _shipped(corpus)
    values = _read_toml(source)
    if path is not None:
        values = _laid_over(_read_toml(_shipped(corpus)), values)
    if values.setdefault("corpus", corpus) != corpus:
        raise UsageError(
            f"{source} is a recipe for the corpus {values['corpus']!r}, but --dataset is {corpus!r}; use one of them"
        )
    for key, value in overrides.items():
        if value is not None:
            _put(values, key.split("."), value)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise UsageError(f"{source}: {_first_complaint(error)}") from error


def changed_fields(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Sentences such as "clips.length: 16 -> 8", for every field that differs between two dumped recipes."""
    changes: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            changes += changed_fields(before, after, f"{prefix}{key}.")
        elif before != after:
            changes.append(f"{prefix}{key}: {before} -> {after}")
    return changes


def recipe_text(corpus: str) -> str:
    """The recipe shipped for a corpus, with its comments."""
    return _shipped(corpus).read_text(encoding="utf-8")


def _shipped(corpus: str) -> Path:
    return Path(str(files("fer_prep"))) / "pipelines" / f"{corpus}.toml"


_BEGIN = "give --recipe a TOML file; fer-prep recipe DATASET prints one to begin with"


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path}: recipe cannot be read ({error.strerror}); {_BEGIN}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: recipe is not valid TOML ({error}); {_BEGIN}") from error


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """What is not said above stays as below, in sections too; of the parameters of another flow nothing does."""
    both = below | above
    for name in below.keys() & above.keys():
        lower, upper = below[name], above[name]
        if isinstance(lower, dict) and isinstance(upper, dict):
            flow = lower.get("backend", FLOW)
            other_flow = name == "flow" and upper.get("backend", flow) != flow
            both[name] = upper if other_flow else lower | upper
    return both


def _put(values: dict[str, Any], keys: list[str], value: Any) -> None:
    *sections, last = keys
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            return  # no section at all: the validation says so
    values[last] = value


def _first_complaint(error: ValidationError) -> str:
    first = error.errors()[0]
    section, key = _section(first["loc"])
    if first["type"] == "extra_forbidden":
        owner = "a recipe" if not issubclass(section, tuple(_FLOWS.values())) else f"the flow {first['loc'][1]!r}"
        return f"{key} is no key of {owner}; allowed here: {', '.join(section.model_fields)}"
    if first["type"] == "union_tag_invalid":
        return f"{key}.backend = {first['input']['backend']!r}: {_either(_FLOWS)} was expected"
    if first["type"] in ("model_type", "model_attributes_type"):
        return f"{key} = {first['input']!r}: a section [{key}] was expected"
    return f"{key} = {first['input']!r}: {first['msg'].removeprefix('Value error, ')}"


def _section(location: tuple[int | str, ...]) -> tuple[type[BaseModel], str]:
    """The section that an error lies in, and its dotted key; pydantic names the flow's backend in between."""
    parts = [str(part) for part in location]
    if parts[0] == "flow" and len(parts) > 2:
        return _FLOWS[parts.pop(1)], ".".join(parts)
    model: type[BaseModel] = Recipe
    for part in parts[:-1]:
        annotation = model.model_fields[part].annotation
        assert isinstance(annotation, type)
        model = annotation
    return model, ".".join(parts)


def _either(names: Iterable[str]) -> str:
    *others, last = (repr(name) for name in names)
    return f"{', '.join(others)} or {last}"
