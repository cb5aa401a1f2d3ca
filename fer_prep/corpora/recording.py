"""What a corpus adapter finds on disk: recordings, what it left out, and what it noticed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Recording:
    """One labelled video, or directory of numbered images, of one subject.

    Attributes:
        id: unique in the corpus, the same for every copy of it, however its top folders are called.
        file: path relative to the corpus root, with `/`.
        path: the same, to be opened: a video file, or a directory of numbered images.
        subject: the person.
        label: class name; None: unlabelled.
        group: set where the corpus itself says which subjects are held out together (1-based).
        start_frame: first frame that counts, from 0.
        end_frame: the frame after the last one that counts; None: to the end.
        extra: further facts (name, value) that are kept in the shards as they are.
    """

    id: str
    file: str
    path: Path
    subject: str
    label: str | None
    group: int | None = None
    start_frame: int = 0
    end_frame: int | None = None
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Remark:
    """Something about the corpus on disk that its user should know.

    Attributes:
        kind: a few words, the same for all remarks of one sort; they are counted by it.
        path: relative to the corpus root, with `/`.
        detail: what is peculiar to this one; may be empty.
    """

    kind: str
    path: str
    detail: str = ""


@dataclass(frozen=True)
class Corpus:
    """All recordings of a corpus, in an order that does not depend on the file system.

    Attributes:
        root: what every `file` is relative to.
        classes: class names in the corpus' own order; a label is an index into them.
        irregularities: what was met and taken nevertheless, `kind` saying how.
        left_out: files that are no recordings here, `kind` saying why.
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    recordings: tuple[Recording, ...]
    irregularities: tuple[Remark, ...] = ()
    left_out: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class Adapter:
    """How one corpus is read.

    Attributes:
        title: its name as its owners write it.
        example: path of one of its recordings, as its owners ship it.
        scan: (root, kinds to include) -> corpus; looks at names and small label files, decodes nothing.
        optional: kinds of recordings that are left out unless they are asked for -> what they are.
    """

    title: str
    example: str
    scan: Callable[[Path, frozenset[str]], Corpus]
    optional: Mapping[str, str] = field(default_factory=dict)
