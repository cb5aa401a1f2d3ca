"""The words of --fold, --model and --variant, as in `1,3`, `all` and `a,temporal`, to what they choose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fer_model.config import Model, Variant, variant_from_name, variant_of

T = TypeVar("T")
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class NetworkChoice:
    """A model, and its variant if it has any."""

    model: Model
    variant: Variant | None


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


def chosen_models(text: str) -> tuple[Model, ...]:
    """The models of `fan`, `two-stream,fan` or `all`, each once.

    Raises:
        ValueError: it is none of these.
    """
    expected = f"expected {', '.join(Model)}, a list such as two-stream,fan, or {ALL}"
    return _chosen(text, tuple(Model), Model, otherwise=f"is no model: {expected}")


def chosen_networks(models: Sequence[Model], variants: Sequence[Variant] | None) -> tuple[NetworkChoice, ...]:
    """Every model once, two-stream once for each of the variants; None: its (d).

    Raises:
        ArgumentError: variants of models that have none.
    """
    if Model.TWO_STREAM not in models and variants is not None:
        variant_of(models[0], str(variants[0]))
    return tuple(
        NetworkChoice(model=model, variant=variant)
        for model in models
        for variant in (variants or (Variant.ENHANCED,) if model is Model.TWO_STREAM else (None,))
    )


def chosen_variants(text: str) -> tuple[Variant, ...]:
    """The variants of `d`, `enhanced`, `a,temporal` or `all`, each once.

    Raises:
        ValueError: it is none of these.
    """
    expected = f"expected a to d, {', '.join(Variant)}, a list such as a,d, or {ALL}"
    return _chosen(text, tuple(Variant), variant_from_name, otherwise=f"is no variant: {expected}")


def _chosen(text: str, everything: tuple[T, ...], named: Callable[[str], T], *, otherwise: str) -> tuple[T, ...]:
    """All, or what the words of a list name, each once."""
    if text == ALL:
        return everything
    try:
        return tuple(dict.fromkeys(named(word.strip()) for word in text.split(",")))
    except ValueError as error:
        raise ValueError(f"{text!r} {otherwise}.") from error


def in_words(numbers: Sequence[int]) -> str:
    """Numbers as people write them: `1 to 5`, `1, 3`."""
    if len(numbers) > 2 and list(numbers) == list(range(numbers[0], numbers[0] + len(numbers))):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))
