"""The two-stream network: a clip of faces and its optical flow in, one logit per class out.

Axes: T time, B clips of a batch, C channels, H rows, W columns, K classes.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu
from torch.utils.checkpoint import checkpoint

from fer_model.cells import EnhancedConvLSTM
from fer_model.counting import counted_flops
from fer_model.inputs import FLOW_CHANNELS, RGB_CHANNELS

Recompute: TypeAlias = Literal["nothing", "steps", "layers"]


class Stream(nn.Module):
    """Enhanced ConvLSTM layers, each followed by 2×2 max pooling; the features are those of the last time step.

    Args:
        in_channels: channels of a frame.
        input_size: side of a frame, pixels. Odd sides lose their last row and column in pooling (7 → 3).
        channels: hidden channels, one number per layer.
        kernels: side of the kernels, one number per layer.
        spatial_skip, temporal_skip, norm_groups: see EnhancedConvLSTM.
        recompute: what is computed again on the way back, to keep less of it: nothing, the time steps, or whole layers.

    Raises:
        ValueError: `input_size` is too small for the number of layers, or the lists differ in length.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        input_size: int,
        channels: Sequence[int],
        kernels: Sequence[int],
        spatial_skip: bool,
        temporal_skip: bool,
        norm_groups: int | None,
        recompute: Recompute = "nothing",
    ) -> None:
        super().__init__()
        self.recompute = recompute
        if input_size < 2 ** len(channels):
            raise ValueError(f"{len(channels)} poolings need an input_size of {2 ** len(channels)}, not {input_size}")
        layers, size = [], input_size
        for hidden_channels, kernel_size in zip(channels, kernels, strict=True):
            layers.append(
                EnhancedConvLSTM(
                    in_channels=in_channels,
                    hidden_channels=hidden_channels,
                    kernel_size=kernel_size,
                    height=size,
                    width=size,
                    spatial_skip=spatial_skip,
                    temporal_skip=temporal_skip,
                    norm_groups=norm_groups,
                    recompute_steps=recompute != "nothing",
                )
            )
            in_channels, size = hidden_channels, size // 2
        self.layers = nn.ModuleList(layers)
        self.n_features = in_channels * size * size

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Features (B, n_features) of the last time step."""
        x_TBCHW = x_BTCHW.transpose(0, 1)
        n_steps, n_clips = x_TBCHW.shape[:2]
        # tensor cores take channels last; on a CPU the copies that this needs cost more than it gains
        memory = torch.channels_last if x_TBCHW.is_cuda else torch.contiguous_format
        x_NCHW = x_TBCHW.flatten(0, 1).contiguous(memory_format=memory)
        for layer in self.layers:
            x_TBCHW = x_NCHW.view(n_steps, n_clips, *x_NCHW.shape[1:])
            if self.recompute == "layers" and torch.is_grad_enabled():
                x_NCHW = checkpoint(_pooled, layer, x_TBCHW, use_reentrant=False)
            else:
                x_NCHW = _pooled(layer, x_TBCHW)
        return x_NCHW[-n_clips:].flatten(1)


def _pooled(layer: nn.Module, x_TBCHW: Tensor) -> Tensor:
    return max_pool2d(layer(x_TBCHW).flatten(0, 1), 2)


class TwoStreamNetwork(nn.Module):
    """One stream for faces, one for flow; their features are added; fully connected layers with ReLU between.

    Args:
        n_classes: number of logits.
        hidden_features: widths of the fully connected layers before the last.
        bf16: let convolutions and matrices compute in 16 bits.
        input_size, channels, kernels, spatial_skip, temporal_skip, norm_groups, recompute: see Stream.
    """

    BACKBONE: ClassVar = ("rgb.", "flow.")

    def __init__(
        self,
        *,
        n_classes: int,
        input_size: int,
        channels: Sequence[int],
        kernels: Sequence[int],
        spatial_skip: bool,
        temporal_skip: bool,
        norm_groups: int | None,
        hidden_features: Sequence[int],
        recompute: Recompute = "nothing",
        bf16: bool = False,
    ) -> None:
        super().__init__()
        self.bf16 = bf16
        self.rgb, self.flow = (
            Stream(
                in_channels=in_channels,
                input_size=input_size,
                channels=channels,
                kernels=kernels,
                spatial_skip=spatial_skip,
                temporal_skip=temporal_skip,
                norm_groups=norm_groups,
                recompute=recompute,
            )
            for in_channels in (RGB_CHANNELS, FLOW_CHANNELS)
        )
        widths = [self.rgb.n_features, *hidden_features, n_classes]
        self.fully_connected = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.CLASSIFIER = f"fully_connected.{len(hidden_features)}."

    def forward(self, rgb_BTCHW: Tensor, flow_BTCHW: Tensor) -> Tensor:
        """Logits (B, K) of clips, in the precision of the inputs."""
        with torch.autocast(rgb_BTCHW.device.type, torch.bfloat16, enabled=self.bf16):
            x = self.rgb(rgb_BTCHW) + self.flow(flow_BTCHW)
            *hidden, last = self.fully_connected
            for layer in hidden:
                x = relu(layer(x))
            logits_BK: Tensor = last(x)
        return logits_BK.float() if self.bf16 else logits_BK


def n_parameters(network: nn.Module) -> int:
    """Number of trained values."""
    return sum(p.numel() for p in network.parameters())


def flops_per_clip(network: nn.Module, *, clip_length: int) -> int:
    """Floating-point operations of one clip forward, convolutions and matrices only; backward takes twice as many.

    A multiplication and its addition count as two. Convolutions of zero initial states do not exist. Networks without
    an EnhancedConvLSTM are counted by running them, see fer_model.counting.
    """
    layers = [m for m in network.modules() if isinstance(m, EnhancedConvLSTM)]
    if not layers:
        return counted_flops(network, clip_length=clip_length)
    total = sum(2 * m.weight.numel() for m in network.modules() if isinstance(m, nn.Linear))
    for layer in layers:
        n_locations = layer.peephole_GCHW.shape[-1] * layer.peephole_GCHW.shape[-2]
        lstm = layer.recurrent_weight[: 4 * layer.hidden_channels].numel() * max(clip_length - 1, 0)
        skip = layer.recurrent_weight[4 * layer.hidden_channels :].numel() * max(clip_length - 2, 0)
        total += 2 * n_locations * (layer.input_weight.numel() * clip_length + lstm + skip)
    return total
