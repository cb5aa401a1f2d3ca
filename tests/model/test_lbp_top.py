"""LBP-TOP against a literal version, the SVM's probabilities, and a run of both."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from runs import rows, run
from shard_files import barred_video, write_corpus
from torch import Tensor

from fer_model.baselines.lbp_top import codes, lbp_top, n_features, uniform_labels
from fer_model.baselines.svm import ABSENT, LbpTopSvm, fit_linear_svm
from fer_model.errors import ArgumentError, FoldError
from fer_model.inputs import network_inputs
from fer_model.network import flops_per_clip, n_parameters
from fer_model.trained import load_trained


def literal(rgb_THWC: Tensor, *, radius_px: int, radius_frames: int, blocks: int) -> list[float]:
    """One clip of stored bytes, pixel by pixel, as the paper puts it."""
    grey = [[[299 * r + 587 * g + 114 * b for r, g, b in row] for row in image] for image in rgb_THWC.tolist()]
    length, height, width = len(grey), len(grey[0]), len(grey[0][0])
    inner_height, inner_width = height - 2 * radius_px, width - 2 * radius_px
    features: list[float] = []
    for plane in ("xy", "xt", "yt"):
        counts = [[0] * 59 for _ in range(blocks * blocks)]
        for t in range(radius_frames, length - radius_frames):
            for y in range(radius_px, height - radius_px):
                for x in range(radius_px, width - radius_px):
                    bits = []
                    for p in range(8):
                        c, s = math.cos(math.pi * p / 4), math.sin(math.pi * p / 4)
                        nt, ny, nx = {
                            "xy": (t, y - round(radius_px * s), x + round(radius_px * c)),
                            "xt": (t + round(radius_frames * s), y, x + round(radius_px * c)),
                            "yt": (t + round(radius_frames * s), y + round(radius_px * c), x),
                        }[plane]
                        bits.append(int(grey[nt][ny][nx] >= grey[t][y][x]))
                    block_row = (y - radius_px) * blocks // inner_height
                    block_column = (x - radius_px) * blocks // inner_width
                    counts[block_row * blocks + block_column][label_of(bits)] += 1
        features += [n / sum(histogram) for histogram in counts for n in histogram]
    return features


def label_of(bits: list[int]) -> int:
    """The place of a uniform pattern among all uniform ones, in the order of their numbers; 58 for any other."""
    uniform = [c for c in range(256) if changes([c >> p & 1 for p in range(8)]) <= 2]
    code = sum(bit << p for p, bit in enumerate(bits))
    return uniform.index(code) if code in uniform else 58


def changes(bits: list[int]) -> int:
    return sum(a != b for a, b in zip(bits, bits[1:] + bits[:1], strict=True))


def as_inputs(rgb_BTHWC: Tensor) -> Tensor:
    flow = torch.zeros(*rgb_BTHWC.shape[:-1], 2, dtype=torch.int16)
    return network_inputs(rgb_BTHWC, flow, flip_B=None, flow_scale=256.0)[0]


@pytest.mark.parametrize(
    ("radius_px", "radius_frames", "blocks", "levels"), [(1, 1, 1, 256), (1, 1, 3, 3), (3, 1, 2, 256), (2, 2, 2, 4)]
)
def test_histograms_are_those_of_the_literal_version(
    radius_px: int, radius_frames: int, blocks: int, levels: int
) -> None:
    """Also where few levels make many pixels equal."""
    torch.manual_seed(levels)
    rgb_BTHWC = torch.randint(0, levels, (2, 6, 11, 10, 3), dtype=torch.uint8)
    rgb_BTHWC[..., 1:] = rgb_BTHWC[..., :1] if levels < 256 else rgb_BTHWC[..., 1:]
    found = lbp_top(as_inputs(rgb_BTHWC), radius_px=radius_px, radius_frames=radius_frames, blocks=blocks)
    assert found.shape == (2, n_features(blocks))
    for clip, features in zip(rgb_BTHWC, found, strict=True):
        expected = literal(clip, radius_px=radius_px, radius_frames=radius_frames, blocks=blocks)
        torch.testing.assert_close(features, torch.tensor(expected))


def test_a_brightening_clip_has_only_later_neighbours_that_are_not_darker_in_time() -> None:
    grey = torch.arange(5).view(1, 5, 1, 1).expand(1, 5, 7, 7)
    still = codes(grey, plane="xy", radius_px=1, radius_frames=1)
    rising = codes(grey, plane="xt", radius_px=1, radius_frames=1)
    assert set(still.flatten().tolist()) == {0b11111111}
    assert set(rising.flatten().tolist()) == {0b00011111}  # angles 0 to 180 degrees: this frame and the next
    assert rising.shape == (1, 3, 5, 5)


def test_there_are_58_uniform_patterns_and_one_label_for_all_others() -> None:
    labels = uniform_labels()
    assert sorted(set(labels)) == list(range(59))
    assert labels.count(58) == 256 - 58
    assert (labels[0b00000000], labels[0b11111111], labels[0b01010101]) == (0, 57, 58)


@pytest.mark.parametrize("shape", [(2, 20, 20), (3, 5, 20)])
def test_too_small_clips_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=f"clips of {shape[0]} frames of {shape[1]}x{shape[2]} pixels are too small"):
        lbp_top(torch.zeros(1, shape[0], 3, *shape[1:]), radius_px=1, radius_frames=1, blocks=4)


def separable(n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    labels = np.arange(60) % n_classes
    features = random.normal(3, 0.1, (60, 5))
    features[np.arange(60), labels] += 1
    features[:, 4] = 7  # says nothing, and has no deviation
    return features, labels


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_weights_apply_to_features_as_they_are(n_classes: int) -> None:
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    features, labels = separable(n_classes)
    weight, bias, converged = fit_linear_svm(features, labels, n_classes=n_classes, c=1.0, seed=3)
    assert converged
    scaled = StandardScaler().fit_transform(features)
    expected = LinearSVC(C=1.0, random_state=3, max_iter=10_000).fit(scaled, labels).decision_function(scaled)
    found = features @ weight.T + bias
    if n_classes == 2:
        found = found[:, 1] - found[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_a_class_without_a_training_clip_is_never_chosen() -> None:
    features, labels = separable(3)
    labels[labels == 2] = 3
    weight, bias, _ = fit_linear_svm(features, labels, n_classes=5, c=1.0, seed=0)
    logits = torch.from_numpy(features @ weight.T + bias)
    assert (logits[:, [2, 4]] == ABSENT).all()
    assert (logits.argmax(1).numpy() == labels).mean() == 1
    assert logits.softmax(1)[:, [2, 4]].max() < 1e-30


def test_a_single_class_is_refused() -> None:
    features, _ = separable(2)
    with pytest.raises(FoldError, match="all training clips are of one class"):
        fit_linear_svm(features, np.zeros(60, np.int64), n_classes=2, c=1.0, seed=0)


def test_a_run_leaves_the_same_files_as_any_other_and_comes_back(tmp_path: Path) -> None:
    """It learns which way a bar moves: LBP-TOP sees the order of frames."""
    shards = write_corpus(
        tmp_path / "shards", n_groups=3, subjects_per_group=2, labels=(0, 1) * 3, n_frames=(4,), size=32,
        make=barred_video,
    )  # fmt: skip
    first, again = (
        run(shards, tmp_path / out, model="lbp-top", epochs=None, batch_size=None, validation_group=2)
        for out in ("first", "again")
    )
    path = first.run.path
    assert path == tmp_path / "first" / "tiny" / "lbp-top" / "seed0" / "fold1"
    tables = {"config.json", "metrics.csv", "losses.csv", "predictions.csv", "summary.json"}
    rest = {"confusion.png", "loss.png", "model.safetensors", "tensorboard"}
    assert {p.name for p in path.iterdir()} == tables | rest
    assert first.video.accuracy >= 0.9
    assert len(rows(path)) == 1
    assert float(rows(path)[0]["validation_video_accuracy"]) >= 0.9
    for name in ("predictions.csv", "losses.csv", "model.safetensors"):
        assert (path / name).read_bytes() == (again.run.path / name).read_bytes()
    network = load_trained(path).network
    assert isinstance(network, LbpTopSvm)
    summary = json.loads((path / "summary.json").read_text())
    assert summary["parameters"] == n_parameters(network) == 3 * (n_features(4) + 1)
    assert summary["flops_per_clip"] == flops_per_clip(network, clip_length=4) == 2 * 3 * n_features(4)


def test_clips_that_are_too_short_are_refused_by_a_sentence(tmp_path: Path) -> None:
    shards = write_corpus(tmp_path / "shards", size=32, length=2, make=barred_video)
    with pytest.raises(ArgumentError, match=re.escape("clips of 2 frames, expected at least 3")):
        run(shards, tmp_path / "runs", model="lbp-top", epochs=None, batch_size=None)
    assert not (tmp_path / "runs").exists()
