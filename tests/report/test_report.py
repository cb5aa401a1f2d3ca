"""The report of shards: its numbers are those of the files, and it is one page that needs nothing else."""

import csv
import json
import re
import shutil
from collections import Counter
from importlib.resources import files
from pathlib import Path

import golden
import h5py
import hdf5plugin  # noqa: F401  registers the bitshuffle filter
import pytest
from shard_trees import PageReader, Take, failed_row, many, write_directory

from fer_prep.build import build
from fer_prep.errors import FerPrepError, UsageError
from fer_prep.listener import Silent
from fer_prep.output import index_sha256
from fer_prep.plan import make_plan
from fer_prep.report import write_report

CLASSES = ("joy", "fear")


def read(shards: Path) -> PageReader:
    page = write_report(shards, out=shards.parent / f"{shards.name}.html").read_text(encoding="utf-8")
    return PageReader(page)


@pytest.fixture(scope="module")
def built(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real videos: two subjects with two classes, one recording without a face, one broken file."""
    home = tmp_path_factory.mktemp("corpus")
    rows = []
    for subject in ("001", "003"):
        for label in ("happiness", "surprise"):
            name = f"{subject}_{label}_1.mp4"
            shutil.copy(shared_data / "london" / "expr6" / subject / name, home / name)
            rows.append((name, subject, label))
    for name in ("no_face_gray.mp4", "empty.avi"):
        shutil.copy(shared_data / "edge" / name, home / name)
        rows.append((name, "003", "surprise"))
    with (home / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "subject", "label"), *rows])
    plan = make_plan(dataset="manifest", root=home, aligner="mesh")
    build(plan, out=home / "shards", cache=home / "cache", workers=1, listener=Silent())
    return home / "shards"


def counted(shards: Path) -> dict[tuple[str, int], list[int]]:
    """(class, group) -> recordings with clips, clips; by plain h5py."""
    index = json.loads((shards / "index.json").read_text())
    found: dict[tuple[str, int], list[int]] = {}
    for entry in index["shards"]:
        with h5py.File(shards / entry["file"]) as file:
            n_clips = Counter(file["clips"]["recording"].tolist())
            for number, row in enumerate(file["recordings"][:]):
                name = "(unlabelled)" if row["label"] < 0 else index["classes"][row["label"]]
                cell = found.setdefault((name, entry["group"]), [0, 0])
                cell[0] += n_clips[number] > 0
                cell[1] += n_clips[number]
    return found


def check_class_table(page: PageReader, shards: Path) -> None:
    expected = counted(shards)
    n_groups = json.loads((shards / "index.json").read_text())["n_groups"]
    rows = {row[0]: row[1:] for row in page.table("class", "group 1")}
    for (name, group), cell in expected.items():
        assert rows[name][group - 1] == f"{cell[0]} {cell[1]}"
    for name in rows.keys() - {"all"}:
        total = [sum(cell[k] for (of, _), cell in expected.items() if of == name) for k in range(2)]
        assert rows[name][n_groups] == f"{total[0]} {total[1]}"
    assert rows["all"][n_groups] == f"{sum(c[0] for c in expected.values())} {sum(c[1] for c in expected.values())}"


def test_the_golden_page_has_the_numbers_of_the_files(tmp_path: Path) -> None:
    page = read(Path(shutil.copytree(golden.GOLDEN, tmp_path / "golden")))
    check_class_table(page, golden.GOLDEN)
    assert page.table("subject", "group") == [
        ["7", "1", "2", "2", "0", "5", "23", "91.3 %"],
        ["a b", "2", "3", "2", "0", "2", "25", "68.0 %"],
        ["all", "", "5", "4", "0", "7", "48", "79.1 %"],
    ]
    assert page.table("status", "because") == [["skipped", "no face", "1"]]
    assert page.table("recording", "class")[0][0] == "a b/faceless.avi"
    assert "1 of 7 clips has fewer than 8 frames and is padded" in page.text
    assert "Recordings have 3 to 20 frames" in page.text
    assert "0 of 24,576 stored values were beyond" in page.text


def test_the_page_of_a_real_build_has_the_numbers_of_the_files(built: Path) -> None:
    page = read(built)
    check_class_table(page, built)
    subjects = {row[0]: row for row in page.table("subject", "group")}
    with h5py.File(built / "manifest-s003.h5") as file:
        n_frames, n_detected = len(file["frames/rgb"]), int(file["frames/detected"][:].sum())
    assert subjects["003"][2:5] == ["3", "2", "1"]
    assert subjects["003"][6:] == [str(n_frames), f"{int(1000 * n_detected / n_frames) / 10:.1f} %"]
    assert [row[:2] for row in page.table("status", "because")] == [["failed", "empty file"], ["skipped", "no face"]]
    assert "a face in 0 of 50 frames (0.0 %), 0 clips" in page.text
    recipe = dict(page.table("recipe"))
    assert (recipe["align.backend"], recipe["clips.length"]) == ("mesh", "16")
    assert len(page.pictures) == 3 + 1 + 4 + 1  # diagrams, the wheel, clips, the recording without a face


def test_the_page_needs_no_other_file_and_no_script(built: Path) -> None:
    out = write_report(built, out=built.parent / "page.html")
    page = PageReader(out.read_text(encoding="utf-8"))
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert page.tags.isdisjoint({"script", "link", "iframe", "object", "form"})
    assert not re.search(r"https?:|url\(|@import", out.read_text(encoding="utf-8"))


def test_a_second_run_gives_the_same_bytes(built: Path, tmp_path: Path) -> None:
    first = write_report(built, out=tmp_path / "1.html", png=tmp_path / "1").read_bytes()
    second = write_report(built, out=tmp_path / "2.html", png=tmp_path / "2").read_bytes()
    assert first == second
    names = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert names == ["clips-01-happiness.png", "clips-02-surprise.png", "detection.png", "fewest-faces.png",
                     "flow-wheel.png", "flow.png", "lengths.png"]  # fmt: skip
    assert all((tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes() for name in names)


def test_the_page_lies_beside_the_shards_unless_another_place_is_named(tmp_path: Path) -> None:
    shards = write_directory(tmp_path / "shards", [Take("a", 1, "a", 0)], classes=CLASSES, n_groups=1)
    before = {path.name for path in shards.iterdir()}
    assert write_report(shards) == shards / "report.html"
    assert {path.name for path in shards.iterdir()} == before | {"report.html"}


def test_classes_without_clips_and_unlabelled_recordings_have_their_rows(tmp_path: Path) -> None:
    takes = [Take("a", 1, "a/1", 0), Take("a", 1, "a/2", -1), Take("b", 2, "b/1", 1, n_clips=0)]
    page = read(write_directory(tmp_path / "shards", takes, classes=CLASSES, n_groups=2))
    assert page.table("class", "group 1") == [
        ["joy", "1 2", "0 0", "1 2", "0", "0"],
        ["fear", "0 0", "0 0", "0 0", "1", "0"],
        ["(unlabelled)", "1 2", "0 0", "1 2", "0", "0"],
        ["all", "2 4", "0 0", "2 4", "1", "0"],
    ]
    assert page.text.count("No clip.") == 1


def test_a_corpus_of_which_nothing_is_stored_has_a_page(tmp_path: Path) -> None:
    failed = [failed_row("a", "a", "joy", "empty file: 0 bytes"), failed_row("b", "b", "", "truncated: 3 of 9")]
    page = read(write_directory(tmp_path / "shards", [], classes=CLASSES, n_groups=1, failed=failed))
    assert [row[-1] for row in page.table("class", "group 1")] == ["1", "0", "1", "2"]
    assert page.table("recording", "class") == [
        ["a", "joy", "failed", "empty file: 0 bytes"],
        ["b", "(unlabelled)", "failed", "truncated: 3 of 9"],
    ]
    assert "No frame is stored." in page.text


def test_recordings_without_any_face_have_a_page(tmp_path: Path) -> None:
    takes = [Take("a", 1, "a", 0, faceless=tuple(range(8)), n_clips=0)]
    page = read(write_directory(tmp_path / "shards", takes, classes=CLASSES, n_groups=1))
    assert page.table("subject", "group")[0][-1] == "0.0 %"
    assert "No clip has a frame with flow." in page.text


def test_many_groups_are_summed_up_and_many_subjects_cut(tmp_path: Path) -> None:
    takes = many(Take("", 0, "", 0, n_frames=4, n_clips=1), 160)
    page = read(write_directory(tmp_path / "shards", takes, classes=CLASSES, n_groups=160))
    assert page.table("class", "all", "fewest in a group") == [
        ["joy", "160 160", "1", "1", "0 of 160", "0", "0"],
        ["fear", "0 0", "0", "0", "160 of 160", "0", "0"],
        ["all", "160 160", "1", "1", "0 of 160", "0", "0"],
    ]
    assert "24 of 160 subjects shown" in page.text
    assert len(page.table("subject", "group")) == 150 + 1
    assert "150 of 160 subjects shown." in page.text


@pytest.mark.parametrize("size", [64, 224])
def test_faces_of_another_size_have_a_page(tmp_path: Path, size: int) -> None:
    takes = [Take("a", 1, "a", 0, n_frames=5, faceless=(2,))]
    page = read(write_directory(tmp_path / "shards", takes, classes=CLASSES, n_groups=1, size=size))
    assert f"faces of {size}×{size} pixels" in page.text
    assert f"3 of {2 * 5 * size * size:,} stored values" in page.text


def test_failures_are_all_counted_and_the_first_ones_listed(tmp_path: Path) -> None:
    failed = [failed_row(f"{k}.avi", "b", "joy", f"truncated: {k} of 99") for k in range(70)]
    failed.append(failed_row("last.avi", "b", "joy", "empty file: 0 bytes"))
    page = read(
        write_directory(
            tmp_path / "shards", [Take("a", 1, "a", 0)], classes=CLASSES, n_groups=1, failed=failed,
            left_out={"unlabelled": 12},
        )
    )  # fmt: skip
    assert page.table("status", "because") == [["failed", "truncated", "70"], ["failed", "empty file", "1"]]
    assert len(page.table("recording", "class")) == 30
    assert "30 of 71 shown; 41 more are in ledger.csv" in page.text
    assert page.table("because", "files") == [["unlabelled", "12"]]
    assert page.table("subject", "group")[1] == ["b", "1", "0", "0", "71", "0", "0", "–"]


def test_a_large_corpus_has_a_page_below_ten_megabytes(tmp_path: Path) -> None:
    classes = tuple(f"class {k}" for k in range(40))
    takes = [
        Take(f"{s:03}", s % 5 + 1, f"{s}/{k}", k, n_frames=9, n_clips=1, faceless=(3,))
        for s in range(12) for k in range(40)
    ]  # fmt: skip
    shards = write_directory(tmp_path / "shards", takes, classes=classes, n_groups=5, size=112, length=9)
    out = write_report(shards, out=tmp_path / "page.html")
    text = PageReader(out.read_text(encoding="utf-8")).text
    assert out.stat().st_size < 10e6
    assert "24 of 40 classes shown" in text
    assert "12 of 40 classes shown" in text
    assert "8 of 480 shown" in text


def test_the_template_is_package_data() -> None:
    assert "<!DOCTYPE html>" in files("fer_prep.report").joinpath("template.html").read_text(encoding="utf-8")
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert '"fer_prep.report" = ["*.html"]' in project


def edit_index(shards: Path, changes: dict[str, object], *, fitting: bool = True) -> None:
    index = json.loads((shards / "index.json").read_text()) | changes
    if fitting:
        index["index_sha256"] = index_sha256(index)
    (shards / "index.json").write_text(json.dumps(index))


def some_shards(tmp_path: Path) -> Path:
    return write_directory(tmp_path / "shards", [Take("a", 1, "a", 0)], classes=CLASSES, n_groups=1)


@pytest.mark.parametrize(
    ("changes", "kind", "sentence"),
    [
        ({"version": 2}, FerPrepError, "is of version 2, and this fer-prep reads version 1"),
        ({"format": "other"}, UsageError, "is no index of fer-prep"),
        ({"shards": [{"file": "../a.h5", "key": "", "bytes": 1}]}, FerPrepError, "is no plain file name"),
        ({"shards": [{"file": "gone.h5", "key": "", "bytes": 1}]}, FerPrepError, r"gone\.h5 is not there, though"),
        ({"shards": [{"file": "s0.h5", "key": "x", "bytes": 1}]}, FerPrepError, "is another shard than the index"),
        ({"n_groups": 0}, FerPrepError, "is another shard than the index"),
        ({"classes": None}, FerPrepError, "was edited or is damaged"),
        ({"clip": 3}, FerPrepError, "was edited or is damaged"),
    ],
)
def test_an_index_that_cannot_be_relied_on_is_a_sentence(
    tmp_path: Path, changes: dict[str, object], kind: type[FerPrepError], sentence: str
) -> None:
    shards = some_shards(tmp_path)
    edit_index(shards, changes)
    with pytest.raises(FerPrepError, match=sentence) as caught:
        write_report(shards)
    assert type(caught.value) is kind
    assert not (shards / "report.html").exists()


def test_an_edited_index_does_not_fit_its_hash(tmp_path: Path) -> None:
    shards = some_shards(tmp_path)
    edit_index(shards, {"n_groups": 3}, fitting=False)
    with pytest.raises(FerPrepError, match="does not fit its own hash"):
        write_report(shards)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"{", b"\xff\xfe", b"[" * 100_000])
def test_an_index_that_is_something_else_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    shards = some_shards(tmp_path)
    (shards / "index.json").write_bytes(content)
    with pytest.raises(UsageError, match="is no index of fer-prep"):
        write_report(shards)


def test_an_unfinished_directory_and_a_missing_ledger_are_sentences(tmp_path: Path) -> None:
    shards = some_shards(tmp_path)
    (shards / "ledger.csv").unlink()
    with pytest.raises(FerPrepError, match=r"ledger\.csv is not there"):
        write_report(shards)
    (shards / "index.json").unlink()
    with pytest.raises(FerPrepError, match=r"holds no index\.json: .* build has not finished"):
        write_report(shards)
