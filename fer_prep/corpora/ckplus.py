"""CK+: images in `cohn-kanade-images/S005/001/`, their label in `Emotion/S005/001/S005_001_00000011_emotion.txt`.

A recording is a directory of numbered images, neutral face first, peak last. Subject and sequence come from the
directories. Only 327 of 593 sequences are labelled.
"""

import re
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
    found = _Scan(root, _read_labels(labels, root), take_unlabelled=UNLABELLED in include)
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

    def add_subject(self, folder: Path) -> None:
        if not (SUBJECT.fullmatch(folder.name) and folder.is_dir()):
            self.irregularities.append(layout.stray(folder, self.root))
            return
        for sequence in layout.entries(folder):
            if SEQUENCE.fullmatch(sequence.name) and sequence.is_dir():
                self._add_sequence(folder.name.upper(), sequence)
            else:
                self.irregularities.append(layout.stray(sequence, self.root))

    def _add_sequence(self, subject: str, folder: Path) -> None:
        file = layout.relative(folder, self.root)
        _, label = self.labels.pop((subject, folder.name), (None, None))
        if label is None and not self.take_unlabelled:
            self.left_out.append(Remark("unlabelled sequence", file, f"--include {UNLABELLED} takes it"))
            return
        self.recordings.append(Recording(f"{subject}/{folder.name}", file, folder, subject, label))
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
    found = _trees_by_content(root)
    if not found["images"]:
        if found["labels"]:
            raise UsageError(
                f"{root} holds the labels of CK+ ({found['labels'][0]}), but no images; "
                f"unpack its images there too, so that there are files such as '{EXAMPLE}'"
            )
        raise UsageError(_last_frames_only(root) or layout.not_here(root, title=TITLE, example=EXAMPLE))
    if not found["labels"] and found["images"] == [root]:
        found["labels"] = _trees_by_content(root.parent)["labels"]
    if not found["labels"]:
        raise UsageError(
            f"{root} holds the images of CK+ ({found['images'][0]}), but no label files; "
            f"unpack the labels there too (Emotion_labels.zip), so that there are files such as '{EXAMPLE_LABEL}'"
        )
    for what, folders in found.items():
        if len(folders) > 1:
            raise UsageError(
                f"{root} holds the {what} of CK+ {len(folders)} times, in {folders[0]} and in {folders[1]}; "
                "name one copy with --root"
            )
    return found["images"][0], found["labels"][0]


def _trees_by_content(root: Path) -> dict[str, list[Path]]:
    """Folders of subjects, by what is in them: landmarks and action units have folders of the same shape."""
    found: dict[str, list[Path]] = {"images": [], "labels": []}
    for tree in layout.find_folders(root, _has_subjects):
        what = _content(tree)
        if what:
            found[what].append(tree)
    return found


def _has_subjects(folder: Path) -> bool:
    return any(SUBJECT.fullmatch(path.name) for path in layout.entries(folder))


def _content(tree: Path) -> str:
    """By the first telling file in it; folders of labels are often empty."""
    for path in islice(tree.glob("[Ss]*/*/*"), FILES_LOOKED_AT):
        if LABEL.fullmatch(path.name):
            return "labels"
        if IMAGE.search(path.name) and not is_stray(path.name):
            return "images"
    return ""


def _read_labels(tree: Path, root: Path) -> dict[tuple[str, str], tuple[Path, str]]:
    """(subject, sequence) -> label file and emotion."""
    labels: dict[tuple[str, str], tuple[Path, str]] = {}
    for path in sorted(tree.glob("*/*/*")):
        if is_stray(path.name) or not LABEL.fullmatch(path.name):
            continue
        key, label = (path.parent.parent.name.upper(), path.parent.name), _read_label(path)
        first = labels.setdefault(key, (path, label))
        if first[1] != label:
            raise UsageError(f"{path} says {label}, but {first[0].name} beside it says {first[1]}; remove one of them")
    return labels


def _read_label(path: Path) -> str:
    """The emotion in a file that holds its code as `   3.0000000e+00`."""
    try:
        text = path.read_text(encoding="utf-8")
        code = float(text)
    except OSError as error:
        raise UsageError(f"{path}: label cannot be read ({error.strerror})") from error
    except ValueError:
        code, text = -1.0, path.read_bytes()[:40].decode("latin-1")
    if code not in range(len(EMOTIONS)):
        raise UsageError(
            f"{path}: label is {text.strip()!r}; a code from 0 to 7 as in '   3.0000000e+00' was expected: "
            "restore the file from its source"
        )
    return EMOTIONS[int(code)]


ADAPTER = Adapter(TITLE, EXAMPLE, scan, {UNLABELLED: "the 266 sequences without an emotion label, for prediction"})
