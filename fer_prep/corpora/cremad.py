"""CREMA-D: `VideoFlash/1001_DFA_ANG_XX.flv`, whose name says actor, sentence, emotion and level of emotion.

Of the sound-only copies beside the videos (AudioWAV, AudioMP3) nothing is said.
"""

import re
from collections import Counter
from pathlib import Path

from fer_prep.corpora import layout
from fer_prep.corpora.recording import Adapter, Corpus, Recording, Remark
from fer_prep.errors import UsageError
from fer_prep.files import is_stray

TITLE = "CREMA-D"
EXAMPLE = "VideoFlash/1001_DFA_ANG_XX.flv"
EMOTIONS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
CLASSES = tuple(EMOTIONS.values())
SENTENCES = frozenset({"DFA", "IEO", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI"})
LEVELS = frozenset({"XX", "LO", "MD", "HI"})
ACTORS = range(1001, 1092)
ALL_VIDEOS = 7442
KNOWN_BAD = "known-bad"
BAD = {
    "1064_IEO_DIS_MD": "a minute long, with all emotions",
    "1064_TIE_SAD_XX": "has no duration",
    "1076_MTI_NEU_XX": "very short",
    "1076_MTI_SAD_XX": "shows an error message",
}
NAME = re.compile(rf"[0-9]{{4}}_[A-Z]{{3}}_({'|'.join(EMOTIONS)})_[A-Z]{{1,2}}")


def scan(root: Path, include: frozenset[str]) -> Corpus:
    """All videos, ordered by actor, emotion, name.

    Raises:
        WrongPlaceError: the directory is not this corpus.
        UsageError: none of its files is a video that is used.
    """
    files = layout.files_below(root)
    there = [file for file in files if not is_stray(file.name)]
    videos = [file for file in there if file.suffix in layout.VIDEO_SUFFIXES]
    sounds = [file for file in there if file.suffix in layout.AUDIO_SUFFIXES]
    if not any(NAME.fullmatch(file.stem.upper()) for file in (*videos, *sounds)):
        raise layout.not_here(root, title=TITLE, example=EXAMPLE)
    irregularities = layout.strays_among(files, root)
    left_out: list[Remark] = []
    first: dict[str, layout.File] = {}
    recordings: list[Recording] = []
    for file in videos:
        stem = file.stem.upper()
        if misfit := _misfit(stem):
            left_out.append(Remark("name does not fit", file.path, misfit))
        elif stem in first:
            left_out.append(Remark("second copy", file.path, f"{first[stem].path} comes first"))
        else:
            first[stem] = file
            if stem in BAD and KNOWN_BAD not in include:
                left_out.append(Remark("known to be bad", file.path, f"{BAD[stem]}; --include {KNOWN_BAD} takes it"))
            else:
                recordings.append(_recording(root, file))
                irregularities += _peculiar(stem, file)
    if not recordings:
        raise UsageError(_nothing_left(root, left_out, len(sounds)))
    recordings.sort(key=lambda recording: (recording.subject, CLASSES.index(recording.label or ""), recording.id))
    irregularities += _missing(first)
    return Corpus("cremad", root, CLASSES, tuple(recordings), tuple(irregularities), tuple(left_out))


def _misfit(stem: str) -> str:
    if not NAME.fullmatch(stem):
        return "actor_SENTENCE_EMOTION_LEVEL was expected"
    if int(stem[:4]) not in ACTORS:
        return f"actor is {stem[:4]}; {ACTORS[0]} to {ACTORS[-1]} were expected"
    return ""


def _peculiar(stem: str, file: layout.File) -> list[Remark]:
    """What was taken nevertheless: neither sentence nor level is needed."""
    _, sentence, _, level = stem.split("_")
    remarks = [Remark("known to be bad, taken nevertheless", file.path, BAD[stem])] if stem in BAD else []
    if sentence not in SENTENCES:
        remarks.append(Remark("unknown sentence code", file.path, sentence))
    if level not in LEVELS:
        remarks.append(Remark("unknown level code", file.path, level))
    return remarks


def _recording(root: Path, file: layout.File) -> Recording:
    actor, sentence, emotion, level = file.stem.upper().split("_")
    return Recording(
        id=f"{file.stem.upper()}{file.suffix}",
        file=file.path,
        path=root / file.path,
        subject=actor,
        label=EMOTIONS[emotion],
        group=min((int(actor) - ACTORS[0]) // 18, 4) + 1,  # the last of five groups has 19 actors
        extra=(("sentence", sentence), ("level", level)),
    )


def _missing(stems: dict[str, layout.File]) -> list[Remark]:
    if len(stems) >= ALL_VIDEOS:
        return []
    there = {int(stem[:4]) for stem in stems}
    none = [str(actor) for actor in ACTORS if actor not in there]
    who = f": none of actor {layout.some(none)}" if none else ""
    return [Remark("recordings missing", "", f"{ALL_VIDEOS:,} videos are expected, {len(stems):,} are here{who}")]


def _nothing_left(root: Path, left_out: list[Remark], n_sounds: int) -> str:
    kinds = Counter({"sound only": n_sounds}) + Counter(remark.kind for remark in left_out)
    found = ", ".join(f"{n:,} × {kind}" for kind, n in kinds.items())
    return (
        f"{root} holds files of {TITLE}, but no video to use ({found}); expected files such as '{EXAMPLE}': "
        f"put the folder VideoFlash of {TITLE} there"
    )


ADAPTER = Adapter(TITLE, EXAMPLE, scan, {KNOWN_BAD: "the four videos that are known to be short, long or broken"})
