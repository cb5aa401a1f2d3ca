"""eNTERFACE'05 with all its names, as it is shipped and as it is copied."""

import csv
import time
from collections import Counter
from pathlib import Path

import pytest
import trees

from fer_prep import corpora
from fer_prep.errors import UsageError


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files of the published archive, subject 6 too."""
    return trees.make_files(tmp_path_factory.mktemp("enterface"), [*trees.enterface_names(), *trees.SUBJECT_6])


def find(root: Path, include: tuple[str, ...] = ()) -> corpora.Corpus:
    return corpora.find("enterface", root=root, include=include)


def facts_of(corpus: corpora.Corpus) -> list[tuple[str, str, str | None, int | None]]:
    return [(r.id, r.subject, r.label, r.group) for r in corpus.recordings]


def kinds(remarks: tuple[corpora.Remark, ...]) -> Counter[str]:
    return Counter(remark.kind for remark in remarks)


def test_every_published_name_has_the_subject_emotion_and_fold_of_the_list(tree: Path, shared_facts: Path) -> None:
    with (shared_facts / "enterface05_1287.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    corpus = find(tree)
    assert len(corpus.recordings) == 1287
    found = {r.file: (r.subject, r.label, dict(r.extra)["sentence"], str(r.group)) for r in corpus.recordings}
    assert found == {
        row["path_in_archive"]: (row["subject"], row["emotion"], row["sentence"], row["fold5_test"]) for row in listed
    }
    irregular = [remark.path for remark in corpus.irregularities if remark.kind.startswith("file name differs")]
    assert sorted(irregular) == sorted(row["path_in_archive"] for row in listed if row["name_status"] == "irregular")


def test_the_whole_tree_is_found_with_its_irregularities(tree: Path) -> None:
    corpus = find(tree)
    groups = Counter(recording.group for recording in corpus.recordings)
    assert [groups[k] for k in range(1, 6)] == [270, 270, 267, 270, 210]
    assert Counter(r.label for r in corpus.recordings) == dict.fromkeys(trees.EMOTIONS, 215) | {"happiness": 212}
    assert len({recording.subject for recording in corpus.recordings}) == 43
    assert len({recording.id for recording in corpus.recordings}) == 1287
    assert kinds(corpus.irregularities) == {
        "file name differs from its folders, which count": 49,
        "sentences missing": 1,
    }
    missing = next(remark for remark in corpus.irregularities if remark.kind == "sentences missing")
    assert (missing.path, missing.detail) == ("subject 23/happiness", "sentence 1, 2, 3")
    assert {remark.path for remark in corpus.left_out} == set(trees.SUBJECT_6)


def test_scanning_takes_less_than_a_second(tree: Path) -> None:
    begin = time.process_time()
    find(tree)
    assert time.process_time() - begin < 1


def test_subject_6_is_taken_when_asked_for(tree: Path) -> None:
    corpus = find(tree, ("unsegmented",))
    assert len(corpus.recordings) == 1293
    sixth = [recording for recording in corpus.recordings if recording.subject == "6"]
    assert [(r.file, r.label, r.group) for r in sixth] == [
        (name, emotion, 1) for name, emotion in zip(trees.SUBJECT_6, trees.EMOTIONS, strict=True)
    ]
    assert corpus.left_out == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [(" ", "-"), (" ", "_"), (" ", ""), ("enterface database/", ""), ("enterface database/", "a/b/eNTERFACE/"),
     ("subject ", "Subject 0")],
)  # fmt: skip
def test_copies_with_other_top_folders_and_spaces_are_the_same(tree: Path, tmp_path: Path, old: str, new: str) -> None:
    names = [name.replace(old, new) for name in (*trees.enterface_names(), *trees.SUBJECT_6)]
    copy = find(trees.make_files(tmp_path, names))
    assert facts_of(copy) == facts_of(find(tree))
    assert [r.file for r in copy.recordings] == [r.file.replace(old, new) for r in find(tree).recordings]


def test_a_part_of_the_corpus_is_taken_and_what_is_missing_is_said(tmp_path: Path) -> None:
    corpus = find(trees.make_files(tmp_path, trees.enterface_names([2, 23])))
    assert len(corpus.recordings) == 30 + 27
    (missing,) = [remark for remark in corpus.irregularities if remark.kind == "subjects missing"]
    assert missing.detail.startswith("42 of 44: 1, 3, 4, 5, 6, 7, ")


def test_strays_and_second_files_are_said_and_not_taken(tmp_path: Path) -> None:
    extra = [
        "enterface database/Thumbs.db", "enterface database/readme.txt", "enterface database/subject 1/hapiness/x.avi",
        "enterface database/subject 1/anger/.DS_Store", "enterface database/subject 1/anger/sentence 1/s1_an_1.wav",
        "enterface database/subject 1/anger/sentence 1/0_copy.avi",
        "enterface database/subject 45/fear/sentence 1/s.avi",
    ]  # fmt: skip
    corpus = find(trees.make_files(tmp_path, [*trees.enterface_names([1]), *extra]))
    assert len(corpus.recordings) == 30
    assert corpus.recordings[0].file.endswith("sentence 1/s1_an_1.avi")
    strays = {remark.path.rpartition("/")[2] for remark in corpus.irregularities if remark.kind.startswith("stray")}
    assert strays == {"Thumbs.db", "readme.txt", "hapiness", ".DS_Store", "s1_an_1.wav"}
    assert kinds(corpus.left_out) == {"no subject of eNTERFACE'05": 1, "second file of a sentence": 1}


def test_second_copies_of_subjects_emotions_and_sentences_are_left_out(tmp_path: Path) -> None:
    names = [
        "subject 1/anger/sentence 1/s1_an_1.avi", "subject 1/Anger/sentence 2/s1_an_2.avi",
        "subject_1/anger/sentence 1/s1_an_1.avi", "subject 1/anger/sentence_1/other.avi", "subject 1/sadness",
        "subject 1/fear/sentence 7/s1_fe_7.avi", "subject 6/fear/a.avi", "subject_6/fear/a.avi",
    ]  # fmt: skip
    corpus = find(trees.make_files(tmp_path, names), ("unsegmented",))
    assert sorted(r.id for r in corpus.recordings) == [
        "subject 1/anger/sentence 1/s1_an_1.avi", "subject 1/anger/sentence 2/s1_an_2.avi",
        "subject 1/fear/sentence 7/s1_fe_7.avi", "subject 6/fear/a.avi",
    ]  # fmt: skip
    assert kinds(corpus.left_out) == {"second copy of a sentence": 2, "second copy of an unsegmented recording": 1}
    assert {"stray file ignored", "sentence beyond the five, taken"} <= set(kinds(corpus.irregularities))


def test_links_to_what_is_there_already_are_no_second_copy(tmp_path: Path) -> None:
    trees.make_files(tmp_path / "db", trees.enterface_names([1]))
    (tmp_path / "link").symlink_to(tmp_path / "db")
    (tmp_path / "db" / "loop").symlink_to(tmp_path)
    assert len(find(tmp_path).recordings) == 30


def test_a_search_that_gave_up_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer_prep.corpora.layout.MOST_FOLDERS", 5)
    trees.make_files(tmp_path, [f"{k}/x" for k in range(9)])
    with pytest.raises(UsageError, match=r"only the first 5 folders were looked at"):
        find(tmp_path)


def test_two_copies_beside_another_corpus_are_two_copies(tmp_path: Path) -> None:
    copies = ["a/subject 1/fear/sentence 1/x.avi", "b/subject 1/fear/sentence 1/x.avi"]
    trees.make_files(tmp_path, [*copies, "Actor_01/01-01-03-01-01-01-01.mp4"])
    with pytest.raises(UsageError, match="holds eNTERFACE'05 2 times"):
        find(tmp_path)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([], "is empty; eNTERFACE'05 was expected there, with files such as 'enterface database/subject 1/"),
        (["Enterface.zip"], "holds Enterface.zip, which is not unpacked; unpack it there"),
        (
            ["holidays/1.jpg", "taxes.pdf"],
            "is not eNTERFACE'05: it holds 'holidays', 'taxes.pdf', and no",
        ),
        (["a/subject 1/fear/sentence 1/x.avi", "b/subject 1/fear/sentence 1/x.avi"], "holds eNTERFACE'05 2 times, in"),
        (["subject 1/fear/sentence 1/x.wav"], "has subject folders, but no videos in them"),
        (["Actor_01/01-01-03-01-01-01-01.mp4"], "holds RAVDESS, not eNTERFACE'05; use --dataset ravdess"),
    ],
)
def test_a_wrong_place_is_one_sentence_that_says_what_it_is(tmp_path: Path, names: list[str], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        find(trees.make_files(tmp_path, names))
    assert sentence in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_root_that_is_not_there_or_an_archive_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees.make_files(tmp_path, ["enterface.rar"])
    with pytest.raises(UsageError, match=r"enterface.rar is an archive; unpack it"):
        find(tmp_path / "enterface.rar")
    monkeypatch.setenv("FER_DATA", str(tmp_path / "data"))
    with pytest.raises(UsageError, match=r"data/enterface is not there; .*name the directory with --root"):
        corpora.find("enterface")


def test_the_usual_root_is_below_fer_data_or_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees.make_files(tmp_path / "data" / "enterface", trees.enterface_names([1]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FER_DATA", raising=False)
    assert len(corpora.find("enterface").recordings) == 30
    monkeypatch.setenv("FER_DATA", str(tmp_path / "data"))
    assert corpora.find("enterface").root == tmp_path / "data" / "enterface"


def test_only_kinds_that_the_corpus_knows_can_be_included(tree: Path) -> None:
    with pytest.raises(UsageError, match="--include songs: what enterface leaves out unless asked is 'unsegmented'"):
        find(tree, ("songs",))
