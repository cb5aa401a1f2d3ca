"""CK+: images in `cohn-kanade-images/S005/001/`, their label in `Emotion/S005/001/S005_001_00000011_emotion.txt`.

A recording is a directory of numbered images, neutral face first, peak last. Subject and sequence come from the
directories. Only 327 of 593 sequences are labelled.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from fer_prep.corpora import layout
from fer_prep.corpora.recording import Adapter, Corpus, Recording, Remark
from fer_prep.errors import RecordingError, UsageError
from fer_prep.files import is_stray
from fer_prep.sequence import IMAGE, list_images

TITLE = "CK+"
EXAMPLE = "cohn-kanade-images/S005/001/S005_001_00000001.png"
EXAMPLE_LABEL = "Emotion/S005/001/S005_001_00000011_emotion.txt"
EMOTIONS = ("neutral", "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")  # by code, from 0
UNLABELLED = "unlabelled"

SUBJECT, SEQUENCE = re.compile(r"S\d{3}", re.IGNORECASE), re.compile(r"\d{3}")
FILES_LOOKED_AT = 2000  # before a folder counts as one of something else, such as landmarks
NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?(e[+-]?[0-9]+)?", re.IGNORECASE)
LABEL = re.compile(r".*_emotion\.txt", re.IGNORECASE)
LAST_FRAMES_ONLY = re.compile(r"ck\+?[ _-]?48|ck_data\.h5|ckextended\.csv", re.IGNORECASE)


def scan(root: Path, include: frozenset[str]) -> Corpus:
    """All labelled sequences, subjects ascending.

    Classes are the codes 1 to 7 in their order; `neutral`, code 0, stands before them if a label file says so, which
    none does in the published corpus.

    Raises:
        UsageError: the directory is not this corpus, or a label file cannot be understood.
    """
    images, labels = _find_trees(root)
    found = _Scan(root, _read_labels(labels), take_unlabelled=UNLABELLED in include)
    for subject in layout.entries(images):
        found.add_subject(subject)
    if not found.recordings:
        raise UsageError(
            f"{images} holds {len(found.left_out)} sequences, but {labels} has no label of any; "
            "unpack the label archive of CK+ (Emotion_labels.zip) again"
        )
    found.remark_on_lost_labels()
    codes = {recording.label for recording in found.recordings}
    classes = EMOTIONS if "neutral" in codes else EMOTIONS[1:]
    return Corpus("ckplus", root, classes, tuple(found.recordings), tuple(found.irregularities), tuple(found.left_out))


@dataclass
class _Scan:
    """What was found so far; `labels` are those of sequences that are still to come."""

    root: Path
    labels: dict[tuple[str, str], tuple[Path, str]]
    take_unlabelled: bool
    recordings: list[Recording] = field(default_factory=list)
    irregularities: list[Remark] = field(default_factory=list)
    left_out: list[Remark] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def add_subject(self, folder: Path) -> None:
        if not (SUBJECT.fullmatch(folder.name) and layout.is_folder(folder)):
            self.irregularities.append(layout.stray(folder, self.root))
            return
        for sequence in layout.entries(folder):
            if SEQUENCE.fullmatch(sequence.name) and layout.is_folder(sequence):
                self._add_sequence(folder.name.upper(), sequence)
            else:
                self.irregularities.append(layout.stray(sequence, self.root))

    def _add_sequence(self, subject: str, folder: Path) -> None:
        file, id_ = layout.relative(folder, self.root), f"{subject}/{folder.name}"
        if id_ in self.seen:
            self.left_out.append(Remark("second copy of a sequence", file))
            return
        self.seen.add(id_)
        _, label = self.labels.pop((subject, folder.name), (None, None))
        if label is None and not self.take_unlabelled:
            self.left_out.append(Remark("unlabelled sequence", file, f"--include {UNLABELLED} takes it"))
            return
        self.recordings.append(Recording(id_, file, folder, subject, label))
        try:
            images = list_images(folder)
        except RecordingError:
            return  # no image, or two of one number: the build says so
        if images.n_missing:
            detail = layout.some([str(number) for number in images.missing])
            self.irregularities.append(Remark("numbers of images missing in between", file, detail))

    def remark_on_lost_labels(self) -> None:
        for path, label in self.labels.values():
            self.left_out.append(Remark("label without a sequence", layout.relative(path, self.root), label))


def _last_frames_only(root: Path) -> str:
    """The sentence for CK+48, which many downloads called CK+ are; empty if this is something else."""
    names = [path.name for path in layout.entries(root)]
    shrunk = [name for name in (*names, root.name) if LAST_FRAMES_ONLY.fullmatch(name)]
    if not shrunk and not {"anger", "contempt", "happy"} <= {name.lower() for name in names}:
        return ""
    return (
        f"{root} holds {shrunk[0] if shrunk else 'folders by emotion'}: this is CK+48, the last three frames of each "
        "CK+ sequence as small still pictures, which have no motion and whose random splits share persons; "
        f"get CK+ itself, with files such as '{EXAMPLE}'"
    )


def _find_trees(root: Path) -> tuple[Path, Path]:
    """The folder of the images and the folder of the labels; below the root, or labels beside it."""
    images, labels, limits = _trees_by_content(root)
    if not images:
        if labels:
            raise UsageError(
                f"{root} holds the labels of CK+ ({labels[0]}), but no images; "
                f"unpack its images there too, so that there are files such as '{EXAMPLE}'"
            )
        only_last = _last_frames_only(root)
        raise UsageError(only_last) if only_last else layout.not_here(
            root, title=TITLE, example=EXAMPLE, limits=limits
        )  # fmt: skip
    if not labels and images == [root]:
        _, labels, _ = _trees_by_content(root.parent)
    if not labels:
        raise UsageError(
            f"{root} holds the images of CK+ ({images[0]}), but no label files; "
            f"unpack the labels there too (Emotion_labels.zip), so that there are files such as '{EXAMPLE_LABEL}'"
        )
    for what, folders in (("images", images), ("labels", labels)):
        if len(folders) > 1:
            raise UsageError(
                f"{root} holds the {what} of CK+ {len(folders)} times, in {folders[0]} and in {folders[1]}; "
                "move one of them elsewhere"
            )
    return images[0], labels[0]


def _trees_by_content(root: Path) -> tuple[list[Path], list[Path], str]:
    """Folders of subjects that hold images, those that hold labels, and the limits of the search.

    Landmarks and action units have folders of the same shape.
    """
    search = layout.find_folders(root, _has_subjects)
    contents = {tree: _content(tree) for tree in search.found}
    images = [tree for tree, kinds in contents.items() if "images" in kinds]
    return images, [tree for tree, kinds in contents.items() if "labels" in kinds], search.limits


def _has_subjects(folder: Path) -> bool:
    return any(SUBJECT.fullmatch(path.name) and layout.is_folder(path) for path in layout.entries(folder))


def _content(tree: Path) -> set[str]:
    """Kinds of files in it: "images", "labels", both or none; folders of labels are often empty."""
    kinds = set()
    for path in islice(_files(tree), FILES_LOOKED_AT):
        if LABEL.fullmatch(path.name):
            kinds.add("labels")
        elif IMAGE.search(path.name):
            kinds.add("images")
    return kinds


def _files(tree: Path) -> Iterator[Path]:
    """What lies in the sequences of a tree.

    Raises:
        UsageError: a folder cannot be read; labels that are not seen would be labels that are not there.
    """
    for subject in layout.entries(tree):
        if SUBJECT.fullmatch(subject.name) and layout.is_folder(subject):
            for sequence in layout.entries(subject):
                if layout.is_folder(sequence):
                    yield from (path for path in layout.entries(sequence) if not is_stray(path.name))


def _read_labels(tree: Path) -> dict[tuple[str, str], tuple[Path, str]]:
    """(subject, sequence) -> label file and emotion."""
    labels: dict[tuple[str, str], tuple[Path, str]] = {}
    for path in _files(tree):
        if not LABEL.fullmatch(path.name):
            continue
        key, label = (path.parent.parent.name.upper(), path.parent.name), _read_label(path)
        first = labels.setdefault(key, (path, label))
        if first[1] != label:
            raise UsageError(f"{path} says {label}, but {first[0].name} beside it says {first[1]}; remove one of them")
    return labels


def _read_label(path: Path) -> str:
    """The emotion in a file that holds its code as `   3.0000000e+00`."""
    try:
        text = path.read_bytes()[:80].decode("latin-1").strip() if path.is_file() else "no regular file"
    except OSError as error:
        raise UsageError(f"{path}: label cannot be read ({error.strerror})") from error
    code = float(text) if NUMBER.fullmatch(text) else -1.0
    if code not in range(len(EMOTIONS)):
        raise UsageError(
            f"{path}: label is {text!r}; a code from 0 to 7 as in '   3.0000000e+00' was expected: "
            "restore the file from its source"
        )
    return EMOTIONS[int(code)]


ADAPTER = Adapter(TITLE, EXAMPLE, scan, {UNLABELLED: "sequences without an emotion label, for prediction"})
