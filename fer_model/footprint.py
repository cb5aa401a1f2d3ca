"""How much memory a training step is expected to take: weights, and what the layers keep for the way back."""

from torch import nn

from fer_model.cells import EnhancedConvLSTM
from fer_model.config import TrainConfig
from fer_model.counting import kept_bytes
from fer_model.network import TwoStreamNetwork, n_parameters

FLOAT_BYTES = 4
POOLED = 0.25 + 0.5
"""Of a layer's states: a quarter of the values go on, each with the place it came from as a 64-bit number."""


def step_bytes(network: nn.Module, *, n_clips: int, clip_length: int, config: TrainConfig) -> int:
    """Memory at the peak of a training step, without the frames: an estimate from what eq. 2 must keep.

    Of other networks, from what torch's autograd keeps, see fer_model.counting. Compiled steps keep less, and so do
    the other networks in 16 bits. The tests hold it to what torch allocates.

    Args:
        n_clips: clips of a batch on this device.
        clip_length: frames of a clip.
        config: tells the precision, and the optimiser.
    """
    states = 2 if config.optimizer == "adamw" else 1  # that the optimiser keeps for each weight
    h_bytes = 2 if config.precision == "bf16" else FLOAT_BYTES
    weights = n_parameters(network) * FLOAT_BYTES * (2 + states)  # and a gradient
    if not isinstance(network, TwoStreamNetwork):
        return weights + kept_bytes(network, n_clips=n_clips, clip_length=clip_length)
    layers = [m for m in network.modules() if isinstance(m, EnhancedConvLSTM)]
    kept = [layer_bytes(layer, h_bytes=h_bytes) for layer in layers]
    if network.rgb.recompute == "layers":
        frame_bytes = sum(input_bytes(layer, h_bytes=h_bytes) for layer in layers) + max(kept)
    else:
        frame_bytes = sum(kept)
    if network.rgb.recompute != "nothing":
        frame_bytes += max(layer.peephole_GCHW[0].numel() for layer in layers) * h_bytes  # the gradient of h
    return weights + frame_bytes * n_clips * clip_length


def layer_bytes(layer: EnhancedConvLSTM, *, h_bytes: int) -> int:
    """What a layer keeps of one frame of one clip.

    i, f, o, c~, c and tanh(c); s and s~; what goes into the GroupNorm; h, once by itself and once in the sequence.
    Where steps are computed again: the sums, c and h.
    """
    if layer.recompute_steps:
        value_bytes = FLOAT_BYTES + h_bytes * (len(layer.input_weight) // layer.hidden_channels + 1)
    else:
        value_bytes = FLOAT_BYTES * (6 + 2 * layer.temporal_skip + (layer.norm is not None)) + 2 * h_bytes
    return int(layer.peephole_GCHW[0].numel() * (value_bytes + POOLED * FLOAT_BYTES))


def input_bytes(layer: EnhancedConvLSTM, *, h_bytes: int) -> int:
    """What goes into a layer, of one frame of one clip."""
    return layer.input_weight.shape[1] * layer.peephole_GCHW[0, 0].numel() * h_bytes
