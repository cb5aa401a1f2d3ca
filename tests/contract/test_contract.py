"""Both programs, and the reader in docs/shard-format.md, against the golden shard directory."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import golden
import h5py
import hdf5plugin  # noqa: F401  registers the bitshuffle filter
import numpy as np
import pytest

from fer_model.data import ClipStore
from fer_model.folds import ClipRef
from fer_model.shards import Corpus, read_corpus

FORMAT_PAGE = Path(__file__).parents[2] / "docs" / "shard-format.md"
LABELLED = [r for r in golden.RECORDINGS if r.label >= 0]


def expected_clips(recording: golden.GoldenRecording) -> list[tuple[np.ndarray, np.ndarray]]:
    """(rgb_THWC, flow_THW2) of every clip by the rules of the format page, from the formulas."""
    clips = []
    for start in recording.clip_starts:
        rows = np.arange(start, start + golden.LENGTH)
        there = rows < recording.n_frames
        rgb = golden.rgb_NHWC(recording)[np.minimum(rows, recording.n_frames - 1)]
        flow = golden.flow_NHW2(recording)[np.minimum(rows, recording.n_frames - 1)] * there[:, None, None, None]
        clips.append((rgb, flow))
    return clips


def examples() -> list[str]:
    """The programs in the format page."""
    return re.findall(r"```python\n(.*?)```", FORMAT_PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return read_corpus(golden.GOLDEN)


def test_the_writer_still_writes_the_golden_content(tmp_path: Path) -> None:
    golden.write(tmp_path)
    fresh, kept = (json.loads((d / "index.json").read_text()) for d in (tmp_path, golden.GOLDEN))
    for shard in (*fresh["shards"], *kept["shards"]):
        # compressed bytes may differ between versions of the HDF5 library; the content may not
        del shard["bytes"], shard["sha256"]
    del fresh["index_sha256"], kept["index_sha256"]
    assert fresh == kept
    for shard in kept["shards"]:
        with h5py.File(tmp_path / shard["file"]) as new, h5py.File(golden.GOLDEN / shard["file"]) as old:
            assert dict(new.attrs) == dict(old.attrs)
            names: list[str] = []
            old.visititems(lambda name, item, names=names: names.append(name) if hasattr(item, "dtype") else None)
            assert len(names) == 8
            for name in names:
                assert new[name].dtype == old[name].dtype
                assert new[name][:].tobytes() == old[name][:].tobytes()
                assert dict(new[name].attrs) == dict(old[name].attrs)


def test_the_golden_files_hold_what_the_format_page_promises() -> None:
    with h5py.File(golden.GOLDEN / "manifest-s7.h5") as file:
        assert file["frames/rgb"].chunks == (64, golden.SIZE, golden.SIZE, 3)
        assert file["frames/rgb"].fletcher32
        assert list(np.flatnonzero(~file["frames/detected"][:])) == [5, 6]
        assert np.isnan(file["frames/landmarks"][5]).all()
        assert not np.isnan(file["frames/transform"][5]).any()
        assert file["frames/flow"].attrs["scale"] == 256.0
        assert [json.loads(extra) for extra in file["recordings"]["extra"]] == [{"mood": "grün"}, {}]
    with h5py.File(golden.GOLDEN / "manifest-sa_b.h5") as file:
        assert file.attrs["subject"] == "a b"
        assert np.isnan(file["frames/transform"][9:17]).all()
        assert list(file["recordings"]["n_detected"]) == [9, 0, 8]
        assert list(file["recordings"]["path"])[2] == b"a b/last.avi"


def test_the_training_side_reads_every_recording(corpus: Corpus) -> None:
    found = [(r.id, r.subject, r.label, r.n_frames) for shard in corpus.shards for r in shard.recordings]
    assert found == [(r.id, r.subject, r.label, r.n_frames) for r in golden.RECORDINGS]
    assert corpus.index.classes == golden.CLASSES
    assert [shard.group for shard in corpus.shards] == [1, 2]


def test_the_training_side_reads_every_clip(corpus: Corpus) -> None:
    refs = [ClipRef(shard=s, clip=c) for s in corpus.shards for c in s.clips]
    expected = [clip for recording in golden.RECORDINGS for clip in expected_clips(recording)]
    (batch,) = ClipStore(clip_length=golden.LENGTH, size=golden.SIZE, readers=1).batches([refs])
    assert len(refs) == len(expected) == 7
    assert np.array_equal(batch.rgb_BTHWC.numpy(), np.stack([rgb for rgb, _ in expected]))
    assert np.array_equal(batch.flow_BTHWC.numpy(), np.stack([flow for _, flow in expected]))


def test_the_reader_in_the_format_page_reads_every_clip() -> None:
    namespace: dict[str, Callable[..., object]] = {}
    exec(examples()[0], namespace)
    for group in (1, 2):
        recordings = [r for r in golden.RECORDINGS if r.group == group]
        expected = [(*clip, r.label) for r in recordings for clip in expected_clips(r)]
        found = list(namespace["clips"](golden.GOLDEN, group))  # type: ignore[call-overload]
        assert len(found) == len(expected)
        for (rgb, flow, label), (expected_rgb, expected_flow, expected_label) in zip(found, expected, strict=True):
            assert np.array_equal(rgb, expected_rgb)
            assert np.array_equal(flow, expected_flow / 256)
            assert label == expected_label


def test_the_loop_in_the_format_page_reads_every_training_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two workers, from the golden directory under the name that the page uses."""
    source = examples()[1]
    assert 'Path("shards")' in source
    monkeypatch.setattr("fer_model.shards.read_corpus", lambda directory: read_corpus(golden.GOLDEN))
    namespace: dict[str, list[np.ndarray]] = {}
    exec(source.replace("size=112", f"size={golden.SIZE}") + "\nbatches = list(loader)", namespace)
    recordings = [r for r in golden.RECORDINGS if r.group == 2 and r.label >= 0]
    expected = {clip[0].tobytes() for recording in recordings for clip in expected_clips(recording)}
    assert {rgb.numpy().tobytes() for batch in namespace["batches"] for rgb in batch[0]} == expected
