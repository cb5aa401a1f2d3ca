"""The errors a user can cause.

Their message is one sentence with path, found, expected and remedy; the program prints it as it is.
"""


class FerPrepError(Exception):
    """The command cannot run. Base of all errors shown to a user without a traceback."""

    exit_code = 1


class UsageError(FerPrepError):
    """Arguments, manifest or recipe do not make sense."""

    exit_code = 2


class RecordingError(FerPrepError):
    """One recording cannot be built; the others go on.

    Attributes:
        kind: few words, the same for all failures of one sort ("truncated"); the error histogram counts them.
        n_frames: frames that were read before it failed.
    """

    def __init__(self, kind: str, sentence: str, *, n_frames: int = 0) -> None:
        super().__init__(f"{kind}: {sentence}")
        self.kind = kind
        self.sentence = sentence
        self.n_frames = n_frames

    def __reduce__(self) -> tuple[object, ...]:
        """Travel between processes: exceptions with keyword arguments do not pickle by themselves."""
        return (_recording_error, (self.kind, self.sentence, self.n_frames))


def _recording_error(kind: str, sentence: str, n_frames: int) -> RecordingError:
    return RecordingError(kind, sentence, n_frames=n_frames)
