"""Recipes: everything that decides the bytes, and nothing misspelt."""

import tomllib
from pathlib import Path

import pytest

from fer_prep.errors import UsageError
from fer_prep.recipe import FarnebackRecipe, Recipe, Tvl1Recipe, changed_fields, load_recipe, recipe_text


def test_the_shipped_manifest_recipe_spells_out_every_default() -> None:
    assert load_recipe(None, "manifest", {}) == Recipe(corpus="manifest")
    values = tomllib.loads(recipe_text("manifest"))
    optional = {"select", "classes"}
    assert set(values) | optional == set(Recipe.model_fields)
    for section in ("align", "flow", "clips", "storage"):
        assert set(values[section]) == set(getattr(Recipe(corpus="x"), section).model_dump())


@pytest.mark.parametrize(
    ("corpus", "length", "stride", "groups"),
    [
        ("enterface", 16, 8, "corpus"), ("ckplus", 8, 2, 10), ("ravdess", 16, 8, "corpus"),
        ("cremad", 16, 8, "corpus"), ("sample", 16, 8, 5),
    ],
)  # fmt: skip
def test_every_corpus_has_a_recipe_of_its_own(corpus: str, length: int, stride: int, groups: int | str) -> None:
    recipe = load_recipe(None, corpus, {})
    assert (recipe.corpus, recipe.clips.length, recipe.clips.stride, recipe.groups) == (corpus, length, stride, groups)
    assert recipe.align == Recipe(corpus=corpus).align


def test_defaults_are_the_papers_clips_and_flow() -> None:
    recipe = Recipe(corpus="manifest")
    assert (recipe.clips.length, recipe.clips.stride) == (16, 8)
    assert recipe.flow.model_dump(exclude={"backend"}) == {
        "pyr_scale": 0.5, "levels": 3, "winsize": 15, "iterations": 3, "poly_n": 5, "poly_sigma": 1.2, "flags": 0,
    }  # fmt: skip
    assert recipe.align.face_size == 112


def test_options_override_single_keys_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("groups = 3\n[clips]\nlength = 8\nstride = 2\n")
    recipe = load_recipe(path, "manifest", {"clips.stride": 4, "groups": None, "align.face_size": 96})
    assert (recipe.clips.length, recipe.clips.stride, recipe.groups, recipe.align.face_size) == (8, 4, 3, 96)


def test_what_a_file_does_not_say_is_as_in_the_shipped_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[align]\nface_size = 96\n[clips]\nstride = 4\n", encoding="utf-8-sig")
    shipped = load_recipe(None, "ckplus", {}).model_dump()
    mine = load_recipe(path, "ckplus", {}).model_dump()
    assert changed_fields(shipped, mine) == ["align.face_size: 112 -> 96", "clips.stride: 2 -> 4"]


@pytest.mark.parametrize("corpus", ["manifest", "enterface"])
def test_another_flow_leaves_nothing_of_the_shipped_ones_parameters(tmp_path: Path, corpus: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[flow]\nbackend = "dis"\n')
    assert load_recipe(path, corpus, {}).flow.model_dump() == {"backend": "dis", "preset": "medium"}
    path.write_text('[flow]\nbackend = "tvl1"\nwarps = 2\n')
    flow = load_recipe(path, corpus, {}).flow
    assert flow == Tvl1Recipe(warps=2)
    assert Recipe.model_validate_json(load_recipe(path, corpus, {}).model_dump_json()).flow == flow


@pytest.mark.parametrize("corpus", ["manifest", "enterface"])
@pytest.mark.parametrize("named", ['backend = "farneback"\n', ""])
def test_parameters_without_a_backend_are_the_papers_flows(tmp_path: Path, corpus: str, named: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"[flow]\n{named}winsize = 9\n")
    assert load_recipe(path, corpus, {}).flow == FarnebackRecipe(winsize=9)


def test_equal_choices_are_equal_recipes() -> None:
    a, b = (
        load_recipe(None, "cremad", {"classes": classes, "include": include})
        for classes, include in (
            ((" anger", "fear "), ("x", "known-bad", "x")),
            (("anger", "fear"), ("known-bad", "x")),
        )
    )
    assert a == b


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[clips]\nlenght = 8\n", "clips.lenght is no key of a recipe; allowed here: length, stride, short"),
        ("[clip]\nlength = 8\n", "clip is no key of a recipe; allowed here: corpus, select, include"),
        ("[clips]\nlength = 'long'\n", "clips.length = 'long': .*integer"),
        ("[clips]\nlength = 0\n", "clips.length = 0: .*greater than or equal to 1"),
        ("[align]\nbackend = 'dlib'\n", "align.backend = 'dlib': .*'mesh'"),
        ("corpus = 'sample'\n", "is a recipe for the corpus 'sample', but --dataset is 'manifest'"),
        ("align = 5\n", "align = 5: "),
        ("[flow]\nflags = -1\n", "flow.flags = -1: .*0 or 256"),
        ("[flow]\npoly_sigma = inf\n", "flow.poly_sigma = inf: .*finite"),
        ("[clips\n", "is not valid TOML"),
        ("groups = 0\n", 'groups = 0: a number from 1 to 1000, "subject" or "corpus" was expected'),
        ("groups = true\n", "groups = True: a number from 1 to 1000"),
        ("groups = 'speaker'\n", "groups = 'speaker': a number from 1 to 1000"),
        ("classes = 'anger'\n", "classes = 'anger': a list of names"),
        ("include = [1]\n", r"include = \[1\]: a list of names"),
        ("classes = []\n", r"classes = \[\]: the list is empty; leave the key out"),
        ('classes = ["a\\nb"]\n', "a name is empty or has control characters"),
        ("clips = 3\n", r"clips = 3: a section \[clips\] was expected"),
        ("image_fps = 'fast'\n", "image_fps = 'fast': .*number"),
        ("[flow]\nbackend = 'lk'\n", "flow.backend = 'lk': 'farneback', 'dis' or 'tvl1' was expected$"),
        ("[flow]\nbackend = 3\n", "flow.backend = 3: 'farneback', 'dis' or 'tvl1' was expected$"),
        ("flow = 'dis'\n", r"flow = 'dis': a section \[flow\] was expected$"),
        (
            "[flow]\nbackend = 'dis'\nwinsize = 9\n",
            "flow.winsize is no key of the flow 'dis'; allowed here: backend, pr",
        ),
        (
            "[flow]\npreset = 'fast'\n",
            "flow.preset is no key of the flow 'farneback'; allowed here: backend, pyr_scale",
        ),
        ("[flow]\nbackend = 'dis'\npreset = 'slow'\n", "flow.preset = 'slow': .*'ultrafast', 'fast' or 'medium'$"),
        ("[flow]\nbackend = 'tvl1'\ntau = 0\n", "flow.tau = 0: .*greater than 0$"),
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
