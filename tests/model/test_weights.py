"""--weights: what a network takes from a file, and which files are refused."""

import io
import json
from pathlib import Path

import pytest
import torch
from runs import fer_train, run
from safetensors.torch import load_file, save_file
from shard_files import barred_video, write_corpus
from torch import Tensor

from fer_model.build import build_network
from fer_model.config import BASELINE_PRESETS, Model
from fer_model.errors import ArgumentError, RunDirectoryError
from fer_model.weights import file_sha256, read_tensors, take, weights_for

WIDTHS = (64, 128, 256, 512)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Three groups of one subject, faces of 32 pixels."""
    return write_corpus(tmp_path / "shards", size=32, make=barred_video)


def value(*shape: int) -> Tensor:
    """A tensor of one stored number: the files of these tests have the published shapes, and no size."""
    return torch.tensor(0.5).expand(shape)


def batch_norm(name: str, width: int, *, counter: bool = True) -> dict[str, Tensor]:
    parts = {f"{name}.{part}": value(width) for part in ("weight", "bias", "running_mean", "running_var")}
    return parts | ({f"{name}.num_batches_tracked": torch.tensor(9)} if counter else {})


def resnet_18(widths: tuple[int, ...] = WIDTHS, *, counter: bool = True) -> dict[str, Tensor]:
    """torchvision's resnet18: its names and shapes."""
    tensors = {"conv1.weight": value(widths[0], 3, 7, 7)} | batch_norm("bn1", widths[0], counter=counter)
    before = widths[0]
    for i, width in enumerate(widths, 1):
        for block in (0, 1):
            name, n_in = f"layer{i}.{block}", before if block == 0 else width
            tensors |= {f"{name}.conv1.weight": value(width, n_in, 3, 3)}
            tensors |= {f"{name}.conv2.weight": value(width, width, 3, 3)}
            tensors |= batch_norm(f"{name}.bn1", width, counter=counter)
            tensors |= batch_norm(f"{name}.bn2", width, counter=counter)
            if i > 1 and block == 0:
                tensors |= {f"{name}.downsample.0.weight": value(width, n_in, 1, 1)}
                tensors |= batch_norm(f"{name}.downsample.1", width, counter=counter)
        before = width
    return tensors | {"fc.weight": value(1000, 512), "fc.bias": value(1000)}


def r3d_18() -> dict[str, Tensor]:
    """torchvision's r3d_18."""
    tensors = {"stem.0.weight": value(64, 3, 3, 7, 7)} | batch_norm("stem.1", 64)
    before = 64
    for i, width in enumerate(WIDTHS, 1):
        for block in (0, 1):
            name, n_in = f"layer{i}.{block}", before if block == 0 else width
            tensors |= {f"{name}.conv1.0.weight": value(width, n_in, 3, 3, 3)} | batch_norm(f"{name}.conv1.1", width)
            tensors |= {f"{name}.conv2.0.weight": value(width, width, 3, 3, 3)} | batch_norm(f"{name}.conv2.1", width)
            if i > 1 and block == 0:
                tensors |= {f"{name}.downsample.0.weight": value(width, n_in, 1, 1, 1)}
                tensors |= batch_norm(f"{name}.downsample.1", width)
        before = width
    return tensors | {"fc.weight": value(400, 512), "fc.bias": value(400)}


def vgg_16() -> dict[str, Tensor]:
    """torchvision's vgg16, without the middle layer of its classifier."""
    places = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256), 14: (256, 256)}
    places |= {17: (256, 512), 19: (512, 512), 21: (512, 512), 24: (512, 512), 26: (512, 512), 28: (512, 512)}
    tensors: dict[str, Tensor] = {}
    for place, (n_in, n_out) in places.items():
        tensors |= {f"features.{place}.weight": value(n_out, n_in, 3, 3), f"features.{place}.bias": value(n_out)}
    return tensors | {"classifier.0.weight": value(4096, 25088), "classifier.6.weight": value(1000, 4096)}


@pytest.mark.parametrize(
    ("model", "tensors", "left", "drawn"),
    [
        (Model.FAN, resnet_18(), ("fc.weight", "fc.bias"), {"alpha", "beta", "fc"}),
        (Model.FAN, resnet_18(counter=False), ("fc.weight", "fc.bias"), {"alpha", "beta", "fc"}),
        (Model.R3D18, r3d_18(), ("fc.weight", "fc.bias"), {"fc"}),
        (Model.CNN_LSTM, vgg_16(), ("classifier.0.weight", "classifier.6.weight"), {"lstm", "fc"}),
    ],
    ids=["fan", "fan, older file", "r3d18", "cnn-lstm"],
)
def test_torchvisions_files_fit_the_paper_presets(
    tmp_path: Path, model: Model, tensors: dict[str, Tensor], left: tuple[str, ...], drawn: set[str]
) -> None:
    torch.save(tensors, tmp_path / "w.pth")
    with torch.device("meta"):
        network = build_network(BASELINE_PRESETS[model]["paper"], n_classes=7)
    weights = weights_for(network, tmp_path / "w.pth")
    assert weights.left == left
    assert {name.split(".")[0] for name in weights.drawn} == drawn
    assert len(weights.taken) == len(tensors) - len(left)


def test_what_is_taken_is_in_the_network_and_the_rest_is_as_drawn(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = BASELINE_PRESETS[Model.FAN]["small"]
    network, source = (build_network(config, n_classes=k) for k in (3, 3))
    before = {name: x.clone() for name, x in network.state_dict().items()}
    published = {
        f"module.{name.removeprefix('backbone.')}": x
        for name, x in source.state_dict().items()
        if name.startswith(("backbone.", "fc."))
    }
    torch.save({"state_dict": published, "epoch": 3}, tmp_path / "w.tar")
    weights = weights_for(network, tmp_path / "w.tar")
    take(network, weights)
    for name, x in network.state_dict().items():
        assert torch.equal(x, source.state_dict()[name] if name.startswith("backbone.") else before[name])
    assert "left in the file: fc.weight, fc.bias" in str(weights)
    assert "drawn anew: alpha.weight, alpha.bias, beta.weight, beta.bias and 2 more" in str(weights)


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        (resnet_18(widths=(32, 64, 128, 256)), r"of another shape: conv1\.weight \(32×3×7×7 there, 64×3×7×7 here\)"),
        ({k: v for k, v in resnet_18().items() if "layer4" not in k}, r"missing: backbone\.layer4\.0\.conv1\.weight"),
        ({"fc.weight": value(7, 1024)}, r"missing: backbone\.conv1\.weight, .* and \d+ more"),
        ({}, "holds no tensors by name"),
    ],
)
def test_a_file_with_less_than_the_backbone_is_refused(tmp_path: Path, tensors: dict[str, Tensor], reason: str) -> None:
    path = tmp_path / "w.pth"
    torch.save(tensors, path)
    with torch.device("meta"):
        network = build_network(BASELINE_PRESETS[Model.FAN]["paper"], n_classes=7)
    with pytest.raises(ArgumentError, match=rf"--weights {path}: .*{reason}"):
        weights_for(network, path)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x02cos\nsystem\n."])
def test_a_file_that_is_none_of_weights_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ArgumentError, match="not a file of weights"):
        read_tensors(tmp_path / name)


def test_a_pickle_that_would_run_code_is_not_run(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (str(tmp_path / "ran"),)

    torch.save({"conv1.weight": Hostile()}, tmp_path / "w.pth")
    with pytest.raises(ArgumentError, match="not a file of weights"):
        read_tensors(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("model", ["two-stream", "r3d18"])
def test_a_run_begins_with_the_weights_of_another_run(shards: Path, tmp_path: Path, model: str) -> None:
    first = run(shards, tmp_path / "first", model=model).run.path / "model.safetensors"
    log = io.StringIO()
    second = run(shards, tmp_path / "second", model=model, weights=first, lr=1e-9, epochs=1, log=log).run.path
    config = json.loads((second / "config.json").read_text())
    assert config["weights_sha256"] == file_sha256(first)
    assert f"weights of {first}: " in log.getvalue()
    before, after = load_file(first), load_file(second / "model.safetensors")
    last = "fc." if model == "r3d18" else "fully_connected.2."
    for name in before:
        if "running" not in name and "num_batches" not in name:
            assert torch.allclose(before[name], after[name], atol=1e-6) == (not name.startswith(last))


def test_a_run_does_not_go_on_with_another_file(shards: Path, tmp_path: Path) -> None:
    first = run(shards, tmp_path / "first", model="cnn-lstm").run.path / "model.safetensors"
    out = tmp_path / "second"
    path = run(shards, out, model="cnn-lstm", weights=first).run.path
    (path / "summary.json").unlink()
    tensors = load_file(first)
    save_file(tensors | {"features.0.bias": tensors["features.0.bias"] + 1}, first)
    with pytest.raises(RunDirectoryError, match=r"differs in weights_sha256"):
        run(shards, out, model="cnn-lstm", weights=first, resume=True)


def test_a_file_that_does_not_fit_is_refused_before_anything_is_written(shards: Path, tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "w.safetensors")
    arguments = ["--preset", "small", "--weights", tmp_path / "w.safetensors", "--out", tmp_path / "r"]
    done = fer_train(shards, "--fold", 1, "--model", "fan", "--device", "cpu", *arguments)
    assert done.returncode == 2
    assert "does not fit this network; missing: backbone.conv1.weight" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "r").exists()
