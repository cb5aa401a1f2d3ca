"""What a shard says of itself in its attributes, against what the index says of it."""

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from pydantic import ValidationError

from fer_prep.flow import FLOW_SCALE
from fer_prep.recipe import Recipe, changed_fields
from fer_prep.stored import FORMAT, VERSION
from fer_prep.verify.index import Entry, Index
from fer_prep.verify.words import brief, strict_json

LARGEST_ATTRIBUTE = 1 << 20  # bytes


def check_attributes(file: h5py.File, entry: Entry, index: Index) -> Iterator[str]:
    """The root's attributes against the index."""
    expected: dict[str, str | int] = {
        "key": entry.key, "format": FORMAT, "version": VERSION, "corpus": index.corpus, "subject": entry.subject,
        "group": entry.group, "aligner": index.aligner, "clip_length": index.clip.length,
        "clip_stride": index.clip.stride,
    }  # fmt: skip
    for name, value in expected.items():
        if name not in file.attrs:
            yield "is not finished: it has no key, which is written last" if name == "key" else f"has no {name}"
            continue
        try:
            found = attribute(file, name, type(value))
        except ValueError as error:
            yield str(error)
            continue
        if found != value:
            yield f"{name} is {brief(found)}; index.json says {brief(value)}"
    for name in ("classes", "versions", "recipe"):
        yield from _check_json(file, name, index)


def _check_json(file: h5py.File, name: str, index: Index) -> Iterator[str]:
    if name not in file.attrs:
        yield f"has no {name}"
        return
    try:
        value = strict_json(attribute(file, name, str))
        found: Any = Recipe.model_validate(value) if name == "recipe" else value
    except ValidationError as error:
        yield f"its recipe is none of this fer-prep's: {error.errors()[0]['msg']}"
        return
    except ValueError as error:
        yield f"{name} cannot be read: {error}"
        return
    expected = getattr(index, name)
    if found == expected:
        return
    if name == "recipe":
        changes = changed_fields(expected.model_dump(mode="json"), found.model_dump(mode="json"))
        yield f"was made by another recipe than index.json says: {'; '.join(changes)}"
    elif isinstance(found, dict) and isinstance(expected, dict):
        yield f"was made by other tools than index.json says: {'; '.join(changed_fields(expected, found)[:4])}"
    else:
        yield f"{name} is {brief(found)}; index.json says {brief(expected)}"


def attribute(item: h5py.Group | h5py.Dataset, name: str, kind: type[Any]) -> Any:
    """The value of a scalar attribute, text, whole number or float.

    Raises:
        ValueError: it is something else, or claims to be very large.
    """
    stored = item.attrs.get_id(name)
    words = {str: "a text", int: "a whole number of 64 bits", float: "a float of 64 bits"}[kind]
    if stored.shape != () or stored.get_storage_size() > LARGEST_ATTRIBUTE:
        raise ValueError(f"{name} is a large or composed value; {words} was expected")
    fits = (
        h5py.check_string_dtype(stored.dtype) is not None
        if kind is str
        else stored.dtype == {int: np.dtype("<i8"), float: np.dtype("<f8")}[kind]
    )
    if not fits:
        raise ValueError(f"{name} is of type {stored.dtype}; {words} was expected")
    value = item.attrs[name]
    if kind is str:
        return value.decode("utf-8") if isinstance(value, bytes) else str(value)
    return value.item()


def check_flow_attributes(file: h5py.File) -> Iterator[str]:
    """`scale` and `saturated` of the flow."""
    flow = file["frames/flow"]
    for name, kind in (("scale", float), ("saturated", int)):
        if name not in flow.attrs:
            yield f"flow has no attribute {name}"
            continue
        try:
            value = attribute(flow, name, kind)
        except ValueError as error:
            yield f"flow: {error}"
            continue
        if name == "scale" and value != FLOW_SCALE:
            yield f"the scale of the flow is {value}; expected {FLOW_SCALE}"
