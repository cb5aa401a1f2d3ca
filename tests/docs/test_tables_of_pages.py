"""Tables of docs/corpora.md and docs/alignment.md that repeat what the code says, say the same."""

import re
import tomllib

import pytest
from pages import DOCS, plain, rows

from fer_prep.corpora import ADAPTERS, NAMES, ckplus, cremad, enterface, ravdess
from fer_prep.recipe import DisRecipe, FarnebackRecipe, Tvl1Recipe, load_recipe

CLASSES = {
    "enterface": enterface.CLASSES,
    "ckplus": ckplus.EMOTIONS[1:],  # the page says when there is a neutral one
    "ravdess": ravdess.CLASSES,
    "cremad": cremad.CLASSES,
}
CORPORA = {plain(row[0]): [plain(cell) for cell in row] for row in rows(DOCS / "corpora.md", below="Corpora")}
FLOWS = {plain(row[0]).strip('"'): row for row in rows(DOCS / "alignment.md", below="Flow")}


def test_every_corpus_has_a_row() -> None:
    assert set(CORPORA) == set(NAMES)
    for name, adapter in ADAPTERS.items():
        assert CORPORA[name][1] == adapter.title


@pytest.mark.parametrize("name", CLASSES)
def test_classes_stand_in_their_order(name: str) -> None:
    assert CORPORA[name][3].split(", ") == list(CLASSES[name])


@pytest.mark.parametrize("name", NAMES)
def test_clips_are_those_of_the_recipe(name: str) -> None:
    clips = load_recipe(None, name, {}).clips
    assert CORPORA[name][5] == f"{clips.length} by {clips.stride}"


@pytest.mark.parametrize("recipe", [FarnebackRecipe(), DisRecipe(), Tvl1Recipe()], ids=lambda recipe: recipe.backend)
def test_keys_of_a_flow_and_their_defaults(recipe: FarnebackRecipe | DisRecipe | Tvl1Recipe) -> None:
    text = plain(FLOWS[recipe.backend][2])
    said = {
        name: tomllib.loads(f"value = {value}")["value"]
        for name, value in re.findall(r'([a-z_]+) ("?\w[\w.]*"?)(?=[,; (]|$)', text.replace("(OpenCV's lambda)", ""))
    }
    assert said == recipe.model_dump(exclude={"backend"})
