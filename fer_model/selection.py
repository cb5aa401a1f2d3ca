"""The words of --fold and --variant, as in `1,3`, `all` and `a,temporal`, to what they choose."""

from collections.abc import Sequence

from fer_model.config import Variant, variant_from_name

ALL = "all"


def chosen_folds(text: str) -> tuple[int, ...] | None:
    """The folds of `3`, `1,3` or `all`, each once; None: all that the shards have.

    Raises:
        ValueError: it is none of these.
    """
    if text == ALL:
        return None
    words = text.split(",")
    if not all(word.strip().isascii() and word.strip().isdigit() and int(word) >= 1 for word in words):
        raise ValueError(f"{text!r} is no number from 1, no list such as 1,3, and not {ALL}.")
    return tuple(dict.fromkeys(map(int, words)))


def chosen_variants(text: str) -> tuple[Variant, ...]:
    """The variants of `d`, `enhanced`, `a,temporal` or `all`, each once.

    Raises:
        ValueError: it is none of these.
    """
    if text == ALL:
        return tuple(Variant)
    try:
        return tuple(dict.fromkeys(variant_from_name(word.strip()) for word in text.split(",")))
    except ValueError as error:
        words = ", ".join(Variant)
        raise ValueError(f"{text!r} is no variant: expected a to d, {words}, a list such as a,d, or {ALL}.") from error


def in_words(numbers: Sequence[int]) -> str:
    """Numbers as people write them: `1 to 5`, `1, 3`."""
    if len(numbers) > 2 and list(numbers) == list(range(numbers[0], numbers[0] + len(numbers))):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))
