"""The networks that the paper's is compared with: shapes, what they can see, and that they learn."""

import csv
import dataclasses
import io
import json
import os
import signal
from pathlib import Path
from typing import Literal

import pytest
import torch
from runs import fer_train, losses, run, same_weights, step_losses
from shard_files import CLASSES, barred_video, write_corpus
from torch import Tensor, nn
from torch.distributed._tools.mem_tracker import MemTracker
from torch.nn.functional import cross_entropy

from fer_model import loop
from fer_model.baselines.cnn_lstm import CnnLstm
from fer_model.baselines.fan import FrameAttentionNetwork, weighted_mean
from fer_model.baselines.r3d import R3d
from fer_model.baselines.resnet import ResNet
from fer_model.build import build_network
from fer_model.config import BASELINE_PRESETS, Model
from fer_model.counting import kept_bytes
from fer_model.data import ClipStore
from fer_model.errors import ArgumentError
from fer_model.folds import select_fold
from fer_model.network import flops_per_clip, n_parameters
from fer_model.ranks import ALONE
from fer_model.shards import read_corpus
from fer_model.steps import predict
from fer_model.stop import Interrupted
from fer_model.trained import load_trained

NETWORKS = ["cnn-lstm", "fan", "r3d18"]
N_CLASSES = 6


def make_network(model: str, *, precision: Literal["fp32", "bf16"] = "fp32") -> nn.Module:
    torch.manual_seed(0)
    config = dataclasses.replace(BASELINE_PRESETS[Model(model)]["small"], precision=precision)
    return build_network(config, n_classes=N_CLASSES)


def clips(n: int, length: int, size: int = 32) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(n, length, 3, size, size), torch.randn(n, length, 2, size, size)


@pytest.fixture(scope="module")
def barred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two groups of two subjects; the order of the frames says the label."""
    return write_corpus(
        tmp_path_factory.mktemp("barred") / "shards", n_groups=2, subjects_per_group=2, labels=(0, 1) * 3,
        n_frames=(4,), size=32, make=barred_video,
    )  # fmt: skip


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize(("n_clips", "length"), [(1, 1), (1, 4), (3, 2), (2, 7)])
def test_clips_of_any_number_and_length_train(model: str, n_clips: int, length: int) -> None:
    network = make_network(model).train()
    logits = network(*clips(n_clips, length))
    assert logits.shape == (n_clips, N_CLASSES)
    logits.logsumexp(1).sum().backward()
    gradients = {name: p.grad for name, p in network.named_parameters()}
    of_one_frame = ("lstm.weight_hh_l0", "alpha.", "beta.")  # no memory yet, no other frame to attend to
    without = [name for name, g in gradients.items() if g is None or g.abs().max() < 1e-9]
    assert [name for name in without if length > 1 or not name.startswith(of_one_frame)] == []
    assert all(g.isfinite().all() for g in gradients.values() if g is not None)


@pytest.mark.parametrize("model", NETWORKS)
def test_the_order_of_frames_matters_where_the_model_has_a_memory(model: str) -> None:
    network = make_network(model).eval()
    rgb, flow = clips(2, 6)
    with torch.no_grad():
        same = torch.allclose(network(rgb, flow), network(rgb.flip(1), flow), atol=1e-5)
    assert same == (model == "fan")


@pytest.mark.parametrize("model", NETWORKS)
def test_clips_do_not_influence_each_other_outside_of_training(model: str) -> None:
    network = make_network(model).eval()
    rgb, flow = clips(3, 4)
    with torch.no_grad():
        torch.testing.assert_close(network(rgb, flow)[1:2], network(rgb[1:2], flow[1:2]), rtol=1e-4, atol=1e-5)


def test_frame_attention_is_the_published_sum() -> None:
    network = make_network("fan").eval()
    assert isinstance(network, FrameAttentionNetwork)
    rgb, flow = clips(1, 3)
    with torch.no_grad():
        f = [network.backbone(rgb[:, t]).squeeze(0) for t in range(3)]
        alpha = [network.alpha(x).sigmoid() for x in f]
        anchor = sum(a * x for a, x in zip(alpha, f, strict=True)) / sum(alpha)
        both = [torch.cat([x, anchor]) for x in f]
        weight = [a * network.beta(x).sigmoid() for a, x in zip(alpha, both, strict=True)]
        v = sum(w * x for w, x in zip(weight, both, strict=True)) / sum(weight)
        torch.testing.assert_close(network(rgb, flow)[0], network.fc(v), rtol=1e-4, atol=1e-5)
    assert weighted_mean(torch.tensor([[[1.0], [4.0]]]), torch.tensor([[[2.0], [1.0]]])).item() == 2


@pytest.mark.parametrize("model", ["cnn-lstm", "r3d18"])
def test_models_with_a_memory_learn_the_order_of_frames(barred: Path, tmp_path: Path, model: str) -> None:
    result = run(barred, tmp_path, model=model, epochs=12, lr=3e-3)
    assert result.video.accuracy >= 0.9
    assert float(losses(result.run.path)[-1]) < 0.3


def test_frame_attention_cannot_learn_the_order_of_frames(barred: Path, tmp_path: Path) -> None:
    """The control of the test above."""
    assert run(barred, tmp_path, model="fan", epochs=6, lr=3e-3).video.accuracy <= 0.75


def test_frame_attention_learns_what_single_frames_show(tmp_path: Path) -> None:
    shards = write_corpus(
        tmp_path / "shards", n_groups=2, subjects_per_group=2, labels=(0, 2) * 3, n_frames=(4,), size=32,
        make=barred_video,
    )  # fmt: skip
    assert run(shards, tmp_path / "runs", model="fan", epochs=12, lr=3e-3).video.accuracy >= 0.9


@pytest.mark.parametrize("model", NETWORKS)
def test_an_interrupted_run_resumes_to_the_same_bits(
    barred: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    whole = run(barred, tmp_path / "whole", model=model, batch_size=5).run.path
    steps = iter(range(1, 100))

    def interrupting(logits: Tensor, labels: Tensor, *, reduction: str) -> Tensor:
        if next(steps) == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return cross_entropy(logits, labels, reduction=reduction)

    monkeypatch.setattr(loop, "cross_entropy", interrupting)
    with pytest.raises(Interrupted, match="after step 1 of 3 in epoch 2"):
        run(barred, tmp_path / "ended", model=model, batch_size=5)
    torch.manual_seed(99)  # nothing may hang on the generator's state
    again = run(barred, tmp_path / "ended", model=model, batch_size=5, resume=True).run.path
    assert same_weights(whole, again)
    assert step_losses(whole) == step_losses(again)
    assert (whole / "predictions.csv").read_bytes() == (again / "predictions.csv").read_bytes()


@pytest.mark.parametrize("model", NETWORKS)
def test_a_finished_run_comes_back_and_its_summary_counts_trained_values_only(
    barred: Path, tmp_path: Path, model: str
) -> None:
    path = run(barred, tmp_path, model=model, epochs=1).run.path
    assert path == tmp_path / "tiny" / model / "seed0" / "fold1"
    trained, summary = load_trained(path), json.loads((path / "summary.json").read_text())
    assert (trained.config.name, trained.config.variant, trained.network.training) == (model, None, False)
    assert (summary["name"], summary["model"]) == (model, model)
    assert summary["parameters"] == n_parameters(trained.network) > 1000
    assert summary["flops_per_clip"] == flops_per_clip(trained.network, clip_length=4) > 1e6


def test_published_shapes_have_the_published_numbers_of_parameters() -> None:
    """As torchvision documents them, without the last layers of 1000 and of 400 classes."""
    resnet_18, r3d_18 = (11_689_512 - 1000 * 513), (33_371_472 - 400 * 513)
    vgg_16_features = 14_714_688
    with torch.device("meta"):
        fan, r3d, cnn_lstm = (
            build_network(BASELINE_PRESETS[model]["paper"], n_classes=7)
            for model in (Model.FAN, Model.R3D18, Model.CNN_LSTM)
        )
    assert isinstance(fan, FrameAttentionNetwork)
    assert isinstance(r3d, R3d)
    assert isinstance(cnn_lstm, CnnLstm)
    assert n_parameters(fan.backbone) == resnet_18
    assert n_parameters(r3d) - n_parameters(r3d.fc) == r3d_18
    assert n_parameters(cnn_lstm.features) == vgg_16_features
    assert cnn_lstm.lstm.input_size == 512 * 3 * 3


def test_operations_are_those_counted_by_hand() -> None:
    cnn_lstm = CnnLstm(n_classes=3, input_size=4, channels=(2,), depths=(1,), hidden_features=5)
    per_frame = 16 * 2 * 3 * 9  # locations, outputs, inputs, kernel
    lstm = 4 * 5 * (2 * 2 * 2 + 5)  # four gates, outputs, inputs and h
    assert flops_per_clip(cnn_lstm, clip_length=6) == 2 * (6 * (per_frame + lstm) + 3 * 5)

    fan = FrameAttentionNetwork(
        n_classes=3, input_size=4, channels=(2,), depths=(1,), stem_kernel=3, stem_halves=False
    )  # fmt: skip
    per_frame = 16 * 9 * (2 * 3 + 2 * 2 + 2 * 2) + 2 + 4  # stem and a block; α and β
    assert flops_per_clip(fan, clip_length=6) == 2 * (6 * per_frame + 3 * 4)

    r3d = R3d(n_classes=3, input_size=8, channels=(2, 4), depths=(1, 1), stem_kernel=3, stem_halves=True)
    stem_and_first = 6 * 16 * 27 * (2 * 3 + 2 * 2 + 2 * 2)
    second = 3 * 4 * (27 * (4 * 2 + 4 * 4) + 4 * 2)  # and its shortcut
    assert flops_per_clip(r3d, clip_length=6) == 2 * (stem_and_first + second + 3 * 4)


@pytest.mark.parametrize("model", NETWORKS)
def test_the_expected_memory_is_near_what_is_taken(model: str) -> None:
    with torch.device("meta"):
        network = make_network(model).train()
        tracker = MemTracker()
        inputs = [torch.empty(3, 8, channels, 32, 32) for channels in (3, 2)]
        tracker.track_external(network, *inputs)
        with tracker:
            network(*inputs).sum().backward()
    taken = tracker.get_tracker_snapshot("peak")[torch.device("meta")]["Total"]
    weights = n_parameters(network) * 4 * 2
    assert weights + kept_bytes(network, n_clips=3, clip_length=8) == pytest.approx(taken, rel=0.15)


@pytest.mark.parametrize("model", NETWORKS)
def test_16_bits_are_near_32(model: str) -> None:
    rgb, flow = clips(2, 4)
    with torch.no_grad():
        exact, near = (make_network(model, precision=p).eval()(rgb, flow) for p in ("fp32", "bf16"))
    assert near.dtype == torch.float32
    assert 0 < (exact - near).abs().max() < 0.05 * exact.abs().max()


def test_too_small_faces_are_refused() -> None:
    with pytest.raises(ValueError, match="need an input_size above 8, not 8"):
        ResNet(input_size=8, channels=(2, 2), depths=(1, 1), stem_kernel=7, stem_halves=True)
    with pytest.raises(ValueError, match="need an input_size above 4, not 4"):
        R3d(n_classes=2, input_size=4, channels=(2, 2), depths=(1, 1), stem_kernel=7, stem_halves=True)
    with pytest.raises(ValueError, match="need an input_size of 4, not 3"):
        CnnLstm(n_classes=2, input_size=3, channels=(2, 2), depths=(1, 1), hidden_features=2)


@pytest.mark.parametrize("size", [9, 13, 31])
def test_odd_sizes_pass(size: int) -> None:
    fan = FrameAttentionNetwork(
        n_classes=2, input_size=size, channels=(2, 2), depths=(1, 1), stem_kernel=7, stem_halves=True
    )  # fmt: skip
    r3d = R3d(n_classes=2, input_size=size, channels=(2, 2), depths=(1, 1), stem_kernel=7, stem_halves=True)
    cnn_lstm = CnnLstm(n_classes=2, input_size=size, channels=(2, 2), depths=(1, 1), hidden_features=3)
    for network in (fan, r3d, cnn_lstm):
        assert network(*clips(1, 1, size)).shape == (1, 2)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model": "fan", "variant": "d"}, "--variant d: only two-stream has variants, not fan"),
        ({"model": "fan", "compile": "on"}, "--compile on: not for --model fan"),
        ({"model": "r3d18", "checkpoint_layers": True}, "--checkpoint-layers: not for --model r3d18"),
        ({"model": "lbp-top", "epochs": 2}, "--epochs: not for --model lbp-top"),
        ({"model": "lbp-top", "epochs": None, "lr": 0.1}, "--lr: not for --model lbp-top"),
        ({"model": "lbp-top", "epochs": None, "precision": "bf16"}, "--precision bf16: not for --model lbp-top"),
    ],
)
def test_what_a_model_has_no_use_for_is_refused(
    barred: Path, tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ArgumentError, match=sentence):
        run(barred, tmp_path / "runs", **({"batch_size": None} | changes))  # type: ignore[arg-type]
    assert not (tmp_path / "runs").exists()


def test_the_first_lines_say_which_network_it_is(barred: Path, tmp_path: Path) -> None:
    log = io.StringIO()
    run(barred, tmp_path, model="r3d18", epochs=1, log=log)
    assert "fold 1 of 2: r3d18 network, preset small" in log.getvalue()
    assert "a step of 6 clips takes about" in log.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cnn-lstm", "fan", "r3d18", "lbp-top"])
def test_every_model_from_shards_to_summary(barred: Path, tmp_path: Path, model: str) -> None:
    epochs = [] if model == "lbp-top" else ["--epochs", 1]
    done = fer_train(barred, "--fold", 2, "--model", model, "--device", "cpu", *epochs, "--out", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    summary = json.loads((tmp_path / "tiny" / model / "seed0" / "fold2" / "summary.json").read_text())
    assert (summary["model"], summary["fold"], summary["epochs"]) == (model, 2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["fan", "r3d18"])
def test_several_processes_test_with_the_statistics_that_are_kept(tmp_path: Path, model: str) -> None:
    """Each process has measured other clips, and predicts every second batch of sixteen."""
    shards = write_corpus(
        tmp_path / "shards", n_groups=2, subjects_per_group=2, labels=(0, 1) * 3, n_frames=(10,), size=32,
        make=barred_video,
    )  # fmt: skip
    common = [shards, "--fold", 1, "--model", model, "--device", "cpu", "--epochs", 1, "--batch-size", 5]
    done = fer_train(*common, "--preset", "small", "--devices", 2, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "tiny" / model / "seed0" / "fold1"
    corpus, store = read_corpus(shards), ClipStore(clip_length=4, size=32, readers=1)
    expected = predict(
        load_trained(path).network,
        store,
        select_fold(corpus, test_group=1, validation_group=None).test,
        flow_scale=corpus.shards[0].flow_scale,
        device=torch.device("cpu"),
        ranks=ALONE,
    )
    with (path / "predictions.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["level"] == "clip"]
    found = torch.tensor([[float(row[f"p_{c}"]) for c in CLASSES] for row in rows], dtype=torch.float64)
    assert len(found) > 16
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
