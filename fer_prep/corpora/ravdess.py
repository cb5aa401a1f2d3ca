"""RAVDESS: `Actor_01/MM-VC-EE-II-SS-RR-AA.mp4`, whose seven codes say everything: folders only confirm the actor.

An audio-video file (01-) and a video-only file (02-) with the same further codes show one take; it is used once.
"""

import re
from collections import Counter
from pathlib import Path

from fer_prep.corpora import layout
from fer_prep.corpora.recording import Adapter, Corpus, Recording, Remark
from fer_prep.errors import UsageError
from fer_prep.files import is_stray

TITLE = "RAVDESS"
EXAMPLE = "Actor_01/01-01-03-01-01-01-01.mp4"
CLASSES = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")  # by code, from 01
SONGS = "songs"
ACTORS = tuple(f"{number:02}" for number in range(1, 25))
SPEECH_PER_ACTOR = 60

NAME = re.compile(r"[0-9]{2}(-[0-9]{2}){6}")
# the codes of a name, in its order, and the highest of each; all count from 01
HIGHEST = {"modality": 3, "channel": 2, "emotion": 8, "intensity": 2, "statement": 2, "repetition": 2, "actor": 24}
AUDIO_VIDEO, VIDEO_ONLY, AUDIO_ONLY = "01", "02", "03"
CHANNELS, INTENSITIES = {"01": "speech", "02": "song"}, {"01": "normal", "02": "strong"}
FOLDER = re.compile(r"(.*[^a-z])?actor[-_ ]*(?P<actor>[0-9]+)( ?\([0-9]+\))?", re.IGNORECASE)


def scan(root: Path, include: frozenset[str]) -> Corpus:
    """All takes on video, ordered by actor, emotion, name.

    Raises:
        WrongPlaceError: the directory is not this corpus.
        UsageError: none of its files is a video that is used.
    """
    files = layout.files_below(root)
    known = layout.VIDEO_SUFFIXES | layout.AUDIO_SUFFIXES
    media = [file for file in files if file.suffix in known and not is_stray(file.name)]
    if not any(NAME.fullmatch(file.stem) for file in media):
        raise layout.not_here(root, title=TITLE, example=EXAMPLE)
    irregularities = layout.strays_among(files, root)
    left_out: list[Remark] = []
    taken: dict[str, layout.File] = {}
    for file in media:
        if remark := _why_not(file, take_songs=SONGS in include):
            left_out.append(remark)
        elif file.stem in taken:
            left_out.append(Remark("second copy", file.path, f"{taken[file.stem].path} comes first"))
        else:
            taken[file.stem] = file
    for stem in [stem for stem in taken if stem.startswith(VIDEO_ONLY)]:
        other = taken.get(AUDIO_VIDEO + stem.removeprefix(VIDEO_ONLY))
        if other is not None:
            left_out.append(Remark("same take as audio-video file", taken.pop(stem).path, f"{other.path} is taken"))
    if not taken:
        raise UsageError(_nothing_left(root, left_out))
    recordings = sorted((_recording(root, file) for file in taken.values()), key=_place)
    irregularities += _missing(recordings)
    return Corpus("ravdess", root, CLASSES, tuple(recordings), tuple(irregularities), tuple(left_out))


def _why_not(file: layout.File, *, take_songs: bool) -> Remark | None:
    """Why this file is left out, whatever else there is."""
    if file.suffix in layout.AUDIO_SUFFIXES:
        return Remark("sound only", file.path)
    if misfit := _misfit(file.stem):
        return Remark("name does not fit", file.path, misfit)
    modality, channel, *_, actor = file.stem.split("-")
    if modality == AUDIO_ONLY:
        return Remark("sound only", file.path)
    of_folders = [int(match["actor"]) for name in file.folder.split("/") if (match := FOLDER.fullmatch(name))]
    if of_folders and of_folders[-1] != int(actor):
        return Remark("folder and name disagree about the actor", file.path, f"{of_folders[-1]:02} or {actor}")
    if CHANNELS[channel] == "song" and not take_songs:
        return Remark("song", file.path, f"--include {SONGS} takes it")
    return None


def _misfit(stem: str) -> str:
    if not NAME.fullmatch(stem):
        return "seven codes of two digits were expected"
    codes = dict(zip(HIGHEST, stem.split("-"), strict=True))
    for what, highest in HIGHEST.items():
        if not 1 <= int(codes[what]) <= highest:
            return f"{what} is {codes[what]}; 01 to {highest:02} were expected"
    if CLASSES[int(codes["emotion"]) - 1] == "neutral" and INTENSITIES[codes["intensity"]] == "strong":
        return "nothing neutral is strong"
    return ""


def _recording(root: Path, file: layout.File) -> Recording:
    _, channel, emotion, intensity, statement, repetition, actor = file.stem.split("-")
    return Recording(
        id=f"Actor_{actor}/{file.stem}{file.suffix}",
        file=file.path,
        path=root / file.path,
        subject=actor,
        label=CLASSES[int(emotion) - 1],
        group=(int(actor) - 1) // 4 + 1,
        extra=(
            ("intensity", INTENSITIES[intensity]),
            ("statement", str(int(statement))),
            ("repetition", str(int(repetition))),
            ("channel", CHANNELS[channel]),
        ),
    )


def _place(recording: Recording) -> tuple[str, int, str]:
    return recording.subject, CLASSES.index(recording.label or ""), recording.id


def _missing(recordings: list[Recording]) -> list[Remark]:
    """Spoken takes only: they are what everybody uses, and the songs are not complete anyway."""
    there = Counter(recording.subject for recording in recordings if ("channel", "speech") in recording.extra)
    none = [actor for actor in ACTORS if not there[actor]]
    fewer = [actor for actor in ACTORS if 0 < there[actor] < SPEECH_PER_ACTOR]
    who = [f"none of actor {layout.some(none)}"] * bool(none) + [f"not all of actor {layout.some(fewer)}"] * bool(fewer)
    expected = SPEECH_PER_ACTOR * len(ACTORS)
    detail = f"{expected:,} speech videos are expected, {there.total():,} are here: {'; '.join(who)}"
    return [Remark("recordings missing", "", detail)] if who else []


def _nothing_left(root: Path, left_out: list[Remark]) -> str:
    kinds = Counter(remark.kind for remark in left_out)
    found = ", ".join(f"{n:,} × {kind}" for kind, n in kinds.items())
    songs = f", or take the songs with --include {SONGS}" if "song" in kinds else ""
    return (
        f"{root} holds files of {TITLE}, but no speech video ({found}); expected files such as '{EXAMPLE}': "
        f"unpack Video_Speech_Actor_01.zip to Video_Speech_Actor_24.zip there{songs}"
    )


ADAPTER = Adapter(TITLE, EXAMPLE, scan, {SONGS: "sung recordings (channel 02)"})
