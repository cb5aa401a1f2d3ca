"""Stored frames to network inputs: area averaging, and on the device flip, scaling and normalisation.

Axes: N frames, B clips of a batch, T time, H rows, W columns, C channels.
"""

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

RGB_CHANNELS, FLOW_CHANNELS = 3, 2
RGB_MEAN, RGB_STD = 0.5, 0.25
FLOW_STD_PX = 1.0


def area_average(frames_NHWC: Tensor, *, size: int) -> Tensor:
    """Frames of size×size pixels, each the mean of the pixels under it, rounded to the integer type of the input.

    Flow keeps its unit: it remains a displacement in pixels of the stored face.
    """
    if frames_NHWC.shape[1:3] == (size, size):
        return frames_NHWC
    mean_NCHW = adaptive_avg_pool2d(frames_NHWC.permute(0, 3, 1, 2).float(), size)
    return mean_NCHW.round().to(frames_NHWC.dtype).permute(0, 2, 3, 1).contiguous()


def network_inputs(
    rgb_BTHWC: Tensor, flow_BTHWC: Tensor, *, flip_B: Tensor | None, flow_scale: float
) -> tuple[Tensor, Tensor]:
    """What the two streams take: (rgb_BTCHW, flow_BTCHW), float32, on the device of the arguments.

    Args:
        rgb_BTHWC: uint8.
        flow_BTHWC: int16, (dx, dy) in pixels times `flow_scale`; at least -32767, as the format has it.
        flip_B: bool, on the CPU; a flipped clip is mirrored left to right and its dx negated. None: no clip is.
        flow_scale: stored units per pixel.
    """
    flipped = [] if flip_B is None else flip_B.nonzero().flatten().tolist()
    if flipped:
        # in the stored types, before they become larger; the two 16-bit values of a flow vector move as one of 32
        rgb_BTHWC, flow_BTHWC = rgb_BTHWC.clone(), flow_BTHWC.clone()
        for b in flipped:
            rgb_BTHWC[b] = rgb_BTHWC[b].flip(2)
            flow_BTHWC[b] = flow_BTHWC[b].view(torch.int32).flip(2).view(torch.int16)
    rgb = rgb_BTHWC.float().mul_(1 / (255 * RGB_STD)).sub_(RGB_MEAN / RGB_STD)
    flow = flow_BTHWC.float().mul_(1 / (flow_scale * FLOW_STD_PX))
    for b in flipped:
        flow[b, ..., 0].neg_()
    return rgb.permute(0, 1, 4, 2, 3), flow.permute(0, 1, 4, 2, 3)
