"""What a user asks of a prediction: the arguments of `fer-predict`, under the same names."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Request:
    """Everything that can be asked of `fer_model.predict.run.predict_input`."""

    input: Path
    """A finished shard directory, a video, or a folder of videos."""
    checkpoint: Path
    """The directory of a finished run."""
    out: Path | None
    """Where results go; None: predictions/<name of the input>."""
    timelines: int | None
    """Of how many recordings to draw a timeline; None: of all."""
    video: bool
    """Whether to write an annotated video of each recording."""
    device: str
    """auto, cpu or cuda."""
    overwrite: bool
    """Replace the predictions that are there."""

    @property
    def directory(self) -> Path:
        """Where results go."""
        return self.out or Path("predictions") / (self.input.resolve().stem or "input")
