"""3-D ResNet: convolutions over space and time at once, a clip to a feature vector.

D. Tran, H. Wang, L. Torresani, J. Ray, Y. LeCun, M. Paluri, *A closer look at spatiotemporal convolutions for action
recognition*, CVPR 2018. Axes: B clips, T time, C channels, H rows, W columns, K classes.
"""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import relu

from fer_model.baselines.precision import convolutions_in
from fer_model.baselines.resnet import add_stages, kaiming


class BasicBlock3d(nn.Module):
    """Two 3×3×3 convolutions beside a shortcut, which has a 1×1×1 convolution where the shape changes."""

    def __init__(self, *, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv3d(in_channels, channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm3d(channels),
            nn.ReLU(),
        )
        self.conv2 = nn.Sequential(nn.Conv3d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm3d(channels))
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv3d(in_channels, channels, 1, stride=stride, bias=False), nn.BatchNorm3d(channels)
            )

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Clips (B, channels, T, H, W), their lengths and sides divided by the stride."""
        shortcut = x_BCTHW if self.downsample is None else self.downsample(x_BCTHW)
        return relu(self.conv2(self.conv1(x_BCTHW)) + shortcut)


class R3d(nn.Module):
    """A stem, stages of basic blocks, each but the first halving space and time, the mean over all, a classifier.

    All parameters have torchvision's names (`r3d_18`), so that its published files fit. Flow is not used.

    Args:
        n_classes: number of logits.
        input_size: side of a face, pixels.
        channels: of the stages. R3D-18: 64, 128, 256, 512.
        depths: blocks in each stage. R3D-18: 2, 2, 2, 2.
        stem_kernel: side of the first kernel, pixels; it spans three frames.
        stem_halves: whether the first convolution halves the sides, as published.
        bf16: let the convolutions compute in 16 bits.

    Raises:
        ValueError: less than 2×2 locations are left, or the lists differ in length. With one location, BatchNorm has
            no statistics for a single clip.
    """

    BACKBONE: ClassVar = ("stem.", "layer")
    CLASSIFIER: ClassVar = "fc."

    def __init__(
        self,
        *,
        n_classes: int,
        input_size: int,
        channels: Sequence[int],
        depths: Sequence[int],
        stem_kernel: int,
        stem_halves: bool,
        bf16: bool = False,
    ) -> None:
        super().__init__()
        halvings = len(channels) - 1 + stem_halves
        if input_size <= 2**halvings:
            raise ValueError(f"{halvings} halvings need an input_size above {2**halvings}, not {input_size}")
        self.input_size, self.bf16 = input_size, bf16
        stride = 1 + stem_halves
        self.stem = nn.Sequential(
            nn.Conv3d(
                3, channels[0], (3, stem_kernel, stem_kernel), stride=(1, stride, stride),
                padding=(1, stem_kernel // 2, stem_kernel // 2), bias=False,
            ),
            nn.BatchNorm3d(channels[0]),
            nn.ReLU(),
        )  # fmt: skip
        self.n_stages = len(channels)
        add_stages(self, BasicBlock3d, channels=channels, depths=depths)
        self.fc = nn.Linear(channels[-1], n_classes)
        kaiming(self)

    def forward(self, rgb_BTCHW: Tensor, flow_BTCHW: Tensor) -> Tensor:
        """Logits (B, K) of clips."""
        with convolutions_in(rgb_BTCHW, bf16=self.bf16):
            x = self.stem(rgb_BTCHW.transpose(1, 2))
            for i in range(1, self.n_stages + 1):
                x = self.get_submodule(f"layer{i}")(x)
        logits_BK: Tensor = self.fc(x.mean((2, 3, 4)).to(rgb_BTCHW.dtype))
        return logits_BK
