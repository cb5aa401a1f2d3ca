"""Whole directories give no finding, whatever is rare in them."""

import itertools
import shutil
from pathlib import Path

import golden
import pytest
import small
from filelock import FileLock

from fer_prep.build import build
from fer_prep.corpora import sample
from fer_prep.errors import FerPrepError, UsageError
from fer_prep.listener import Silent
from fer_prep.plan import make_plan
from fer_prep.verify.run import verify

pytest_plugins = ["small_fixtures"]


@pytest.mark.parametrize("storage", ["bitshuffle-lz4", "gzip", "none"])
def test_what_is_rare_and_right_is_no_finding(tmp_path: Path, storage: str) -> None:
    result = small.verify_here(small.write(tmp_path / "shards", storage))
    assert small.sentences(result) == []
    assert result.remarks == ()
    assert (result.n_shards, result.n_recordings) == (2, 7)


def test_the_golden_directory_is_whole() -> None:
    assert verify(golden.GOLDEN, workers=1).findings == ()


def test_a_corpus_without_a_single_clip_is_whole(tmp_path: Path) -> None:
    recordings: small.Recordings = {"anna": {"a": (0, "." * 9)}, "ben": {"b": (1, "f...."), "c": (1, ".")}}
    whole = small.write(tmp_path / "shards", recordings=recordings)
    assert small.sentences(small.verify_here(whole)) == []


def test_what_is_built_is_whole_and_building_again_mends_what_is_damaged(tmp_path: Path) -> None:
    rows = ["file,subject,label"]
    for subject, emotion in itertools.product((1, 2), ("anger", "surprise")):
        sample.render_video(tmp_path, subject, emotion, 1)
        rows.append(f"{sample.video_path(subject, emotion, 1)},{subject},{emotion}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    out, cache = tmp_path / "shards", tmp_path / "cache"

    def build_it() -> None:
        build(make_plan(dataset="manifest", root=tmp_path), out=out, cache=cache, workers=1, listener=Silent())

    build_it()
    assert small.sentences(small.verify_here(out)) == []
    first, second = sorted(out.glob("*.h5"))
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 255
    first.write_bytes(content)
    kept = second.stat().st_ino
    result = small.verify_here(out)
    assert {finding.file for finding in result.findings} == {first.name}
    assert result.delete_first == ()
    build_it()
    assert small.sentences(small.verify_here(out)) == []
    assert second.stat().st_ino == kept
    # what a build does not see, or does not touch, goes first
    with small.changed(out, first.name) as file:
        file["frames/flow"][:] = 0
    (out / "index.json").write_text((out / "index.json").read_text() + "}")
    assert small.verify_here(out).delete_first == ("index.json",)
    (out / "index.json").unlink()
    build_it()
    result = small.verify_here(out)
    assert result.delete_first == (first.name,)
    first.unlink()
    build_it()
    assert small.sentences(small.verify_here(out)) == []
    assert second.stat().st_ino == kept
    (out / "ledger.csv").write_text("x")
    result = small.verify_here(out)
    assert (result.ledger_lost, result.delete_first) == (True, ("ledger.csv",))
    (out / "ledger.csv").unlink()
    build_it()
    assert small.sentences(small.verify_here(out)) == []
    assert second.stat().st_ino != kept


def test_nothing_is_written_not_even_a_lock(shards: Path) -> None:
    shards.chmod(0o555)
    before = {path.name: path.stat().st_mtime_ns for path in (shards, *shards.iterdir())}
    assert verify(shards, quick=True, workers=1).findings == ()
    assert {path.name: path.stat().st_mtime_ns for path in (shards, *shards.iterdir())} == before
    shards.chmod(0o755)


def test_a_directory_that_a_build_writes_to_is_not_checked(shards: Path) -> None:
    with FileLock(shards / ".lock"), pytest.raises(FerPrepError, match="a fer-prep build is writing to"):
        small.verify_here(shards)
    assert small.verify_here(shards).findings == ()


def test_what_lies_beside_the_shards_is_a_remark(shards: Path) -> None:
    shutil.copy(shards / small.FILE, shards / "mine.h5")
    (shards / ".manifest-sx.h5.123.tmp").write_bytes(b"")
    (shards / "notes.txt").write_text("")
    result = small.verify_here(shards)
    assert result.findings == ()
    assert [remark.split(" ")[0] for remark in result.remarks] == [".manifest-sx.h5.123.tmp", "mine.h5"]


def test_a_place_that_is_no_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file is a file; name the directory"):
        verify(tmp_path / "file")
    with pytest.raises(UsageError, match="gone is not there; name a directory"):
        verify(tmp_path / "gone")


def test_a_directory_without_an_index_is_not_finished(shards: Path) -> None:
    (shards / "index.json").unlink()
    assert small.sentences(small.verify_here(shards)) == [
        "index.json: is not there: the directory is not finished, or no directory of shards; run fer-prep build to its "
        "end"
    ]
