"""What the packages import, also within functions, is what their extras install: no more, no less."""

import ast
import re
import sys
from importlib.metadata import packages_distributions

from sources import ROOT, project


def imported(package: str) -> set[str]:
    """The distributions that a package imports anywhere."""
    modules: set[str] = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add(str(node.module).split(".")[0])
    foreign = modules - set(sys.stdlib_module_names) - {package}
    known = packages_distributions()
    return {normal(known[module][0]) for module in foreign}


def declared(*extras: str) -> set[str]:
    """The distributions that are installed with the extras, by name; `dask[distributed]` is two."""
    table = project()
    lines = [*table["dependencies"], *(line for extra in extras for line in table["optional-dependencies"][extra])]
    return {normal(name) for line in lines for name in re.findall(r"[\w-]+", re.split("[<>=~!;]", line)[0])}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_fer_prep_imports_what_its_extra_installs() -> None:
    assert imported("fer_prep") == declared("prep")


def test_fer_model_imports_what_its_extras_install() -> None:
    """Without PyAV no film is written, and without onnxruntime no ONNX file is checked: both are said."""
    imported_by_torch = {"onnx", "tensorboard"}
    assert imported("fer_model") - {"av", "onnxruntime"} | imported_by_torch == declared("train", "export")


def test_every_dependency_has_an_exact_version() -> None:
    """Also of development; constraints.txt is what the tests ran with."""
    pins = {normal(line.split("==")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert declared(*project()["optional-dependencies"]) <= pins
