"""A finished run comes back as it was, or a sentence says why it does not."""

import json
import re
from pathlib import Path

import pytest
import torch
from runs import run
from safetensors.torch import load_file
from shard_files import write_corpus

from fer_model.errors import RunDirectoryError
from fer_model.trained import load_trained


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    home = tmp_path_factory.mktemp("finished")
    return run(write_corpus(home / "shards"), home / "runs", epochs=1, variant="b", note="a trial").run.path


@pytest.fixture
def copy(path: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    for name in ("config.json", "summary.json", "model.safetensors"):
        (tmp_path / name).write_bytes((path / name).read_bytes())
    return tmp_path


def test_a_finished_run_has_its_weights_and_says_what_it_was_trained_on(path: Path) -> None:
    trained = load_trained(path)
    stored = load_file(path / "model.safetensors")
    assert all(torch.equal(stored[name], weight) for name, weight in trained.network.state_dict().items())
    assert not trained.network.training
    assert (trained.config.name, trained.config.epochs, trained.config.channels) == ("spatial", 1, (8, 16, 16, 32))
    assert (trained.corpus, trained.classes, trained.clip_length) == ("tiny", ("left", "right", "still"), 4)
    assert trained.note == "a trial"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda p: (p / "config.json").unlink(), r": not a run \(no config.json\)"),
        (lambda p: (p / "summary.json").unlink(), r": this run is not finished; .*--resume"),
        (lambda p: (p / "summary.json").write_text("{"), r"summary.json: not readable"),
        (lambda p: (p / "model.safetensors").unlink(), r"model.safetensors: cannot be read"),
        (lambda p: (p / "model.safetensors").write_bytes(b"no weights"), r"model.safetensors: not a file of weights"),
        (lambda p: edit(p, "channels", [8, 16, 16, 64]), r"model.safetensors: does not fit"),
        (lambda p: edit(p, "variant", "e"), r"config.json: not a configuration of this version .*'e'"),
        (lambda p: edit(p, "epochs", None), r"config.json: not a configuration of this version .*epochs"),
    ],
)  # fmt: skip
def test_what_is_no_finished_run_is_refused_by_a_sentence(copy: Path, damage, reason: str) -> None:  # type: ignore[no-untyped-def]
    damage(copy)
    with pytest.raises(RunDirectoryError, match=f"^{re.escape(str(copy))}.*{reason}"):
        load_trained(copy)


def edit(path: Path, name: str, value: object) -> None:
    """Change or, by None, remove a value of config.json."""
    config = json.loads((path / "config.json").read_text())
    if value is None:
        del config[name]
    else:
        config[name] = value
    (path / "config.json").write_text(json.dumps(config))


def test_a_directory_of_runs_is_told_of_a_run_in_it(path: Path) -> None:
    above = path.parents[2]
    with pytest.raises(
        RunDirectoryError, match=f"^{re.escape(str(above))}: not a run .* such as {re.escape(str(path))}"
    ):
        load_trained(above)
