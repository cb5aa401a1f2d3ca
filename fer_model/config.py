"""What a training run is asked to do: variants, presets and the frozen TrainConfig made from them."""

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Variant(StrEnum):
    """The four cells compared in the paper, (a) to (d)."""

    CONVLSTM = "convlstm"
    SPATIAL = "spatial"
    TEMPORAL = "temporal"
    ENHANCED = "enhanced"

    @property
    def spatial_skip(self) -> bool:
        """Whether the cell has the term Wxr*x."""
        return self in (Variant.SPATIAL, Variant.ENHANCED)

    @property
    def temporal_skip(self) -> bool:
        """Whether the cell has the term s∘s~."""
        return self in (Variant.TEMPORAL, Variant.ENHANCED)


LETTERS = dict(zip("abcd", Variant, strict=True))


def variant_from_name(name: str) -> Variant:
    """The variant called `name`, a letter of the paper or a word.

    Raises:
        ValueError: there is no such variant.
    """
    return LETTERS[name] if name in LETTERS else Variant(name)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Every parameter that decides the losses, apart from the shards, the fold and the machine."""

    preset: str
    model: str
    """two-stream: the paper's."""
    variant: Variant
    input_size: int
    """Side of the square faces that the network sees, pixels; stored faces are area-averaged to it."""
    channels: tuple[int, ...]
    kernels: tuple[int, ...]
    norm_groups: int
    hidden_features: tuple[int, ...]
    """Widths of the fully connected layers before the last one."""
    optimizer: Literal["sgd", "adamw"]
    lr: float
    momentum: float
    """Of SGD; AdamW does not use it."""
    weight_decay: float
    schedule: Literal["constant", "cosine"]
    batch_size: int
    epochs: int
    flip: bool
    """Mirror half of the training clips, chosen anew in every epoch."""
    seed: int
    precision: Literal["fp32", "bf16"]
    """Of the convolutions and of h; gates, cell states, the statistics of GroupNorm and all weights have 32 bits."""

    @property
    def name(self) -> str:
        """What tables and directories call it."""
        return str(self.variant)


PRESETS = {
    "paper": TrainConfig(
        preset="paper",
        model="two-stream",
        variant=Variant.ENHANCED,
        input_size=112,
        channels=(64, 64, 128, 128),
        kernels=(5, 5, 3, 3),
        norm_groups=8,
        hidden_features=(1024, 256),
        optimizer="sgd",
        lr=1.25e-4,
        momentum=0.9,
        weight_decay=0.0,
        schedule="constant",
        batch_size=6,
        epochs=60,
        flip=True,
        seed=0,
        precision="fp32",
    ),
    "small": TrainConfig(
        preset="small",
        model="two-stream",
        variant=Variant.ENHANCED,
        input_size=16,
        channels=(8, 16, 16, 32),
        kernels=(3, 3, 3, 3),
        norm_groups=4,
        hidden_features=(64, 32),
        optimizer="adamw",
        lr=2e-3,
        momentum=0.0,
        weight_decay=1e-2,
        schedule="cosine",
        batch_size=16,
        epochs=10,
        flip=True,
        seed=0,
        precision="fp32",
    ),
}


def train_config(
    *,
    preset: str,
    variant: str,
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    seed: int,
    precision: Literal["fp32", "bf16"] = "fp32",
) -> TrainConfig:
    """A preset with the given variant, seed and precision, and with what is not None in place of the preset's value."""
    base = PRESETS[preset]
    return dataclasses.replace(
        base,
        variant=variant_from_name(variant),
        epochs=base.epochs if epochs is None else epochs,
        batch_size=base.batch_size if batch_size is None else batch_size,
        lr=base.lr if lr is None else lr,
        seed=seed,
        precision=precision,
    )
