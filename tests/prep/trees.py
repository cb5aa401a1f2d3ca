"""Corpora as their owners ship them, with files of one byte or links to real pictures: for tests of the adapters."""

from collections.abc import Iterable, Sequence
from itertools import cycle
from pathlib import Path

import av
import cv2

EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
SUBJECT_6 = [f"enterface database/subject 6/{emotion}/s6_{emotion[:2]}.avi" for emotion in EMOTIONS]
CKPLUS_IMAGES = 12  # of each sequence


def enterface_names(subjects: Iterable[int] = range(1, 45)) -> list[str]:
    """The paths of eNTERFACE'05 without subject 6, irregular where they are in the published archive."""
    return [
        f"enterface database/subject {subject}/{emotion}/sentence {sentence}/{name}"
        for subject in subjects
        for emotion in EMOTIONS
        for sentence in range(1, 6)
        for name in [_enterface_file(subject, emotion, sentence)]
        if subject != 6 and not (subject == 23 and emotion == "happiness" and sentence <= 3)
    ]


def _enterface_file(subject: int, emotion: str, sentence: int) -> str:
    if (subject, emotion, sentence) == (16, "surprise", 3):
        return "s16_su_3avi.avi"
    if subject == 2 and emotion == "anger" and sentence <= 2:
        sentence = 3 - sentence
    irregular_3 = subject == 3 and (emotion in EMOTIONS[3:] or (emotion, sentence) == ("fear", 5))
    prefix = "s_3" if irregular_3 else "s12" if subject == 11 else f"s{subject}"
    return f"{prefix}_{emotion[:2]}_{sentence}.avi"


def ckplus_tree(root: Path, labelled: dict[str, int], unlabelled: Sequence[str], pictures: Sequence[Path] = ()) -> Path:
    """CK+ with sequences such as "S005/001"; labelled ones with their code.

    Every second unlabelled sequence has an empty label folder, the others none.
    """
    names = []
    for sequence in (*labelled, *unlabelled):
        stem = sequence.replace("/", "_")
        names += [f"cohn-kanade-images/{sequence}/{stem}_{k:08}.png" for k in range(1, CKPLUS_IMAGES + 1)]
    make_files(root, names, pictures)
    for sequence, code in labelled.items():
        folder = root / "Emotion" / sequence
        folder.mkdir(parents=True)
        stem = sequence.replace("/", "_")
        (folder / f"{stem}_{CKPLUS_IMAGES:08}_emotion.txt").write_text(f"   {code:.7e}\n")
    for sequence in unlabelled[::2]:
        (root / "Emotion" / sequence).mkdir(parents=True)
    return root


def make_files(root: Path, names: Iterable[str], contents: Sequence[Path] = ()) -> Path:
    """Files below a root: links to some contents in turn, or with one byte in each."""
    for name, content in zip(names, cycle(contents or [None]), strict=False):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.write_bytes(b"x")
        else:
            path.symlink_to(content)
    return root


def ckplus_pictures(videos: Sequence[Path], home: Path) -> list[Path]:
    """First frames of some videos, one after the other, as CK+ has them: 640×490 grey, or 640×480 in colour."""
    home.mkdir(parents=True)
    pictures = []
    for number, video in enumerate(videos):
        grey = number % 2 == 0
        with av.open(str(video)) as container:
            for k, frame in zip(range(CKPLUS_IMAGES), container.decode(video=0), strict=False):
                rgb_HWC = cv2.resize(frame.to_ndarray(format="bgr24"), (640, 490 if grey else 480))
                path = home / f"{number}_{k}.png"
                cv2.imwrite(str(path), cv2.cvtColor(rgb_HWC, cv2.COLOR_BGR2GRAY) if grey else rgb_HWC)
                pictures.append(path)
    return pictures
