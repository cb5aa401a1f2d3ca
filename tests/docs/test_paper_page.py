"""docs/paper.md says what the code does: lines of equations are in the functions named, defaults are the defaults."""

import ast
import re
import tomllib
from typing import Any

import pytest
from code_page import lines_of
from markdown_it.token import Token
from pages import DOCS, plain, rows

from fer_model.build import build_network
from fer_model.config import PRESETS
from fer_model.network import n_parameters
from fer_prep.recipe import load_recipe

PAGE = DOCS / "paper.md"
DEFAULT = re.compile(r"(?P<name>[\w.]+) = (?P<value>.+)")
RECIPES = ("enterface", "ckplus")


def spans(cell: Token) -> list[str]:
    return [child.content for child in cell.children or [] if child.type == "code_inline"]


def place(cell: Token) -> str:
    (link,) = [child for child in cell.children or [] if child.type == "link_open"]
    return str(link.attrs["href"])


EQUATIONS = rows(PAGE, below="Equations")
PARAMETERS = rows(PAGE, below="Parameters of preset paper")


@pytest.mark.parametrize("row", [row for row in EQUATIONS if len(row) == 3 and "../" in str(row[1].children)], ids=str)
def test_lines_of_equations_are_in_the_code(row: list[Token]) -> None:
    (name,) = spans(row[1])
    _, source = lines_of(name, (DOCS / place(row[1])).resolve())
    quoted = spans(row[2])
    assert quoted
    for line in quoted:
        assert line in source


def default_of(name: str, recipe: str) -> Any:
    """Of the training, or of a recipe."""
    if "." not in name and name != "groups":
        return getattr(PRESETS["paper"], name)
    value: Any = load_recipe(None, recipe, {}).model_dump()
    for key in name.split("."):
        value = value[key]
    return value


def test_defaults_are_those_of_the_code() -> None:
    checked = 0
    for row in PARAMETERS:
        recipe = next((name for name in RECIPES if name in spans(row[1])), "enterface")
        for match in filter(None, map(DEFAULT.fullmatch, spans(row[1]))):
            if "." in match["name"] or match["name"] == "groups":
                value = tomllib.loads(f"value = {match['value']}")["value"]
            else:
                value = ast.literal_eval(match["value"])
            assert default_of(match["name"], recipe) == value, match[0]
            checked += 1
    assert checked > 30


def test_every_parameter_of_the_paper_preset_is_on_the_page() -> None:
    named = {match["name"] for row in PARAMETERS for match in map(DEFAULT.fullmatch, spans(row[1])) if match}
    of_other_models = {"preset", "model", "variant", "depths", "blocks", "svm_c", "seed", "weights_sha256"}
    assert {*vars(PRESETS["paper"])} - of_other_models <= named


def test_the_table_of_both_presets_is_that_of_the_code() -> None:
    table = rows(PAGE, below="Preset small is not the paper's network")
    said = {plain(row[0]): [plain(cell) for cell in row[1:]] for row in table}
    for column, preset in enumerate(("paper", "small")):
        config = PRESETS[preset]
        numbers = {
            "hidden channels": config.channels,
            "kernels": config.kernels,
            "groups of the GroupNorm": (config.norm_groups,),
            "fully connected": config.hidden_features,
            "batch, epochs": (config.batch_size, config.epochs),
        }
        assert {name: said[name][column] for name in numbers} == {
            name: ", ".join(map(str, values)) for name, values in numbers.items()
        }
        assert said["input"][column].startswith(f"{config.input_size}×{config.input_size}")
        parameters = n_parameters(build_network(config, n_classes=6))
        assert said["parameters, variant (d), six classes"][column] == f"{parameters:,}"
