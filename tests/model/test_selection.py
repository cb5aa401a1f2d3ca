"""The words of --fold, --model and --variant."""

import pytest

from fer_model.config import Model, Variant
from fer_model.errors import ArgumentError
from fer_model.experiments.selection import chosen_folds, chosen_models, chosen_networks, chosen_variants, in_words


@pytest.mark.parametrize(
    ("text", "folds"), [("3", (3,)), ("1,3", (1, 3)), ("3, 1,3", (3, 1)), ("10", (10,)), ("all", None)]
)
def test_folds_are_a_number_a_list_or_all(text: str, folds: tuple[int, ...] | None) -> None:
    assert chosen_folds(text) == folds


@pytest.mark.parametrize("text", ["", "0", "1,", "-1", "1-3", "one", "1,all", "²", "1.0", "ALL"])
def test_other_words_are_no_folds(text: str) -> None:
    with pytest.raises(ValueError, match="no number from 1, no list such as 1,3, and not all"):
        chosen_folds(text)


@pytest.mark.parametrize(
    ("text", "variants"),
    [
        ("d", (Variant.ENHANCED,)),
        ("temporal", (Variant.TEMPORAL,)),
        ("d,a", (Variant.ENHANCED, Variant.CONVLSTM)),
        ("a, convlstm,b", (Variant.CONVLSTM, Variant.SPATIAL)),
        ("all", tuple(Variant)),
    ],
)
def test_variants_are_letters_words_a_list_or_all(text: str, variants: tuple[Variant, ...]) -> None:
    assert chosen_variants(text) == variants


@pytest.mark.parametrize("text", ["", "e", "a,", "a;b", "A", "all,a"])
def test_other_words_are_no_variants(text: str) -> None:
    with pytest.raises(ValueError, match="is no variant: expected a to d, convlstm, spatial, temporal, enhanced"):
        chosen_variants(text)


@pytest.mark.parametrize(
    ("text", "models"),
    [("fan", (Model.FAN,)), ("r3d18, two-stream,r3d18", (Model.R3D18, Model.TWO_STREAM)), ("all", tuple(Model))],
)
def test_models_are_words_a_list_or_all(text: str, models: tuple[Model, ...]) -> None:
    assert chosen_models(text) == models


@pytest.mark.parametrize("text", ["", "enhanced", "fan,", "FAN"])
def test_other_words_are_no_models(text: str) -> None:
    with pytest.raises(ValueError, match="is no model: expected two-stream, cnn-lstm, fan, r3d18, lbp-top"):
        chosen_models(text)


def test_only_the_two_stream_network_comes_in_variants() -> None:
    chosen = chosen_networks([Model.FAN, Model.TWO_STREAM], [Variant.CONVLSTM, Variant.ENHANCED])
    assert [(c.model, c.variant) for c in chosen] == [
        ("fan", None), ("two-stream", "convlstm"), ("two-stream", "enhanced"),
    ]  # fmt: skip
    assert [c.variant for c in chosen_networks(list(Model)[:2], None)] == ["enhanced", None]
    with pytest.raises(ArgumentError, match="--variant convlstm: only two-stream has variants, not fan"):
        chosen_networks([Model.FAN], [Variant.CONVLSTM])


@pytest.mark.parametrize(
    ("numbers", "words"), [([1], "1"), ([1, 2], "1, 2"), ([2, 3, 4], "2 to 4"), ([1, 3, 4], "1, 3, 4")]
)
def test_numbers_in_a_row_are_written_as_a_range(numbers: list[int], words: str) -> None:
    assert in_words(numbers) == words
