"""What a network says of the clips of a recording, and what follows for the recording.

Axes: K classes.
"""

from dataclasses import dataclass
from enum import StrEnum

from fer_model.shards import Recording, Shard


class Part(StrEnum):
    """What a recording was for the run whose network is used."""

    TRAINING = "training"
    VALIDATION = "validation"
    TEST = "test"
    UNKNOWN = "unknown"
    """The shards are not those of the run."""


@dataclass(frozen=True, kw_only=True)
class ClipDecision:
    """A clip, and what the network says of it."""

    start: int
    """Its first frame, counted in the recording."""
    n_valid: int
    """Frames of it that exist."""
    choice: int
    """The most probable class."""
    probability_K: tuple[float, ...]

    @property
    def centre(self) -> float:
        """Its middle, in frames of the recording."""
        return self.start + self.n_valid / 2


@dataclass(frozen=True, kw_only=True)
class Vote:
    """The decision for a recording."""

    choice: int
    """The class that most of its clips chose."""
    probability_K: tuple[float, ...]
    """Mean over its clips."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A recording that lies in shards."""

    shard: Shard
    recording: Recording
    clips: tuple[ClipDecision, ...]
    """In the order of time."""
    vote: Vote | None
    """None: it has no clip."""
    reason: str
    """Why it could not be decided; empty if it was."""
    part: Part

    @property
    def seconds(self) -> float | None:
        """How long it is; None if its speed is unknown."""
        return self.recording.n_frames / self.recording.fps if self.recording.fps else None


@dataclass(frozen=True, kw_only=True)
class Unread:
    """A recording that lies in no shard, and why."""

    id: str
    subject: str
    reason: str
