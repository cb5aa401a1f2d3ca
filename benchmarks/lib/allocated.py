"""What torch allocates at the peak of a pass, counted without computing anything."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker


def peak_mb(make: Callable[[], nn.Module], *, clips: tuple[int, ...], bf16: bool) -> float:
    """MB at the peak of a forward and backward pass, above the weights and the input.

    What libraries use inside of a convolution is not seen.

    Args:
        make: makes the module; it takes clips_BTCHW.
        clips: shape of the input.
        bf16: whether torch.autocast is on.
    """
    with FakeTensorMode():
        module, x_BTCHW = make(), torch.empty(clips)
        tracker = MemTracker()
        tracker.track_external(module, x_BTCHW)
        with tracker:
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                y: Tensor = module(x_BTCHW)
            torch.autograd.backward(y.float().square().sum())
        base = sum(tensor.numel() * tensor.element_size() for tensor in (*module.parameters(), x_BTCHW))
    return (tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"] - base) / 1e6
