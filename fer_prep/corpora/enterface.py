"""eNTERFACE'05: `enterface database/subject N/<emotion>/sentence K/sN_<code>_K.avi`.

Subject and emotion come from the folders, never from the file name: 49 of 1,287 names say something else.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from fer_prep.corpora import layout
from fer_prep.corpora.recording import Adapter, Corpus, Recording, Remark
from fer_prep.errors import UsageError
from fer_prep.order import natural_key

TITLE = "eNTERFACE'05"
EXAMPLE = "enterface database/subject 1/anger/sentence 1/s1_an_1.avi"
CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
SUBJECTS, SENTENCES = range(1, 45), range(1, 6)
LAST_OF_GROUP = (10, 19, 28, 37, 44)  # the only public list of five groups
UNSEGMENTED = "unsegmented"

SUBJECT = re.compile(r"subject[ _-]*0*([1-9]\d*)", re.IGNORECASE)
SENTENCE = re.compile(r"sentence[ _-]*0*([1-9]\d*)", re.IGNORECASE)


def scan(root: Path, include: frozenset[str]) -> Corpus:
    """All sentences of all subjects, ordered by subject, emotion, sentence.

    Raises:
        WrongPlaceError: the directory is not this corpus.
        UsageError: it holds the corpus twice, or without videos.
    """
    found = _Scan(root, take_unsegmented=UNSEGMENTED in include)
    database = layout.the_folder(root, _has_subjects, title=TITLE, example=EXAMPLE)
    for folder in layout.entries(database):
        found.add_subject(folder)
    if not found.recordings:
        raise UsageError(
            f"{database} has subject folders, but no videos in them; expected files such as '{EXAMPLE}': "
            "unpack the archive again"
        )
    found.remark_on_what_is_missing()
    recordings = sorted(found.recordings, key=_place)
    return Corpus("enterface", root, CLASSES, tuple(recordings), tuple(found.irregularities), tuple(found.left_out))


@dataclass
class _Scan:
    """What was found so far."""

    root: Path
    take_unsegmented: bool
    recordings: list[Recording] = field(default_factory=list)
    irregularities: list[Remark] = field(default_factory=list)
    left_out: list[Remark] = field(default_factory=list)
    sentences: set[tuple[int, str, int]] = field(default_factory=set)
    unsegmented: set[int] = field(default_factory=set)

    def add_subject(self, folder: Path) -> None:
        match = SUBJECT.fullmatch(folder.name)
        if match is None or not layout.is_folder(folder):
            self._stray(folder)
        elif int(match[1]) not in SUBJECTS:
            self.left_out.append(
                Remark(f"no subject of {TITLE}", layout.relative(folder, self.root), "subjects are 1 to 44")
            )
        else:
            for path in layout.entries(folder):
                if path.name.lower() in CLASSES and layout.is_folder(path):
                    self._add_emotion(path, int(match[1]), path.name.lower())
                else:
                    self._stray(path)

    def _add_emotion(self, folder: Path, subject: int, label: str) -> None:
        for path in layout.entries(folder):
            match = SENTENCE.fullmatch(path.name)
            if match is not None and layout.is_folder(path):
                self._add_sentence(path, subject, label, int(match[1]))
            elif not layout.is_video(path):
                self._stray(path)
            else:
                self._add_unsegmented(path, subject, label)

    def _add_unsegmented(self, path: Path, subject: int, label: str) -> None:
        self.unsegmented.add(subject)
        id_ = f"subject {subject}/{label}/{path.name}"
        if any(recording.id == id_ for recording in self.recordings):
            self.left_out.append(Remark("second copy of an unsegmented recording", self._file(path)))
        elif self.take_unsegmented:
            self._add(path, subject, label, id_)
        else:
            self.left_out.append(Remark("unsegmented recording", self._file(path), f"--include-{UNSEGMENTED} takes it"))

    def _add_sentence(self, folder: Path, subject: int, label: str, sentence: int) -> None:
        regular = f"s{subject}_{label[:2]}_{sentence}"
        paths = layout.entries(folder)
        videos = sorted(filter(layout.is_video, paths), key=lambda path: (path.stem != regular, natural_key(path.name)))
        for path in paths:
            if path not in videos:
                self._stray(path)
        if not videos:
            return
        if (subject, label, sentence) in self.sentences:
            self.left_out += [Remark("second copy of a sentence", self._file(path)) for path in videos]
            return
        name = videos[0].name
        self.sentences.add((subject, label, sentence))
        if sentence not in SENTENCES:
            self.irregularities.append(Remark("sentence beyond the five, taken", self._file(folder)))
        id_ = f"subject {subject}/{label}/sentence {sentence}/{name}"
        self._add(videos[0], subject, label, id_, ("sentence", str(sentence)))
        if videos[0].stem != regular:
            self.irregularities.append(
                Remark("file name differs from its folders, which count", self._file(videos[0]), f"not {regular}")
            )
        for path in videos[1:]:
            self.left_out.append(Remark("second file of a sentence", self._file(path), f"{name} is taken"))

    def _add(self, path: Path, subject: int, label: str, id_: str, *extra: tuple[str, str]) -> None:
        file, group = self._file(path), _group(subject)
        self.recordings.append(Recording(id_, file, path, str(subject), label, group, extra=extra))

    def _stray(self, path: Path) -> None:
        self.irregularities.append(layout.stray(path, self.root))

    def _file(self, path: Path) -> str:
        return layout.relative(path, self.root)

    def remark_on_what_is_missing(self) -> None:
        """Whole subjects in one remark, sentences of the others in one for each emotion."""
        there = {subject for subject, _, _ in self.sentences}
        absent = [str(subject) for subject in SUBJECTS if subject not in there | self.unsegmented]
        if absent:
            detail = f"{len(absent)} of {len(SUBJECTS)}: {', '.join(absent)}"
            self.irregularities.append(Remark("subjects missing", "", detail))
        for subject, label in ((subject, label) for subject in sorted(there) for label in CLASSES):
            missing = [str(k) for k in SENTENCES if (subject, label, k) not in self.sentences]
            if missing:
                self.irregularities.append(
                    Remark("sentences missing", f"subject {subject}/{label}", f"sentence {', '.join(missing)}")
                )


def _has_subjects(folder: Path) -> bool:
    return any(_is_subject(path) for path in layout.entries(folder))


def _is_subject(folder: Path) -> bool:
    """A folder `subject N` with an emotion in it: other corpora have subjects too."""
    return (
        SUBJECT.fullmatch(folder.name) is not None
        and layout.is_folder(folder)
        and any(path.name.lower() in CLASSES for path in layout.entries(folder))
    )


def _place(recording: Recording) -> tuple[int, int, object]:
    return int(recording.subject), CLASSES.index(recording.label or ""), natural_key(recording.id)


def _group(subject: int) -> int:
    return 1 + next(k for k, last in enumerate(LAST_OF_GROUP) if subject <= last)


ADAPTER = Adapter(
    TITLE, EXAMPLE, scan, {UNSEGMENTED: "subject 6, whose six files hold all sentences of an emotion uncut"}
)
