"""CK+: sequences of images, labels in a tree of their own, many without any."""

import csv
import os
from collections import Counter
from pathlib import Path

import pytest
import trees

from fer_prep import corpora
from fer_prep.errors import UsageError
from fer_prep.folds import assign_groups

SMALL = {"S005/001": 3, "S010/002": 7, "S010/004": 1, "S999/001": 2}
EMOTIONS = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return trees.ckplus_tree(tmp_path / "ckplus", SMALL, ["S005/002", "S010/001", "S502/003"])


def find(root: Path, include: tuple[str, ...] = ()) -> corpora.Corpus:
    return corpora.find("ckplus", root=root, include=include)


def facts_of(corpus: corpora.Corpus) -> list[tuple[str, str, str | None]]:
    return [(r.id, r.subject, r.label) for r in corpus.recordings]


def test_labels_and_folds_of_all_327_are_those_of_the_list(tmp_path: Path, shared_facts: Path) -> None:
    with (shared_facts / "ckplus_327_labelled.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    labelled = {f"{row['subject']}/{row['sequence']}": int(row["code"]) for row in listed}
    # 266 further sequences, of known subjects and of five that have no label at all
    subjects = sorted({row["subject"] for row in listed}) + ["S900", "S901", "S902", "S903", "S904"]
    free = [f"{subject}/{k:03}" for k in range(1, 14) for subject in subjects if f"{subject}/{k:03}" not in labelled]
    five = [sequence for sequence in free if sequence[:4] in subjects[-5:]][:5]
    unlabelled = five + [sequence for sequence in free if sequence not in five][:261]
    root = trees.ckplus_tree(tmp_path, labelled, unlabelled)
    trees.make_files(root, ["cohn-kanade-images/.DS_Store", "cohn-kanade-images/S005/.DS_Store", "Emotion/.DS_Store"])
    trees.make_files(root, ["Emotion/S005/001/.DS_Store", "cohn-kanade-images/S005/001/.DS_Store"])

    corpus = find(root)
    groups = assign_groups(corpus.recordings, 10)
    assert {r.id: (EMOTIONS.index(str(r.label)) + 1, groups[r.subject]) for r in corpus.recordings} == {
        f"{row['subject']}/{row['sequence']}": (int(row["code"]), int(row["fold10"])) for row in listed
    }
    assert Counter(remark.kind for remark in corpus.left_out) == {"unlabelled sequence": 266}
    assert [Counter(groups[r.subject] for r in corpus.recordings)[k] for k in range(1, 11)] == [
        33, 39, 40, 35, 30, 37, 29, 29, 33, 22,
    ]  # fmt: skip

    everything = find(root, ("unlabelled",))
    assert len(everything.recordings) == 593
    assert {r.subject for r in everything.recordings} - {r.subject for r in corpus.recordings} == set(subjects[-5:])
    with_unlabelled = assign_groups(everything.recordings, 10)
    assert {subject: with_unlabelled[subject] for subject in groups} == groups


def test_a_sequence_is_a_directory_with_its_label(small: Path) -> None:
    corpus = find(small)
    assert corpus.classes == EMOTIONS
    assert facts_of(corpus) == [
        ("S005/001", "S005", "disgust"), ("S010/002", "S010", "surprise"), ("S010/004", "S010", "anger"),
        ("S999/001", "S999", "contempt"),
    ]  # fmt: skip
    assert corpus.recordings[0].path == small / "cohn-kanade-images/S005/001"
    assert corpus.recordings[0].file == "cohn-kanade-images/S005/001"
    assert [remark.path[-8:] for remark in corpus.left_out] == ["S005/002", "S010/001", "S502/003"]


def test_unlabelled_sequences_are_taken_when_asked_for(small: Path) -> None:
    corpus = find(small, ("unlabelled",))
    assert [r.label for r in corpus.recordings if r.id in ("S005/002", "S502/003")] == [None, None]
    assert len(corpus.recordings) == 7


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("extended-cohn-kanade-images/cohn-kanade-images", "Emotion_labels/Emotion"),
        ("cohn kanade images", "Emotion labels"),
        ("CK+/a/cohn_kanade_images", "CK+/b/Emotion"),
    ],
)
def test_other_top_folders_are_found(small: Path, tmp_path: Path, images: str, labels: str) -> None:
    other = tmp_path / "other"
    for old, new in (("cohn-kanade-images", images), ("Emotion", labels)):
        (other / new).parent.mkdir(parents=True, exist_ok=True)
        (small / old).rename(other / new)
    # trees of the same shape that are neither images nor labels
    trees.make_files(other, [f"Landmarks/S005/001/S005_001_{k:08}_landmarks.txt" for k in range(3)])
    trees.make_files(other, ["FACS/S005/001/S005_001_00000011_facs.txt"])
    assert [recording.id for recording in find(other).recordings] == list(SMALL)


def test_the_folder_of_images_may_be_the_root(small: Path) -> None:
    assert [recording.id for recording in find(small / "cohn-kanade-images").recordings] == list(SMALL)


def test_missing_numbers_are_said_and_strays_too(small: Path) -> None:
    folder = small / "cohn-kanade-images/S005/001"
    (folder / "S005_001_00000004.png").unlink()
    (folder / "S005_001_00000005.png").unlink()
    trees.make_files(small / "cohn-kanade-images", ["readme.txt", "S005/notes.txt", "S005/001/Thumbs.db"])
    corpus = find(small)
    assert {(remark.kind, remark.path, remark.detail) for remark in corpus.irregularities} == {
        ("numbers of images missing in between", "cohn-kanade-images/S005/001", "4, 5"),
        ("stray file ignored", "cohn-kanade-images/readme.txt", ""),
        ("stray file ignored", "cohn-kanade-images/S005/notes.txt", ""),
    }


def test_a_label_without_images_and_neutral_labels_are_not_lost(small: Path) -> None:
    trees.make_files(small, ["Emotion/S777/001/S777_001_00000009_emotion.txt"])
    (small / "Emotion/S777/001/S777_001_00000009_emotion.txt").write_text("   1.0000000e+00\n")
    assert find(small).left_out[-1].kind == "label without a sequence"
    (small / "Emotion/S005/001/S005_001_00000012_emotion.txt").write_text("0\n")
    corpus = find(small)
    assert corpus.classes == ("neutral", *EMOTIONS)
    assert corpus.recordings[0].label == "neutral"


@pytest.mark.parametrize("text", ["", "happy", "8.0000000e+00", "-1", "2.5", "nan", "0_3", "1e999", "\xff\xfe"])
def test_a_label_that_is_none_is_refused_with_its_file(small: Path, text: str) -> None:
    path = small / "Emotion/S010/004/S010_004_00000012_emotion.txt"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"S010_004_00000012_emotion.txt: label is .*; a code from 0 to 7"):
        find(small)


def test_two_labels_that_differ_are_refused(small: Path) -> None:
    (small / "Emotion/S010/004/S010_004_00000099_emotion.txt").write_text("5\n")
    with pytest.raises(UsageError, match=r"00099_emotion.txt says happy, but S010_004_00000012_emotion.txt"):
        find(small)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["CK+48/anger/S010_004_00000017.png", "CK+48/happy/x.png"], "this is CK.48, the last three frames"),
        (["anger/S010_004_00000017.png", "happy/a.png", "contempt/b.png"], "holds folders by emotion: this is CK.48"),
        (["CK_data.h5"], "holds CK_data.h5: this is CK.48"),
        (["extended-cohn-kanade-images.zip", "Emotion_labels.zip"], "holds Emotion_labels.zip, which is not unpacked"),
        (["cohn-kanade-images/S005/001/S005_001_00000001.png"], "but no label files; unpack the labels there too"),
        (["Emotion/S005/001/S005_001_00000011_emotion.txt"], "holds the labels of CK. .*, but no images"),
        (
            ["a/S005/001/1.png", "b/S005/001/1.png", "c/S005/001/x_emotion.txt"],
            "holds the images of CK. 2 times, .*; move one of them elsewhere",
        ),
    ],
)
def test_what_is_not_ck_plus_is_one_sentence(tmp_path: Path, names: list[str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        find(trees.make_files(tmp_path, names))


def test_labels_may_lie_beside_the_images(small: Path) -> None:
    for path in small.glob("Emotion/*/*/*.txt"):
        path.rename(small / "cohn-kanade-images" / path.relative_to(small / "Emotion"))
    assert [recording.id for recording in find(small).recordings] == list(SMALL)


def test_a_second_copy_of_a_sequence_is_left_out(small: Path) -> None:
    trees.make_files(small, ["cohn-kanade-images/s005/001/s005_001_00000001.png"])
    corpus = find(small, ("unlabelled",))
    assert len({recording.id for recording in corpus.recordings}) == len(corpus.recordings) == 7
    assert [remark.kind for remark in corpus.left_out] == ["second copy of a sequence"]


def test_a_label_that_is_no_file_is_refused_and_not_waited_for(small: Path) -> None:
    os.mkfifo(small / "Emotion/S005/001/S005_001_00000099_emotion.txt")
    with pytest.raises(UsageError, match="label is 'no regular file'"):
        find(small)


def test_ck_plus_48_beside_ck_plus_does_no_harm(small: Path) -> None:
    trees.make_files(small, ["CK+48/anger/S010_004_00000017.png", "cohn-kanade-images.zip"])
    assert [recording.id for recording in find(small).recordings] == list(SMALL)


def test_images_without_any_label_in_use_are_said(small: Path) -> None:
    for path in small.glob("Emotion/*/*/*.txt"):
        path.unlink()
    trees.make_files(small, ["Emotion/S888/001/S888_001_00000001_emotion.txt"])
    (small / "Emotion/S888/001/S888_001_00000001_emotion.txt").write_text("1")
    with pytest.raises(UsageError, match=r"holds 7 sequences, but .* has no label of any"):
        find(small)
