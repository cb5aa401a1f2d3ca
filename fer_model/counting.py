"""What a pass through a network takes, counted by running it without numbers: operations, and values kept for the way
back.

Axes: B clips, T time, C channels, H rows, W columns.
"""

import copy

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fer_model.baselines.cnn_lstm import CnnLstm
from fer_model.baselines.fan import FrameAttentionNetwork
from fer_model.baselines.r3d import R3d
from fer_model.baselines.svm import LbpTopSvm
from fer_model.inputs import FLOW_CHANNELS, RGB_CHANNELS


def counted_flops(network: nn.Module, *, clip_length: int) -> int:
    """Floating-point operations of one clip forward, convolutions and matrices only; a product and a sum count as two.

    LBP-TOP compares whole numbers: of it, only the products of the SVM are counted.
    """
    if isinstance(network, LbpTopSvm):
        return 2 * network.fc.weight.numel()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        _without_numbers(network).eval()(*_clips(1, clip_length, _input_size(network)))
    return int(counter.get_total_flops())


def kept_bytes(network: nn.Module, *, n_clips: int, clip_length: int) -> int:
    """Memory at the peak of the way back of a batch, without weights and their gradients, in 32 bits.

    What autograd keeps, and a gradient of the size of its largest part: an estimate, which the tests hold to what torch
    takes.
    """
    bare = _without_numbers(network).train()
    weights = {weight.untyped_storage()._cdata for weight in (*bare.parameters(), *bare.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = storage
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        bare(*_clips(n_clips, clip_length, _input_size(network)))
    sizes = [storage.nbytes() for storage in kept.values()]
    return sum(sizes) + max(sizes, default=0)


def _input_size(network: nn.Module) -> int:
    if not isinstance(network, CnnLstm | FrameAttentionNetwork | R3d):
        raise TypeError(f"the sides of the faces that {type(network).__name__} takes are not known")
    return network.input_size


def _without_numbers(network: nn.Module) -> nn.Module:
    """A copy that has shapes only."""
    with torch.no_grad():
        return copy.deepcopy(network).to("meta")


def _clips(n_clips: int, clip_length: int, size: int) -> tuple[Tensor, Tensor]:
    rgb, flow = (
        torch.empty(n_clips, clip_length, channels, size, size, device="meta")
        for channels in (RGB_CHANNELS, FLOW_CHANNELS)
    )
    return rgb, flow
