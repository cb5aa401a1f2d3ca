"""What a training run is asked to do: models, variants, presets and the frozen TrainConfig made from them."""

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from fer_model.errors import ArgumentError


class Model(StrEnum):
    """The paper's network, and what it is compared with (docs/baselines.md)."""

    TWO_STREAM = "two-stream"
    CNN_LSTM = "cnn-lstm"
    FAN = "fan"
    R3D18 = "r3d18"
    LBP_TOP = "lbp-top"


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


def variant_of(model: str, asked: str | None) -> Variant | None:
    """The variant of a model; of two-stream, (d) unless another one is asked for.

    Raises:
        ArgumentError: a variant of a model that has none.
    """
    if Model(model) is Model.TWO_STREAM:
        return variant_from_name(asked or "d")
    if asked is not None:
        raise ArgumentError(f"--variant {asked}: only two-stream has variants, not {model}; leave it out.")
    return None


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Every parameter that decides the losses, apart from the shards, the fold and the machine."""

    preset: str
    model: Model
    variant: Variant | None
    """Of two-stream; None for the others, as every field below that a model has no use for is None, 0 or empty."""
    input_size: int
    """Side of the square faces that the network sees, pixels; stored faces are area-averaged to it."""
    channels: tuple[int, ...]
    """Of the layers of two-stream, of the stages of the others."""
    depths: tuple[int, ...]
    """Of each stage: convolutions of cnn-lstm, blocks of fan and r3d18."""
    kernels: tuple[int, ...]
    """Of the layers of two-stream; fan, r3d18: of the first convolution; lbp-top: side of the neighbourhood."""
    norm_groups: int | None
    hidden_features: tuple[int, ...]
    """Widths of the fully connected layers before the last one; cnn-lstm: of the LSTM."""
    blocks: int
    """lbp-top cuts the face into blocks×blocks parts."""
    svm_c: float
    """lbp-top: what a training clip on the wrong side costs."""
    optimizer: Literal["sgd", "adamw", "none"]
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
    weights_sha256: str | None
    """Of the file that the first weights came from; None: they are drawn."""

    @property
    def name(self) -> str:
        """What tables and directories call it."""
        return name_of(self.model, self.variant)


def name_of(model: Model, variant: Variant | None) -> str:
    """What tables and directories call a network: the variant of two-stream, else the model."""
    return str(variant or model)


PRESETS = {
    "paper": TrainConfig(
        preset="paper",
        model=Model.TWO_STREAM,
        variant=Variant.ENHANCED,
        input_size=112,
        channels=(64, 64, 128, 128),
        depths=(),
        kernels=(5, 5, 3, 3),
        norm_groups=8,
        hidden_features=(1024, 256),
        blocks=0,
        svm_c=0.0,
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
        weights_sha256=None,
    ),
    "small": TrainConfig(
        preset="small",
        model=Model.TWO_STREAM,
        variant=Variant.ENHANCED,
        input_size=16,
        channels=(8, 16, 16, 32),
        depths=(),
        kernels=(3, 3, 3, 3),
        norm_groups=4,
        hidden_features=(64, 32),
        blocks=0,
        svm_c=0.0,
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
        weights_sha256=None,
    ),
}


_BASELINE_PAPER = dataclasses.replace(
    PRESETS["paper"], variant=None, kernels=(), norm_groups=None, hidden_features=(), weight_decay=1e-4,
    lr=1e-2, schedule="cosine",
)  # fmt: skip
_BASELINE_SMALL = dataclasses.replace(
    PRESETS["small"], variant=None, input_size=32, kernels=(), norm_groups=None, hidden_features=()
)
_RESNET_18 = dataclasses.replace(_BASELINE_PAPER, channels=(64, 128, 256, 512), depths=(2, 2, 2, 2), kernels=(7,))
_RESNET_SMALL = dataclasses.replace(_BASELINE_SMALL, channels=(8, 16, 32, 64), depths=(1, 1, 1, 1), kernels=(3,))
_SVM = dataclasses.replace(
    _BASELINE_SMALL, model=Model.LBP_TOP, channels=(), kernels=(3,), blocks=4, svm_c=1.0, optimizer="none",
    lr=0.0, momentum=0.0, weight_decay=0.0, schedule="constant", epochs=1, flip=False,
)  # fmt: skip
BASELINE_PRESETS = {
    Model.CNN_LSTM: {
        "paper": dataclasses.replace(
            _BASELINE_PAPER, model=Model.CNN_LSTM, channels=(64, 128, 256, 512, 512), depths=(2, 2, 3, 3, 3),
            hidden_features=(512,), lr=1e-3,
        ),
        "small": dataclasses.replace(
            _BASELINE_SMALL, model=Model.CNN_LSTM, channels=(8, 16, 32, 32), depths=(1, 1, 1, 1), hidden_features=(64,)
        ),
    },
    Model.FAN: {name: dataclasses.replace(base, model=Model.FAN)
                for name, base in (("paper", _RESNET_18), ("small", _RESNET_SMALL))},
    Model.R3D18: {name: dataclasses.replace(base, model=Model.R3D18)
                  for name, base in (("paper", _RESNET_18), ("small", _RESNET_SMALL))},
    Model.LBP_TOP: {
        "paper": dataclasses.replace(_SVM, preset="paper", input_size=112, kernels=(7,), blocks=8),
        "small": _SVM,
    },
}  # fmt: skip


def train_config(
    *,
    preset: str,
    variant: str | None,
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    seed: int,
    precision: Literal["fp32", "bf16"] = "fp32",
    model: str = Model.TWO_STREAM,
    weights_sha256: str | None = None,
) -> TrainConfig:
    """A model's preset with the given seed and precision, and with what is not None in place of the preset's value.

    Raises:
        ArgumentError: a variant of a model that has none.
    """
    base = PRESETS[preset] if Model(model) is Model.TWO_STREAM else BASELINE_PRESETS[Model(model)][preset]
    return dataclasses.replace(
        base,
        variant=variant_of(model, variant),
        epochs=base.epochs if epochs is None else epochs,
        batch_size=base.batch_size if batch_size is None else batch_size,
        lr=base.lr if lr is None else lr,
        seed=seed,
        precision=precision,
        weights_sha256=weights_sha256,
    )
