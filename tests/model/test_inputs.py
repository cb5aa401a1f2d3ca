"""Stored frames to network inputs."""

import torch

from fer_model.inputs import area_average, network_inputs
from fer_model.steps import epoch_order


def test_flip_mirrors_both_streams_and_negates_dx_only() -> None:
    rgb = torch.randint(0, 256, (2, 3, 4, 6, 3), dtype=torch.uint8)
    flow = torch.randint(-999, 999, (2, 3, 4, 6, 2), dtype=torch.int16)
    plain = network_inputs(rgb, flow, flip_B=torch.tensor([False, False]), flow_scale=256.0)
    flipped = network_inputs(rgb, flow, flip_B=torch.tensor([False, True]), flow_scale=256.0)
    for before, after in zip(plain, flipped, strict=True):
        assert torch.equal(before[0], after[0])
    assert torch.equal(flipped[0][1], plain[0][1].flip(-1))
    assert torch.equal(flipped[1][1, :, 0], -plain[1][1, :, 0].flip(-1))
    assert torch.equal(flipped[1][1, :, 1], plain[1][1, :, 1].flip(-1))


def test_flow_arrives_in_pixels_and_colour_around_zero() -> None:
    rgb = torch.tensor([0, 255, 255], dtype=torch.uint8).expand(1, 1, 2, 2, 3)
    flow = torch.tensor([512, -128], dtype=torch.int16).expand(1, 1, 2, 2, 2)
    x_rgb, x_flow = network_inputs(rgb, flow, flip_B=torch.tensor([False]), flow_scale=256.0)
    assert x_rgb.shape == (1, 1, 3, 2, 2)
    assert x_rgb[0, 0, :, 0, 0].tolist() == [-2.0, 2.0, 2.0]
    assert x_flow[0, 0, :, 0, 0].tolist() == [2.0, -0.5]


def test_area_average_is_the_mean_of_the_pixels_under_it_in_the_stored_type() -> None:
    frames = torch.arange(16, dtype=torch.int16).view(1, 4, 4, 1)
    small = area_average(frames, size=2)
    assert small.dtype == torch.int16
    assert small.flatten().tolist() == [2, 4, 10, 12]  # 2.5, 4.5, 10.5, 12.5, halves to even
    assert area_average(frames, size=4) is frames


def test_order_and_flips_follow_from_seed_and_epoch_alone() -> None:
    torch.manual_seed(0)
    first = epoch_order(50, seed=3, epoch=4, flip=True)
    torch.manual_seed(1)
    again = epoch_order(50, seed=3, epoch=4, flip=True)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert sorted(first[0].tolist()) == list(range(50))
    assert 10 < int(first[1].sum()) < 40
    for other in (epoch_order(50, seed=3, epoch=5, flip=True), epoch_order(50, seed=4, epoch=4, flip=True)):
        assert not torch.equal(first[0], other[0])
        assert not torch.equal(first[1], other[1])
    assert not epoch_order(50, seed=3, epoch=4, flip=False)[1].any()
