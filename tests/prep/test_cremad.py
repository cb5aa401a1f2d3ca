"""CREMA-D as it lies on disks: empty files that have names like the real ones, and about as many of each."""

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from fer_prep.corpora.cremad import ADAPTER, BAD, CLASSES, SENTENCES
from fer_prep.corpora.recording import Corpus
from fer_prep.errors import UsageError

ONE = "1001_DFA_ANG_XX.flv"


def stems() -> list[str]:
    """7,442 names: every actor's 82, less 20 as in the real corpus, though which 20 is made up here."""
    emotions = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
    names = [
        f"{actor}_{sentence}_{emotion}_{level}"
        for actor in range(1001, 1092)
        for sentence in sorted(SENTENCES)
        for emotion in emotions
        for level in (("LO", "MD", "HI") if sentence == "IEO" and emotion != "NEU" else ("XX",))
    ]
    dropped = [f"{actor}_TSI_{emotion}_XX" for emotion in emotions for actor in range(1002, 1005)]
    dropped += ["1005_TSI_NEU_XX", "1006_TSI_NEU_XX"]
    return [name for name in names if name not in dropped]


def plant(root: Path, files: Iterable[str]) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def scan(root: Path, *include: str) -> Corpus:
    return ADAPTER.scan(root, frozenset(include))


def facts(corpus: Corpus) -> list[tuple[object, ...]]:
    return [(r.id, r.subject, r.label, r.group, r.extra) for r in corpus.recordings]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as its owners ship it."""
    root = tmp_path_factory.mktemp("cremad")
    names = stems()
    plant(root, ["README.md", "VideoDemographics.csv", "processedResults/summaryTable.csv"])
    plant(root, (f"AudioWAV/{name}.wav" for name in names))
    return plant(root, (f"VideoFlash/{name}.flv" for name in names))


def test_the_whole_corpus_is_7442_videos_less_four_bad_ones(everything: Path) -> None:
    start = time.process_time()
    corpus = scan(everything)
    assert time.process_time() - start < 1
    assert (corpus.name, corpus.root, corpus.classes) == ("cremad", everything, CLASSES)
    assert CLASSES == ("anger", "disgust", "fear", "happy", "neutral", "sad")
    assert len({r.id for r in corpus.recordings}) == len(corpus.recordings) == 7438
    assert not corpus.irregularities
    assert Counter(remark.kind for remark in corpus.left_out) == {"known to be bad": 4}
    for remark in corpus.left_out:
        assert remark.detail == f"{BAD[Path(remark.path).stem]}; --include known-bad takes it"


def test_the_bad_ones_are_taken_when_they_are_asked_for(everything: Path) -> None:
    assert set(ADAPTER.optional) == {"known-bad"}
    corpus = scan(everything, "known-bad")
    expected = {name: 1087 if name == "neutral" else 1271 for name in CLASSES}
    assert Counter(r.label for r in corpus.recordings) == expected
    assert not corpus.left_out
    assert {Path(remark.path).stem for remark in corpus.irregularities} == set(BAD)
    assert {remark.kind for remark in corpus.irregularities} == {"known to be bad, taken nevertheless"}


def test_five_groups_of_actors_share_nobody(everything: Path) -> None:
    group_of = {(r.subject, r.group) for r in scan(everything).recordings}
    assert len(group_of) == 91
    assert Counter(group for _, group in group_of) == {1: 18, 2: 18, 3: 18, 4: 18, 5: 19}
    assert {("1018", 1), ("1019", 2), ("1072", 4), ("1073", 5), ("1091", 5)} <= group_of


def test_a_recording_knows_what_its_name_says(everything: Path) -> None:
    recording = next(r for r in scan(everything).recordings if r.id == "1019_IEO_SAD_HI.flv")
    assert recording.file == "VideoFlash/1019_IEO_SAD_HI.flv"
    assert recording.path == everything / recording.file
    assert (recording.subject, recording.label, recording.group) == ("1019", "sad", 2)
    assert dict(recording.extra) == {"sentence": "IEO", "level": "HI"}


def test_recordings_are_ordered_by_actor_emotion_and_name(everything: Path) -> None:
    places = [(r.subject, CLASSES.index(r.label or ""), r.id) for r in scan(everything).recordings]
    assert places == sorted(places)


def test_root_may_be_the_folder_of_the_videos(everything: Path) -> None:
    corpus = scan(everything / "VideoFlash")
    assert facts(corpus) == facts(scan(everything))
    assert corpus.recordings[0].file == ONE


@pytest.mark.parametrize("top", ["VideoFlash", "CREMA-D/VideoFlash", "data/CREMA-D-master/VideoFlash", "."])
def test_top_folders_change_nothing(tmp_path: Path, top: str) -> None:
    (recording,) = scan(plant(tmp_path, [f"{top}/{ONE}", "AudioMP3/1001_DFA_ANG_XX.mp3"])).recordings
    assert (recording.id, recording.subject, recording.label, recording.group) == (ONE, "1001", "anger", 1)


def test_a_converted_copy_is_read_and_its_ids_say_so(tmp_path: Path) -> None:
    corpus = scan(plant(tmp_path, ["VideoMP4/1001_DFA_ANG_XX.MP4", "VideoMP4/1002_dfa_sad_xx.mp4"]))
    assert [r.id for r in corpus.recordings] == ["1001_DFA_ANG_XX.mp4", "1002_DFA_SAD_XX.mp4"]
    assert [r.file for r in corpus.recordings] == ["VideoMP4/1001_DFA_ANG_XX.MP4", "VideoMP4/1002_dfa_sad_xx.mp4"]


def test_a_second_copy_is_left_out(tmp_path: Path) -> None:
    corpus = scan(plant(tmp_path, [f"VideoFlash/{ONE}", "VideoMP4/1001_DFA_ANG_XX.mp4", f"old/{ONE}"]))
    assert [r.file for r in corpus.recordings] == [f"VideoFlash/{ONE}"]
    assert {(remark.kind, remark.path, remark.detail) for remark in corpus.left_out} == {
        ("second copy", "VideoMP4/1001_DFA_ANG_XX.mp4", f"VideoFlash/{ONE} comes first"),
        ("second copy", f"old/{ONE}", f"VideoFlash/{ONE} comes first"),
    }


def test_a_pointer_of_large_file_storage_is_listed_as_files_are_never_opened(tmp_path: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 456789\n"
    assert len(pointer) in (130, 131)
    plant(tmp_path, [f"VideoFlash/{ONE}"])
    (tmp_path / "VideoFlash" / ONE).write_text(pointer)
    (tmp_path / "VideoFlash" / ONE).chmod(0)
    assert [r.id for r in scan(tmp_path).recordings] == [ONE]


@pytest.mark.parametrize(
    ("file", "kind", "detail"),
    [
        ("VideoFlash/1001_DFA_ANG.flv", "name does not fit", "actor_SENTENCE_EMOTION_LEVEL was expected"),
        ("VideoFlash/1001_DFA_JOY_XX.flv", "name does not fit", "actor_SENTENCE_EMOTION_LEVEL was expected"),
        ("VideoFlash/1002_DFA_ANG_XX (1).flv", "name does not fit", "actor_SENTENCE_EMOTION_LEVEL was expected"),
        ("VideoFlash/1092_DFA_ANG_XX.flv", "name does not fit", "actor is 1092; 1001 to 1091 were expected"),
        ("VideoFlash/1000_DFA_ANG_XX.flv", "name does not fit", "actor is 1000; 1001 to 1091 were expected"),
        ("VideoFlash/1076_MTI_NEU_XX.flv", "known to be bad", "very short; --include known-bad takes it"),
    ],
)
def test_what_is_no_recording_is_left_out_with_its_reason(tmp_path: Path, file: str, kind: str, detail: str) -> None:
    corpus = scan(plant(tmp_path, [f"VideoFlash/{ONE}", file]))
    assert [r.id for r in corpus.recordings] == [ONE]
    (remark,) = corpus.left_out
    assert (remark.kind, remark.path, remark.detail) == (kind, file, detail)


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [("1040_ITH_SAD_X.flv", "unknown level code", "X"), ("1040_ITX_SAD_XX.flv", "unknown sentence code", "ITX")],
)
def test_codes_that_nobody_needs_may_be_irregular(tmp_path: Path, name: str, kind: str, code: str) -> None:
    corpus = scan(plant(tmp_path, [name]))
    (recording,) = corpus.recordings
    assert (recording.id, recording.subject, recording.label) == (name, "1040", "sad")
    assert code in dict(recording.extra).values()
    remark = corpus.irregularities[0]
    assert (remark.kind, remark.path, remark.detail) == (kind, name, code)


def test_strays_are_ignored_and_said(tmp_path: Path) -> None:
    strays = [".git", "VideoFlash/.DS_Store", f"VideoFlash/._{ONE}", "VideoFlash/1001_DFA_FEA_XX.flv.part"]
    inside = [f".git/{ONE}", *strays[1:], "VideoFlash/1001_DFA_ANG_XX.wav", "README.md"]
    corpus = scan(plant(tmp_path, [f"VideoFlash/{ONE}", *inside]))
    assert [r.id for r in corpus.recordings] == [ONE]
    assert not corpus.left_out
    assert {remark.path for remark in corpus.irregularities if remark.kind.startswith("stray")} == set(strays)


def test_missing_videos_are_said(tmp_path: Path) -> None:
    files = [f"{name}.flv" for name in stems() if not name.startswith(("1003", "1090"))]
    (remark,) = scan(plant(tmp_path, files)).irregularities
    assert (remark.kind, remark.path) == ("recordings missing", "")
    assert remark.detail == "7,442 videos are expected, 7,284 are here: none of actor 1003, 1090"


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (["AudioWAV/1001_DFA_ANG_XX.wav"], r"no video to use \(1 × sound only\); expected files such as 'VideoFlash/"),
        (["AudioWAV/1001_DFA_ANG_XX.wav"], "put the folder VideoFlash of CREMA-D there"),
        (["1092_DFA_ANG_XX.flv"], r"no video to use \(1 × name does not fit\)"),
        (["subject 1/anger/sentence 1/s1_an_1.avi"], "is not CREMA-D: it holds 'subject 1', and no files such as"),
        (["CREMA-D-master.zip"], "holds CREMA-D-master.zip, which is not unpacked"),
    ],
)
def test_a_directory_without_videos_is_one_sentence(tmp_path: Path, files: list[str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        scan(plant(tmp_path, files))
    assert str(tmp_path) in str(caught.value)
