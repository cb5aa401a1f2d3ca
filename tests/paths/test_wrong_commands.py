"""Whoever types something wrong is told what to do in a sentence, loses nothing, and sees no traceback."""

from pathlib import Path

import pytest
from wrong_commands import Wrong
from wrong_scene import make_programs, make_scene
from wrong_trial import ALL, CannotTryError, attempt


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_programs(tmp_path_factory.mktemp("programs") / "bin")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scene(tmp_path_factory.mktemp("untrained"), trained=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scene(tmp_path_factory.mktemp("trained"), trained=True)


def check(wrong: Wrong, *, scene: Path, programs: Path, home: Path) -> None:
    try:
        answer = attempt(wrong, scene=scene, programs=programs, home=home)
    except CannotTryError as reason:
        pytest.skip(str(reason))
    assert answer.code == wrong.code, answer.text
    assert "Traceback" not in answer.text
    rest = answer.text
    for part in wrong.says:
        assert part in rest, answer.text
        rest = rest[rest.index(part) + len(part) :]


@pytest.mark.parametrize("wrong", [wrong for wrong in ALL if wrong.quick], ids=lambda wrong: wrong.what)
def test_a_wrong_command_is_answered_at_once(wrong: Wrong, untrained: Path, programs: Path, tmp_path: Path) -> None:
    check(wrong, scene=untrained, programs=programs, home=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [wrong for wrong in ALL if not wrong.quick], ids=lambda wrong: wrong.command)
def test_a_wrong_command_is_answered(wrong: Wrong, trained: Path, programs: Path, tmp_path: Path) -> None:
    check(wrong, scene=trained, programs=programs, home=tmp_path)


def test_every_command_is_wrong_in_its_exit_code_and_nowhere_twice() -> None:
    assert len(ALL) == len({(wrong.command, wrong.before, wrong.without) for wrong in ALL})
    assert all(wrong.code in (1, 2, 3) for wrong in ALL)
