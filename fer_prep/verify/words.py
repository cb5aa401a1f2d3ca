"""How sentences name what was found: JSON that is read without trust, rows, names."""

import json
import math
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from reprlib import Repr
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

NAMED = 3  # of many rows or names
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 80


def strict_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is no JSON (nor are NaN, infinite numbers and lone surrogates), is nested too deep, or an object
            has a key twice.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_without_repetition, parse_constant=_refuse_number, parse_float=_finite
        )
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    return value


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {brief(next(key for key in keys if keys.count(key) > 1))} twice in one object")
    return found


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"the number {text[:30]} is too large")
    return number


def brief(value: object) -> str:
    """A value as Python writes it, without control characters, the middle of a long one left out."""
    return _SHORT.repr(value)


def rows(mask_N: NDArray[np.bool_]) -> str:
    """The rows where a mask is true, in words: "3 to 7, 9"; of many ranges the first ones and the number of rows."""
    found = np.flatnonzero(mask_N)
    ranges = np.split(found, np.flatnonzero(np.diff(found) > 1) + 1)
    words = [f"{part[0]}" if len(part) == 1 else f"{part[0]} to {part[-1]}" for part in ranges[:NAMED]]
    return ", ".join(words) + (f" … ({len(found)} in all)" if len(ranges) > NAMED else "")


def names(texts: Sequence[str]) -> str:
    """Names between quotes; of many the first ones and how many more."""
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(map(brief, texts[:NAMED])) + more


def repeated(texts: Iterable[str]) -> list[str]:
    """The texts that are there more than once, in their order."""
    seen: dict[str, int] = {}
    for text in texts:
        seen[text] = seen.get(text, 0) + 1
    return [text for text, n in seen.items() if n > 1]


def hdf5_words(error: BaseException) -> str:
    """What HDF5 complains of, without the half that says what it was doing."""
    text = " ".join(str(error).split())
    inner = re.search(r"\((.*)\)$", text)
    found = (inner[1] if inner else text)[:200] or type(error).__name__
    if cut := re.search(r"truncated file: eof = (\d+).* stored_eof = (\d+)", found):
        return f"it is cut short: {int(cut[1]):,} of {int(cut[2]):,} bytes"
    for sign, words in (
        ("file signature not found", "its beginning is no HDF5 file's"),
        ("already open for write", "its writer was killed before it was finished"),
    ):
        if sign in found:
            return words
    return found


def first(sentences: Iterable[str], n: int) -> list[str]:
    """At most n of them."""
    return list(islice(sentences, n))
