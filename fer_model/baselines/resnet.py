"""ResNet without its last layer: images to feature vectors (He, Zhang, Ren, Sun, CVPR 2016).

Parameters have torchvision's names, so that its published files fit. Axes: N images, C channels, H rows, W columns.
"""

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut, which has a 1×1 convolution where the shape changes."""

    def __init__(self, *, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Images (N, channels, H, W), their sides divided by the stride."""
        shortcut = x_NCHW if self.downsample is None else self.downsample(x_NCHW)
        x = relu(self.bn1(self.conv1(x_NCHW)))
        return relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet(nn.Module):
    """A stem, four stages of basic blocks, each but the first halving the image, and the mean over all locations.

    Args:
        input_size: side of an image, pixels.
        channels: of the stages. ResNet-18: 64, 128, 256, 512.
        depths: blocks in each stage. ResNet-18: 2, 2, 2, 2.
        stem_kernel: side of the first kernel, pixels.
        stem_halves: whether the first convolution and a pooling after it halve the image, as published for 224 pixels.

    Raises:
        ValueError: less than 2×2 locations are left, or the lists differ in length. With one location, BatchNorm has
            no statistics for a single image.
    """

    def __init__(
        self,
        *,
        input_size: int,
        channels: Sequence[int],
        depths: Sequence[int],
        stem_kernel: int,
        stem_halves: bool,
    ) -> None:
        super().__init__()
        self.stem_halves = stem_halves
        halvings = len(channels) - 1 + 2 * stem_halves
        if input_size <= 2**halvings:
            raise ValueError(f"{halvings} halvings need an input_size above {2**halvings}, not {input_size}")
        self.conv1 = nn.Conv2d(
            3, channels[0], stem_kernel, stride=1 + stem_halves, padding=stem_kernel // 2, bias=False
        )  # fmt: skip
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.n_stages = len(channels)
        add_stages(self, BasicBlock, channels=channels, depths=depths)
        self.n_features = channels[-1]
        kaiming(self)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Features (N, n_features)."""
        x = relu(self.bn1(self.conv1(x_NCHW)))
        if self.stem_halves:
            x = max_pool2d(x, 3, stride=2, padding=1)
        for i in range(1, self.n_stages + 1):
            x = self.get_submodule(f"layer{i}")(x)
        return x.mean((2, 3))


def add_stages(
    network: nn.Module, block: Callable[..., nn.Module], *, channels: Sequence[int], depths: Sequence[int]
) -> None:
    """Give a network the stages `layer1`, `layer2`, ... of blocks; each but the first begins with a stride of 2.

    Args:
        block: takes in_channels, channels and stride.
        channels: of the stages; the first one takes as many.
        depths: blocks in each stage.

    Raises:
        ValueError: the lists differ in length.
    """
    in_channels = channels[0]
    for i, (stage_channels, depth) in enumerate(zip(channels, depths, strict=True), 1):
        blocks = [
            block(
                in_channels=stage_channels if number else in_channels,
                channels=stage_channels,
                stride=2 if i > 1 and number == 0 else 1,
            )
            for number in range(depth)
        ]
        network.add_module(f"layer{i}", nn.Sequential(*blocks))
        in_channels = stage_channels


def kaiming(network: nn.Module) -> None:
    """Draw the weights of all convolutions for ReLU (He et al., ICCV 2015), by the number of outputs; biases are 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
