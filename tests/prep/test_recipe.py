"""Recipes: everything that decides the bytes, and nothing misspelt."""

from pathlib import Path

import pytest

from fer_prep.errors import UsageError
from fer_prep.recipe import Recipe, changed_fields, load_recipe


def test_the_shipped_sample_recipe_spells_out_every_default() -> None:
    assert load_recipe(None, "sample", {}) == Recipe(corpus="sample")


def test_defaults_are_the_papers_clips_and_flow() -> None:
    recipe = Recipe(corpus="manifest")
    assert (recipe.clips.length, recipe.clips.stride) == (16, 8)
    assert recipe.flow.model_dump(exclude={"backend"}) == {
        "pyr_scale": 0.5, "levels": 3, "winsize": 15, "iterations": 3, "poly_n": 5, "poly_sigma": 1.2, "flags": 0,
    }  # fmt: skip
    assert recipe.align.face_size == 112


def test_options_override_single_keys_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("n_groups = 3\n[clips]\nlength = 8\nstride = 2\n")
    recipe = load_recipe(path, "manifest", {"clips.stride": 4, "n_groups": None, "align.face_size": 96})
    assert (recipe.clips.length, recipe.clips.stride, recipe.n_groups, recipe.align.face_size) == (8, 4, 3, 96)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[clips]\nlenght = 8\n", "clips.lenght is no key of a recipe; allowed here: length, stride, short"),
        ("[clip]\nlength = 8\n", "clip is no key of a recipe; allowed here: corpus, select, n_groups"),
        ("[clips]\nlength = 'long'\n", "clips.length = 'long': .*integer"),
        ("[clips]\nlength = 0\n", "clips.length = 0: .*greater than or equal to 1"),
        ("[align]\nbackend = 'dlib'\n", "align.backend = 'dlib': .*'mesh'"),
        ("corpus = 'sample'\n", "is a recipe for the corpus 'sample', but --dataset is 'manifest'"),
        ("align = 5\n", "align = 5: "),
        ("[flow]\nflags = -1\n", "flow.flags = -1: .*0 or 256"),
        ("[flow]\npoly_sigma = inf\n", "flow.poly_sigma = inf: .*finite"),
        ("[clips\n", "is not valid TOML"),
    ],
)
def test_a_wrong_recipe_names_the_key_and_what_is_allowed(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=sentence) as caught:
        load_recipe(path, "manifest", {"align.face_size": None})
    assert str(path) in str(caught.value)


def test_a_missing_recipe_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"recipe cannot be read \(No such file"):
        load_recipe(tmp_path / "none.toml", "manifest", {})


def test_changes_between_recipes_are_named_field_by_field() -> None:
    old = Recipe(corpus="manifest").model_dump()
    new = load_recipe(None, "manifest", {"clips.length": 8, "select": "x/*"}).model_dump()
    assert changed_fields(old, new) == ["clips.length: 16 -> 8", "select: None -> x/*"]
    assert changed_fields(old, old) == []
