"""How much memory a training step is expected to take: weights, and what the layers keep for the way back."""

from fer_model.cells import EnhancedConvLSTM
from fer_model.network import TwoStreamNetwork, n_parameters

FLOAT_BYTES = 4
POOLED = 0.25 + 0.5
"""Of a layer's states: a quarter of the values go on, each with the place it came from as a 64-bit number."""


def step_bytes(network: TwoStreamNetwork, *, n_clips: int, clip_length: int, states: int, h_bytes: int) -> int:
    """Memory at the peak of a training step, without the frames: an estimate from what eq. 2 must keep.

    Compiled steps keep less. The tests hold it to what torch allocates.

    Args:
        n_clips: clips of a batch on this device.
        clip_length: frames of a clip.
        states: values that the optimiser keeps for each weight.
        h_bytes: size of a value of h: 4, or 2 where convolutions compute in 16 bits.
    """
    weights = n_parameters(network) * FLOAT_BYTES * (2 + states)  # and a gradient
    layers = [m for m in network.modules() if isinstance(m, EnhancedConvLSTM)]
    if network.rgb.checkpoint_layers:
        kept = sum(input_bytes(layer, h_bytes=h_bytes) for layer in layers)
        kept += max(layer_bytes(layer, h_bytes=h_bytes) + sums_bytes(layer, h_bytes=h_bytes) for layer in layers)
    else:
        kept = sum(layer_bytes(layer, h_bytes=h_bytes) for layer in layers)
    return weights + kept * n_clips * clip_length


def layer_bytes(layer: EnhancedConvLSTM, *, h_bytes: int) -> int:
    """What a layer keeps of one frame of one clip.

    i, f, o, c~, c and tanh(c); s and s~; what goes into the GroupNorm; h, once by itself and once in the sequence.
    """
    exact = 6 + 2 * layer.temporal_skip + (layer.norm is not None)
    value_bytes = exact * FLOAT_BYTES + 2 * h_bytes + POOLED * FLOAT_BYTES
    return int(layer.peephole_GCHW[0].numel() * value_bytes)


def sums_bytes(layer: EnhancedConvLSTM, *, h_bytes: int) -> int:
    """The sums of the input convolutions of one frame of one clip: there until the layer's last step is done."""
    return len(layer.input_weight) * layer.peephole_GCHW[0, 0].numel() * h_bytes


def input_bytes(layer: EnhancedConvLSTM, *, h_bytes: int) -> int:
    """What goes into a layer, of one frame of one clip."""
    return layer.input_weight.shape[1] * layer.peephole_GCHW[0, 0].numel() * h_bytes
