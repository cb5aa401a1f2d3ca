"""Manifests as users write them, and as they get them wrong."""

from pathlib import Path

import pytest

from fer_prep import corpora
from fer_prep.corpora.manifest import scan
from fer_prep.errors import UsageError


def write(directory: Path, text: str, name: str = "manifest.csv") -> Path:
    (directory / name).write_text(text, encoding="utf-8")
    return Path(name)


def test_rows_become_recordings_in_their_order(tmp_path: Path) -> None:
    manifest = write(
        tmp_path,
        "\ufefffile, subject ,label,group,start_frame,end_frame,mood\n"
        "b/2.mp4,S 2,joy,2,,,fine\n"
        '"a, b/1.mp4",S 1,anger,1,10,40,\n'
        "a\\3.mp4,S 1,,1,5,,\n"
        "\n",
    )
    corpus = scan(tmp_path, manifest)
    assert [r.id for r in corpus.recordings] == ["b/2.mp4", "a, b/1.mp4#10-40", "a/3.mp4#5-"]
    assert [r.file for r in corpus.recordings] == ["b/2.mp4", "a, b/1.mp4", "a/3.mp4"]
    assert [r.label for r in corpus.recordings] == ["joy", "anger", None]
    assert [r.group for r in corpus.recordings] == [2, 1, 1]
    assert corpus.recordings[0].path == tmp_path / "b/2.mp4"
    assert corpus.classes == ("anger", "joy")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,person,label\n", "not subject; its first line must name at least file, subject, label"),
        ("", "has the columns none, not file, subject, label"),
        ("file;subject;label\na.mp4;s;joy\n", "has semicolons between its columns; save it as CSV with commas"),
        ('"file"\t"subject"\t"label"\n', "has tabs between its columns"),
        ("a\x1b[2J,b\n", r"has the columns a\\x1b\[2J, b, not file"),
        ("file,subject,label\n", "has a header but no rows; write one for each video"),
        ("file,subject,label\na.mp4,,joy\n", "line 2: subject is empty"),
        ("file,subject,label\n,s,joy\n", "line 2: file is empty"),
        ("file,subject,label,group\na.mp4,s,joy,one\n", "line 2: group is 'one'; a whole number was expected"),
        ("file,subject,label,start_frame,end_frame\na.mp4,s,joy,9,3\n", "line 2: frames 9 to 3 are no part"),
        ("file,subject,label\na.mp4,s,joy\n./a.mp4,s,anger\n", "a.mp4 is listed twice"),
        ("file,subject,label\na,b.mp4,s,joy\n", "line 2: the row has more fields than the first line"),
        ("file,subject,label\na.mp4,s\n", "line 2: the row has fewer fields than the first line"),
        ("file,label,subject,label\na.mp4,joy,s,joy\n", "has two columns 'label'"),
        ("file,subject,label\n/a.mp4,s,joy\n", "file is '/a.mp4'; a path below --root"),
        ("file,subject,label\nb/../../a.mp4,s,joy\n", "file is 'b/../../a.mp4'; a path below --root"),
        ('file,subject,label\na.mp4,"s\t",joy\nb.mp4,"s\r1",joy\n', "a name without control characters"),
    ],
)
def test_a_wrong_manifest_is_one_sentence_with_its_place(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        scan(tmp_path, write(tmp_path, text))
    assert str(tmp_path / "manifest.csv") in str(caught.value)


def test_a_missing_or_binary_manifest_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing.csv: manifest cannot be read \(No such file or directory\)"):
        scan(tmp_path, Path("nothing.csv"))
    (tmp_path / "latin.csv").write_bytes("file,subject,label\nä.mp4,s,joy\n".encode("latin-1"))
    with pytest.raises(UsageError, match="is no UTF-8 CSV"):
        scan(tmp_path, Path("latin.csv"))
    for start in (b"PK\3\4\x14\0\x06\0\xff", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        (tmp_path / "excel.csv").write_bytes(start)
        with pytest.raises(UsageError, match="is a workbook, as of Excel; save its sheet as CSV UTF-8"):
            scan(tmp_path, Path("excel.csv"))


def find(root: Path | None, select: str | None = None, dataset: str = "manifest") -> corpora.Corpus:
    return corpora.find(dataset, root=root, select=select)


def test_select_keeps_matching_files_and_their_classes(tmp_path: Path) -> None:
    write(tmp_path, "file,subject,label\nx/a/1.mp4,s,joy\ny/2.mp4,s,anger\n")
    corpus = find(tmp_path, "x/*")
    assert [r.id for r in corpus.recordings] == ["x/a/1.mp4"]
    assert corpus.classes == ("joy",)


def test_select_by_file_takes_parts_of_files_too(tmp_path: Path) -> None:
    write(tmp_path, "file,subject,label,start_frame,end_frame\na.mp4,s,joy,0,10\nb.avi,s,joy,,\n")
    assert [r.id for r in find(tmp_path, "*.mp4").recordings] == ["a.mp4#0-10"]


def test_what_cannot_be_found_is_said(tmp_path: Path) -> None:
    write(tmp_path, "file,subject,label\nx/a/1.mp4,s,joy\n")
    with pytest.raises(UsageError, match=r"matches none of 1 recordings; the first is 'x/a/1\.mp4'"):
        find(tmp_path, "z*")
    with pytest.raises(UsageError, match=r"data/manifest is not there; name the directory"):
        find(None)
    with pytest.raises(UsageError, match="is not there; name the directory that the manifest's files are relative to"):
        find(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"there is no corpus 'affectnet'; known are enterface, ckplus, .*, sample"):
        find(tmp_path, dataset="affectnet")
