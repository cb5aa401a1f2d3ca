"""What a corpus adapter finds on disk: recordings, and the corpus they make."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Recording:
    """One labelled video of one subject.

    Attributes:
        id: unique in the corpus; the path relative to the root with `/`, and `#start-end` where only a part is meant.
        path: the video file.
        subject: the person.
        label: class name; None: unlabelled.
        group: set where the corpus itself says which subjects are held out together (1-based).
        start_frame: first frame that counts, from 0.
        end_frame: the frame after the last one that counts; None: to the end.
    """

    id: str
    path: Path
    subject: str
    label: str | None
    group: int | None = None
    start_frame: int = 0
    end_frame: int | None = None

    @property
    def file(self) -> str:
        """The path relative to the corpus root, with `/`: the id without the part of the video that is meant."""
        whole = self.start_frame == 0 and self.end_frame is None
        return self.id if whole else self.id.rpartition("#")[0]


@dataclass(frozen=True)
class Corpus:
    """All recordings of a corpus, in an order that does not depend on the file system.

    Attributes:
        classes: class names in the corpus' own order; a label is an index into them.
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    recordings: tuple[Recording, ...]
