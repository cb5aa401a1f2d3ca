"""What a user asks of a training run: the arguments of `fer-train`, under the same names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Everything that can be asked of `fer_model.launch.launch` and of `fer_model.train.train_fold`."""

    shards: Path
    """A finished shard directory."""
    fold: int
    """The group to test on, 1-based; all others are trained on."""
    model: str
    """two-stream, or one that it is compared with, see docs/baselines.md."""
    variant: str | None
    """Of two-stream: a to d, or convlstm, spatial, temporal, enhanced; None: d."""
    weights: Path | None
    """A file that the first weights come from; None: they are drawn."""
    preset: str | None
    """paper or small, see docs/paper.md; None: paper on a GPU, small on a CPU."""
    epochs: int | None
    """In place of the preset's, as the next two; None leaves it."""
    batch_size: int | None
    """Clips per step, on all devices together."""
    lr: float | None
    seed: int
    """Decides weights, order and flips. The same seed on the same machine gives the same losses."""
    device: str
    """auto, cpu or cuda."""
    devices: int
    """Processes to train with, one per device; 1 under torchrun, which starts them itself."""
    out: Path
    """Parent of the run directories."""
    note: str | None
    """What must be said beside every number of these runs."""
    validation_group: int | None
    """A training group to leave out and to measure after each epoch; it chooses nothing."""
    data: str
    """Where the clips come from: device, ram, disk, or auto: the first that the frames take at most half of."""
    readers: int | None
    """Threads that read and decode, of each process; None: one per core, at most 8, divided among the processes."""
    checkpoint_every: float
    """Seconds after which the next step ends with a checkpoint; 0: every step does."""
    report_best_epoch: bool
    """Measure the test group after each epoch too, and report its best one beside the result; it chooses nothing."""
    precision: Literal["fp32", "bf16"]
    """Of the convolutions."""
    compile: str
    """Whether to compile the time step of the layers: on, off, or auto: on a GPU."""
    checkpoint_layers: bool
    """Keep only the inputs of the layers, and compute each layer again on the way back."""
    log_gradients: bool
    """Record how large the gradients are that reach the hidden states."""
    resume: bool
    """Go on after the last checkpoint of an unfinished run."""
    overwrite: bool
    """Delete the run that is there."""
