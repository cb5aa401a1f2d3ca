"""Spatial features of each frame, then an LSTM over them: space first, time afterwards.

The line of X. Pan, G. Ying, G. Chen, H. Li, W. Li, *A deep spatial and temporal aggregation framework for video-based
facial expression recognition*, IEEE Access 7, 2019, with the VGG-16 of K. Simonyan, A. Zisserman, ICLR 2015.
What is assumed of it: docs/baselines.md. Axes: B clips, T time, C channels, H rows, W columns, D features, K classes.
"""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from fer_model.baselines.precision import convolutions_in
from fer_model.baselines.resnet import kaiming


class CnnLstm(nn.Module):
    """VGG-like stages on each face, one LSTM layer over the frames, a classifier of its last state. Flow is not used.

    `features` has torchvision's names for VGG, so that its published files fit.

    Args:
        n_classes: number of logits.
        input_size: side of a face, pixels. Odd sides lose their last row and column in pooling.
        channels: of the stages, each of which ends with 2×2 max pooling. VGG-16: 64, 128, 256, 512, 512.
        depths: convolutions of 3×3 in each stage. VGG-16: 2, 2, 3, 3, 3.
        hidden_features: width of the LSTM.
        bf16: let the convolutions compute in 16 bits.

    Raises:
        ValueError: `input_size` is too small for the number of stages, or the lists differ in length.
    """

    BACKBONE: ClassVar = ("features.",)
    CLASSIFIER: ClassVar = "fc."

    def __init__(
        self,
        *,
        n_classes: int,
        input_size: int,
        channels: Sequence[int],
        depths: Sequence[int],
        hidden_features: int,
        bf16: bool = False,
    ) -> None:
        super().__init__()
        if input_size < 2 ** len(channels):
            raise ValueError(f"{len(channels)} poolings need an input_size of {2 ** len(channels)}, not {input_size}")
        self.input_size, self.bf16 = input_size, bf16
        layers: list[nn.Module] = []
        in_channels, size = 3, input_size
        for stage_channels, depth in zip(channels, depths, strict=True):
            for _ in range(depth):
                layers += [nn.Conv2d(in_channels, stage_channels, 3, padding=1), nn.ReLU()]
                in_channels = stage_channels
            layers.append(nn.MaxPool2d(2))
            size //= 2
        self.features = nn.Sequential(*layers)
        self.lstm = nn.LSTM(in_channels * size * size, hidden_features, batch_first=True)
        self.fc = nn.Linear(hidden_features, n_classes)
        kaiming(self.features)

    def forward(self, rgb_BTCHW: Tensor, flow_BTCHW: Tensor) -> Tensor:
        """Logits (B, K) of clips."""
        with convolutions_in(rgb_BTCHW, bf16=self.bf16):
            x_NCHW = self.features(rgb_BTCHW.flatten(0, 1))
        x_BTD = x_NCHW.flatten(1).to(rgb_BTCHW.dtype).unflatten(0, rgb_BTCHW.shape[:2])
        h_BTD, _ = self.lstm(x_BTD)
        logits_BK: Tensor = self.fc(h_BTD[:, -1])
        return logits_BK
