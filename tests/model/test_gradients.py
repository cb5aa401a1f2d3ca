"""`--log-gradients` records the whole gradient of each h[t], and nothing else changes."""

import csv
import os
import signal
from pathlib import Path

import pytest
import torch
from literal import LiteralLayer
from runs import fer_train, fold_of, run, same_weights
from test_going_on import in_step
from torch import Tensor
from torch.nn.functional import cross_entropy

from fer_model.config import Variant
from fer_model.errors import ArgumentError
from fer_model.gradients import GradientLog, Norms
from fer_model.network import Recompute, TwoStreamNetwork
from fer_model.ranks import ALONE, Ranks
from fer_model.stop import Interrupted

CPU = torch.device("cpu")
N_CLIPS, LENGTH = 3, 5
RGB = torch.randn(N_CLIPS, LENGTH, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
FLOW = torch.randn(N_CLIPS, LENGTH, 2, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
LABELS = torch.tensor([2, 0, 1])


def make_network(variant: Variant, recompute: Recompute = "nothing") -> TwoStreamNetwork:
    torch.manual_seed(3)
    network = TwoStreamNetwork(
        n_classes=3,
        input_size=8,
        channels=(4, 6),
        kernels=(3, 3),
        spatial_skip=variant.spatial_skip,
        temporal_skip=variant.temporal_skip,
        norm_groups=2 if variant.spatial_skip or variant.temporal_skip else None,
        hidden_features=(5,),
        recompute=recompute,
    ).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5)
    return network


def logged(network: TwoStreamNetwork, *parts: slice) -> Tensor:
    """What GradientLog notes of the clips, in the given batches."""
    log = GradientLog(network, clip_length=LENGTH, device=CPU)
    total = torch.zeros(2, 2, LENGTH, dtype=torch.float64)
    for part in parts:
        torch.autograd.backward(cross_entropy(network(RGB[part], FLOW[part]), LABELS[part]))
        norms: Norms = log.take(n_clips=len(LABELS[part]), ranks=ALONE)
        total += torch.tensor(norms, dtype=torch.float64)
    return total


def by_the_equations(network: TwoStreamNetwork) -> Tensor:
    """The same by one derivative of each clip's loss by each hidden state of the literal layers."""
    streams = (network.rgb, network.flow)
    layers = [[LiteralLayer(layer) for layer in stream.layers] for stream in streams]  # type: ignore[arg-type]
    for stream, literal in zip(streams, layers, strict=True):
        for number, layer in enumerate(literal):
            layer.nudges = []
            stream.layers[number] = layer
    losses_B = cross_entropy(network(RGB, FLOW), LABELS, reduction="none")
    nudges = [[layer.nudges or [] for layer in stream] for stream in layers]
    total = torch.zeros(2, 2, LENGTH, dtype=torch.float64)
    for b, loss in enumerate(losses_B):
        for s, l, t in [(s, l, t) for s in range(2) for l in range(2) for t in range(LENGTH)]:  # noqa: E741
            (dh_BCHW,) = torch.autograd.grad(loss, nudges[s][l][t], retain_graph=True)
            assert dh_BCHW[[i for i in range(N_CLIPS) if i != b]].count_nonzero() == 0
            total[s, l, t] += dh_BCHW[b].norm()
    return total


@pytest.mark.parametrize("recompute", ["nothing", "steps", "layers"])
@pytest.mark.parametrize("variant", list(Variant))
def test_norms_are_those_of_the_derivatives_by_the_literal_hidden_states(
    variant: Variant, recompute: Recompute
) -> None:
    found = logged(make_network(variant, recompute), slice(None))
    expected = by_the_equations(make_network(variant))
    assert expected.min() > 0
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)


def test_norms_do_not_depend_on_the_batch_size() -> None:
    network = make_network(Variant.ENHANCED)
    together, apart = logged(network, slice(None)), logged(network, slice(1), slice(1, None))
    torch.testing.assert_close(together, apart, rtol=1e-10, atol=0)


def test_an_unwatched_pass_without_gradients_is_no_error() -> None:
    network = make_network(Variant.TEMPORAL)
    log = GradientLog(network, clip_length=LENGTH, device=CPU)
    with torch.no_grad():
        network(RGB, FLOW)
    assert not torch.tensor(log.take(n_clips=N_CLIPS, ranks=Ranks())).any()


def table(path: Path) -> list[dict[str, str]]:
    with (path / "gradients.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_table_has_a_row_for_each_epoch_stream_layer_and_step_and_weights_are_the_same_without_it(
    shards: Path, tmp_path: Path
) -> None:
    with_log = run(shards, tmp_path / "with", log_gradients=True).run.path
    without = run(shards, tmp_path / "without").run.path
    assert same_weights(with_log, without)
    assert (with_log / "config.json").read_bytes() == (without / "config.json").read_bytes()
    assert not (without / "gradients.csv").exists()
    assert (with_log / "gradients.csv").read_text().splitlines()[0] == "epoch,stream,layer,t,norm"
    places = [(r["epoch"], r["stream"], r["layer"], r["t"]) for r in table(with_log)]
    assert places == [(e, s, l, t) for e in "12" for s in ("rgb", "flow") for l in "1234" for t in "0123"]  # noqa: E741
    assert all(float(row["norm"]) > 0 for row in table(with_log))


def test_a_run_that_goes_on_has_the_table_of_an_uninterrupted_one(shards: Path, tmp_path: Path) -> None:
    whole = run(shards, tmp_path / "whole", log_gradients=True).run.path
    with pytest.MonkeyPatch.context() as patch:
        in_step(5, lambda: os.kill(os.getpid(), signal.SIGTERM), patch)
        with pytest.raises(Interrupted):
            run(shards, tmp_path / "cut", log_gradients=True)
    with pytest.raises(ArgumentError, match="begun with --log-gradients; give it again"):
        run(shards, tmp_path / "cut", resume=True)
    cut = run(shards, tmp_path / "cut", log_gradients=True, resume=True).run.path
    assert (cut / "gradients.csv").read_bytes() == (whole / "gradients.csv").read_bytes()
    assert same_weights(cut, whole)


def test_a_run_begun_without_the_log_does_not_go_on_with_it(shards: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        in_step(2, lambda: os.kill(os.getpid(), signal.SIGTERM), patch)
        with pytest.raises(Interrupted):
            run(shards, tmp_path)
    with pytest.raises(ArgumentError, match="begun without --log-gradients; leave it out"):
        run(shards, tmp_path, log_gradients=True, resume=True)


@pytest.mark.slow
def test_two_processes_have_the_table_of_one(shards: Path, tmp_path: Path) -> None:
    arguments = [shards, "--fold", 1, "--preset", "small", "--epochs", 1, "--batch-size", 5, "--lr", 2e-4]
    for n in (1, 2):
        out = tmp_path / str(n)
        done = fer_train(*arguments, "--device", "cpu", "--devices", n, "--out", out, "--log-gradients")
        assert done.returncode == 0, done.stderr
    one, two = (table(fold_of(tmp_path / str(n))) for n in (1, 2))
    norms = ([float(row["norm"]) for row in rows] for rows in (one, two))
    assert next(norms) == pytest.approx(next(norms), rel=1e-3)
