"""Less memory, 16 bits, compiled steps: the same training, said in the first lines."""

import io
from functools import partial
from pathlib import Path

import pytest
import torch
from runs import losses, run

from fer_model import train
from fer_model.compiling import compile_steps, wants_compiling
from fer_model.errors import ArgumentError
from fer_model.footprint import step_bytes
from fer_model.results import Result

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_recomputed_layers_have_the_losses_of_kept_ones(shards: Path, tmp_path: Path) -> None:
    kept, recomputed = (run(shards, tmp_path / str(again), checkpoint_layers=again) for again in (False, True))
    assert as_numbers(recomputed) == pytest.approx(as_numbers(kept), rel=1e-5)


def test_16_bits_train_to_nearly_the_losses_of_32_and_belong_to_the_configuration(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fer_model.terminal.computes_bf16", lambda _: False)
    log = io.StringIO()
    exact = run(shards, tmp_path / "32")
    rounded = run(shards, tmp_path / "16", precision="bf16", log=log)
    assert as_numbers(rounded) == pytest.approx(as_numbers(exact), rel=0.05)
    assert as_numbers(rounded) != as_numbers(exact)
    assert '"precision": "bf16"' in rounded.run.config.read_text()
    assert "warning: cpu has no 16-bit arithmetic" in log.getvalue()


def test_compiled_steps_train_to_the_same_losses(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """8 clips in batches of 6 and 2: the last one of an epoch, and the evaluation, are not compiled for."""
    graphs: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    log = io.StringIO()
    plain = run(shards, tmp_path / "plain", fold=2, validation_group=3)
    monkeypatch.setattr(train, "compile_steps", partial(compile_steps, backend=backend))
    compiled = run(shards, tmp_path / "compiled", fold=2, validation_group=3, compile="on", log=log)
    assert as_numbers(compiled) == pytest.approx(as_numbers(plain), rel=1e-5)
    assert len(graphs) == 4 * 4  # layers × (first step, second, those between, last)
    assert "the first one compiles" in log.getvalue()


def as_numbers(result: Result) -> list[float]:
    return [float(loss) for loss in losses(result.run.path)]


def test_compiling_is_for_gpus_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer_model.compiling.shutil.which", lambda _: "/usr/bin/c++")
    monkeypatch.setattr("fer_model.compiling.find_spec", lambda _: object())
    found = {
        (choice, device.type): wants_compiling(choice, device=device)
        for choice in ("auto", "on", "off")
        for device in (CPU, CUDA)
    }
    assert found == {
        ("auto", "cpu"): False, ("auto", "cuda"): True, ("on", "cpu"): True, ("on", "cuda"): True,
        ("off", "cpu"): False, ("off", "cuda"): False,
    }  # fmt: skip
    monkeypatch.setattr("fer_model.compiling.shutil.which", lambda _: None)
    assert not wants_compiling("auto", device=CUDA)
    with pytest.raises(ArgumentError, match="needs a C"):
        wants_compiling("on", device=CPU)


def test_a_step_that_does_not_fit_is_warned_of(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected: list[int] = []

    def noted(*arguments: object, **named: object) -> int:
        expected.append(step_bytes(*arguments, **named))  # type: ignore[arg-type]
        return expected[-1]

    monkeypatch.setattr(train, "step_bytes", noted)
    monkeypatch.setattr(train, "free_bytes", lambda *_, **__: 1_000_000)
    log = io.StringIO()
    run(shards, tmp_path, log=log)
    assert f"a step of 6 clips takes about {expected[0] / 1e6:,.0f} MB" in log.getvalue()
    assert "warning: 1 MB are free; take --checkpoint-layers or a smaller --batch-size" in log.getvalue()
