"""The network as others run it: stored frames in, class probabilities out, with all that lies between.

Axes: B clips of a batch, T time, H rows, W columns, C channels, N frames, K classes.
"""

import torch
from torch import Tensor, nn

from fer_model.inputs import network_inputs


class StoredFramesNetwork(nn.Module):
    """A network that takes clips as shards store them, so that nobody has to scale or normalise them again.

    Args:
        network: takes (rgb_BTCHW, flow_BTCHW) as `fer_model.inputs.network_inputs` makes them, gives logits_BK.
        face_size: side of the stored faces, pixels.
        input_size: side of the frames that `network` takes; at most `face_size`.
        flow_scale: stored units of flow per pixel.
    """

    def __init__(self, network: nn.Module, *, face_size: int, input_size: int, flow_scale: float) -> None:
        super().__init__()
        self.network = network
        self.flow_scale = flow_scale
        self.average = None if face_size == input_size else AreaAverage(face_size=face_size, input_size=input_size)

    def forward(self, rgb_BTHWC: Tensor, flow_BTHWC: Tensor) -> Tensor:
        """Probabilities (B, K), float32, of clips: uint8, and int16 (dx, dy)."""
        if self.average is not None:
            # network_inputs would round to the stored types; these are the same whole numbers
            rgb_BTHWC, flow_BTHWC = self.average(rgb_BTHWC), self.average(flow_BTHWC)
        inputs = network_inputs(rgb_BTHWC, flow_BTHWC, flip_B=None, flow_scale=self.flow_scale)
        probability_BK: Tensor = self.network(*inputs).softmax(1)
        return probability_BK


class AreaAverage(nn.Module):
    """`fer_model.inputs.area_average` in operations that every runtime rounds alike.

    The pixels under each output pixel are added up by two products with matrices of zeros and ones. These sums are
    whole numbers, exact in float32 whatever the order: so all runtimes divide and round the same ones.

    Args:
        face_size: side of the frames, pixels.
        input_size: side of the averaged frames.
    """

    def __init__(self, *, face_size: int, input_size: int) -> None:
        super().__init__()
        self.windows: Tensor
        self.areas: Tensor
        windows = covered_pixels(face_size, input_size)
        n_pixels = windows.sum(1)
        self.register_buffer("windows", windows)
        self.register_buffer("areas", n_pixels[:, None] * n_pixels)

    def forward(self, frames_BTHWC: Tensor) -> Tensor:
        """Means of the pixels under each output pixel, rounded to whole numbers, float32."""
        frames_BTCHW = frames_BTHWC.float().permute(0, 1, 4, 2, 3).contiguous()
        sums_BTCHW = self.windows @ (frames_BTCHW @ self.windows.T)
        return (sums_BTCHW / self.areas).round().permute(0, 1, 3, 4, 2).contiguous()


def covered_pixels(face_size: int, input_size: int) -> Tensor:
    """Which pixels of a row lie under each output pixel: (input_size, face_size) of zeros and ones, float32.

    Source: torch's adaptive pooling takes the pixels floor(i·f/n) to ceil((i+1)·f/n) − 1.
    """
    windows = torch.zeros(input_size, face_size)
    for i in range(input_size):
        windows[i, i * face_size // input_size : -(-(i + 1) * face_size // input_size)] = 1
    return windows
