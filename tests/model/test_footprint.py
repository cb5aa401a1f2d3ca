"""The expected memory of a training step, against what torch allocates (counted without computing anything)."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker

from fer_model.config import PRESETS, Variant
from fer_model.footprint import step_bytes
from fer_model.network import Recompute, TwoStreamNetwork

N_CLIPS, LENGTH = 3, 8


def make_network(variant: Variant, *, recompute: Recompute) -> TwoStreamNetwork:
    return TwoStreamNetwork(
        n_classes=6, input_size=32, channels=(16, 32), kernels=(5, 3), spatial_skip=variant.spatial_skip,
        temporal_skip=variant.temporal_skip, norm_groups=None if variant is Variant.CONVLSTM else 4,
        hidden_features=(16,), recompute=recompute,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("variant", "recompute"),
    [
        (Variant.CONVLSTM, "nothing"),
        (Variant.ENHANCED, "nothing"),
        (Variant.CONVLSTM, "steps"),
        (Variant.ENHANCED, "steps"),
        (Variant.ENHANCED, "layers"),
    ],
)
def test_the_expected_memory_is_near_what_is_taken(variant: Variant, recompute: Recompute) -> None:
    with FakeTensorMode():
        network = make_network(variant, recompute=recompute)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        clips = [torch.empty(N_CLIPS, LENGTH, channels, 32, 32) for channels in (3, 2)]
        tracker = MemTracker()
        tracker.track_external(network, optimizer, *clips)
        with tracker:
            network(*clips).sum().backward()
            optimizer.step()
    taken = tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"]
    expected = step_bytes(network, n_clips=N_CLIPS, clip_length=LENGTH, config=PRESETS["paper"])
    assert expected == pytest.approx(taken, rel=0.1)
