"""RAVDESS as it lies on disks: unpacked archives of empty files that have the names of the real ones."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path

import pytest

from fer_prep.corpora.ravdess import ADAPTER, CLASSES
from fer_prep.corpora.recording import Corpus
from fer_prep.errors import UsageError

ONE = "Actor_01/01-01-03-01-01-01-01.mp4"


def takes(actor: int) -> list[str]:
    """Names without modality: 60 spoken, and 44 sung that actor 18 does not have."""
    spoken = [("01", emotion, level) for emotion, level in product(range(1, 9), (1, 2)) if (emotion, level) != (1, 2)]
    sung = [("02", emotion, level) for emotion, level in product(range(1, 7), (1, 2)) if (emotion, level) != (1, 2)]
    return [
        f"{channel}-{emotion:02}-{level:02}-{statement}-{repetition}-{actor:02}"
        for channel, emotion, level in spoken + sung * (actor != 18)
        for statement, repetition in product(("01", "02"), repeat=2)
    ]


def plant(root: Path, files: Iterable[str]) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def speech(top: Callable[[int], str], actors: Iterable[int] = range(1, 25), modality: str = "01") -> list[str]:
    return [f"{top(actor)}/{modality}-{take}.mp4" for actor in actors for take in takes(actor) if take.startswith("01")]


def scan(root: Path, *include: str) -> Corpus:
    return ADAPTER.scan(root, frozenset(include))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All archives, each unpacked into a folder of its own."""
    root = tmp_path_factory.mktemp("ravdess")
    files = ["LICENSE.txt"]
    for actor in range(1, 25):
        for take in takes(actor):
            kind = "Speech" if take.startswith("01") else "Song"
            files += [f"Video_{kind}_Actor_{actor:02}/Actor_{actor:02}/{m}-{take}.mp4" for m in ("01", "02")]
            files.append(f"Audio_{kind}_Actors_01-24/Actor_{actor:02}/03-{take}.wav")
    return plant(root, files)


def test_the_whole_corpus_is_1440_spoken_takes(everything: Path) -> None:
    start = time.process_time()
    corpus = scan(everything)
    assert time.process_time() - start < 1
    assert (corpus.name, corpus.root, corpus.classes) == ("ravdess", everything, CLASSES)
    assert Counter(r.label for r in corpus.recordings) == {name: 96 if name == "neutral" else 192 for name in CLASSES}
    assert len({r.id for r in corpus.recordings}) == len(corpus.recordings) == 1440
    assert Counter(r.group for r in corpus.recordings) == dict.fromkeys(range(1, 7), 240)
    assert len({(r.subject, r.group) for r in corpus.recordings}) == 24
    assert not corpus.irregularities
    assert Counter(remark.kind for remark in corpus.left_out) == {
        "same take as audio-video file": 1440,
        "song": 2 * 1012,
        "sound only": 1440 + 1012,
    }


def test_songs_are_taken_when_they_are_asked_for(everything: Path) -> None:
    assert set(ADAPTER.optional) == {"songs"}
    corpus = scan(everything, "songs")
    assert Counter(dict(r.extra)["channel"] for r in corpus.recordings) == {"speech": 1440, "song": 1012}
    assert {remark.kind for remark in corpus.left_out} == {"same take as audio-video file", "sound only"}


def test_a_recording_knows_what_its_name_says(everything: Path) -> None:
    recording = next(r for r in scan(everything).recordings if r.id == "Actor_05/01-01-08-02-02-01-05.mp4")
    assert recording.file == "Video_Speech_Actor_05/Actor_05/01-01-08-02-02-01-05.mp4"
    assert recording.path == everything / recording.file
    assert (recording.subject, recording.label, recording.group) == ("05", "surprised", 2)
    assert dict(recording.extra) == {"intensity": "strong", "statement": "2", "repetition": "1", "channel": "speech"}


def test_recordings_are_ordered_by_actor_emotion_and_name(everything: Path) -> None:
    recordings = scan(everything, "songs").recordings
    places = [(r.subject, CLASSES.index(r.label or ""), r.id) for r in recordings]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "top",
    [
        lambda actor: f"Actor_{actor:02}",
        lambda actor: f"Video_Speech_Actor_{actor:02}",
        lambda actor: f"RAVDESS/Video_Speech_Actor_{actor:02}/Actor_{actor:02}",
        lambda actor: f"videos/actor-{actor}",
        lambda actor: f"Actor {actor:02} (1)",
        lambda actor: f"ACTOR{actor:02}",
        lambda actor: "all in one",
        lambda actor: f"Video_Speech_Actor_01/Actor_{actor:02}",
    ],
)
def test_top_folders_change_nothing(tmp_path: Path, everything: Path, top: Callable[[int], str]) -> None:
    def facts(corpus: Corpus) -> list[tuple[object, ...]]:
        return [(r.id, r.subject, r.label, r.group, r.extra) for r in corpus.recordings]

    corpus = scan(plant(tmp_path, speech(top)))
    assert facts(corpus) == facts(scan(everything))
    assert not corpus.left_out
    assert not corpus.irregularities


def test_root_may_be_one_actor_and_a_part_is_said(tmp_path: Path) -> None:
    plant(tmp_path, speech("Actor_{:02}".format, [7]))
    corpus = scan(tmp_path / "Actor_07")
    assert {r.subject for r in corpus.recordings} == {"07"}
    assert corpus.recordings[0].id == "Actor_07/01-01-01-01-01-01-07.mp4"
    (remark,) = corpus.irregularities
    assert (remark.kind, remark.path) == ("recordings missing", "")
    assert remark.detail == "1,440 speech videos are expected, 60 are here: none of actor 01, 02, 03 and 20 more"


def test_missing_takes_are_said(tmp_path: Path) -> None:
    files = speech("Actor_{:02}".format, [n for n in range(1, 25) if n != 23])
    (remark,) = scan(plant(tmp_path, files[1:])).irregularities
    assert remark.detail == "1,440 speech videos are expected, 1,379 are here: none of actor 23; not all of actor 01"


def test_video_only_files_are_taken_where_there_are_no_others(tmp_path: Path) -> None:
    silent = speech("Actor_{:02}".format, modality="02")
    corpus = scan(plant(tmp_path, silent))
    assert len(corpus.recordings) == 1440
    assert not corpus.left_out
    plant(tmp_path, ["more/" + ONE])
    corpus = scan(tmp_path)
    assert len(corpus.recordings) == 1440
    assert "Actor_01/01-01-03-01-01-01-01.mp4" in {r.id for r in corpus.recordings}
    (remark,) = corpus.left_out
    assert (remark.path, remark.detail) == ("Actor_01/02-01-03-01-01-01-01.mp4", f"more/{ONE} is taken")


def test_a_second_copy_is_left_out(tmp_path: Path) -> None:
    corpus = scan(plant(tmp_path, [f"unpacked 10/{ONE}", f"unpacked 2/{ONE}", f"unpacked 10/{ONE[:-4]}.avi"]))
    assert [r.file for r in corpus.recordings] == [f"unpacked 2/{ONE}"]
    assert {(remark.kind, remark.path, remark.detail) for remark in corpus.left_out} == {
        ("second copy", f"unpacked 10/{ONE}", f"unpacked 2/{ONE} comes first"),
        ("second copy", f"unpacked 10/{ONE[:-4]}.avi", f"unpacked 2/{ONE} comes first"),
    }


@pytest.mark.parametrize(
    ("file", "kind", "detail"),
    [
        ("Actor_01/01-01-03-01-01-01-01 (1).mp4", "name does not fit", "seven codes of two digits"),
        ("Actor_01/01-01-03-01-01-01.mp4", "name does not fit", "seven codes of two digits"),
        ("Actor_01/holiday.mp4", "name does not fit", "seven codes of two digits"),
        ("Actor_01/01-01-09-01-01-01-01.mp4", "name does not fit", "emotion is 09; 01 to 08 were expected"),
        ("Actor_01/01-01-00-01-01-01-01.mp4", "name does not fit", "emotion is 00; 01 to 08 were expected"),
        ("Actor_25/01-01-03-01-01-01-25.mp4", "name does not fit", "actor is 25; 01 to 24 were expected"),
        ("Actor_01/01-01-01-02-01-01-01.mp4", "name does not fit", "nothing neutral is strong"),
        ("Actor_02/01-01-03-02-01-01-01.mp4", "folder and name disagree about the actor", "02 or 01"),
        ("Actor_01/03-01-03-01-01-01-01.mp4", "sound only", ""),
        ("Actor_01/03-01-03-01-01-01-01.wav", "sound only", ""),
        ("Actor_01/01-02-03-01-01-01-01.mp4", "song", "--include songs takes it"),
    ],
)
def test_what_is_no_recording_is_left_out_with_its_reason(tmp_path: Path, file: str, kind: str, detail: str) -> None:
    corpus = scan(plant(tmp_path, [ONE, file]))
    assert [r.id for r in corpus.recordings] == [ONE]
    (remark,) = corpus.left_out
    assert (remark.kind, remark.path) == (kind, file)
    assert detail in remark.detail


def test_strays_are_ignored_and_said(tmp_path: Path) -> None:
    strays = [".DS_Store", "Actor_01/Thumbs.db", f"Actor_01/._{ONE[9:]}", "Actor_01/notes.txt"]
    corpus = scan(plant(tmp_path, [ONE, *strays, f"__MACOSX/{ONE}", "papers/README.txt"]))
    assert [r.id for r in corpus.recordings] == [ONE]
    assert not corpus.left_out
    said = {remark.path for remark in corpus.irregularities if remark.kind.startswith("stray")}
    assert said == {*strays, "__MACOSX"}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (
            ["Actor_01/03-01-03-01-01-01-01.wav"],
            r"no speech video \(1 × sound only\); expected files such as 'Actor_01/",
        ),
        (
            ["Actor_01/03-01-03-01-01-01-01.wav"],
            r"unpack Video_Speech_Actor_01.zip to Video_\w+_24.zip there$",
        ),
        (["Actor_01/01-02-03-01-01-01-01.mp4"], r"\(1 × song\).*, or take the songs with --include songs"),
        (["subject 1/anger/sentence 1/s1_an_1.avi"], "is not RAVDESS: it holds 'subject 1', and no files such as"),
        (["Video_Speech_Actor_01.zip"], "holds Video_Speech_Actor_01.zip, which is not unpacked"),
    ],
)
def test_a_directory_without_speech_videos_is_one_sentence(tmp_path: Path, files: list[str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        scan(plant(tmp_path, files))
    assert str(tmp_path) in str(caught.value)
