"""What a build will cost and keep: told beforehand, and compared with what then happens."""

import shutil
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import trees
from rich.console import Console

from fer_prep.build import build
from fer_prep.errors import UsageError
from fer_prep.forecast import Calibration, Extent, Forecast, calibrate, compare, expect, forecast
from fer_prep.listener import Silent
from fer_prep.plan import make_plan
from fer_prep.plan_screen import print_plan


def screen(result: Forecast, width: int = 100, out: Path | None = None) -> str:
    text = StringIO()
    print_plan(Console(file=text, width=width), result, out=out, cache=Path("cache"))
    return text.getvalue()


@pytest.fixture(scope="module")
def grid(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """eNTERFACE'05 as a whole, with real clips behind the names."""
    clips = sorted((shared_data / "real" / "grid").glob("*.mpg"))
    root = tmp_path_factory.mktemp("enterface")
    return trees.make_files(root, [*trees.enterface_names(), *trees.SUBJECT_6], clips)


def test_planning_all_of_enterface_takes_seconds(grid: Path) -> None:
    begin = time.process_time()
    result = forecast(
        make_plan(dataset="enterface", root=grid), out=None, workers=2, rebuild=False, with_calibration=False
    )
    text = screen(result)
    assert time.process_time() - begin < 5
    assert max(map(len, text.splitlines())) <= 100
    for fact in (
        "1,287 recordings of 43 subjects", "270 │ 270 │ 267 │ 270 │ 210 │ 1,287", "file name differs from its folders",
        "unsegmented recording",
    ):  # fmt: skip
        assert fact in text


def test_lengths_are_those_of_the_headers(grid: Path) -> None:
    plan = make_plan(dataset="enterface", root=grid, select="subject 1/*")
    assert expect(plan) == Extent(n_frames=30 * 74, n_clips=30 * 8, n_read=30)
    shorter = make_plan(dataset="enterface", root=grid, select="subject 1/*", length=60, stride=30)
    assert expect(shorter).n_clips == 30


def test_a_forecast_comes_close_to_the_build(shared_data: Path, tmp_path: Path) -> None:
    for name in ("001/001_happiness_1.mp4", "003/003_fear_2.mp4", "005/005_anger_1.mp4"):
        (tmp_path / "in").mkdir(exist_ok=True)
        shutil.copy(shared_data / "london" / "expr6" / name, tmp_path / "in")
    rows = "".join(f"{path.name},{path.name[:3]},x\n" for path in sorted((tmp_path / "in").glob("*.mp4")))
    (tmp_path / "in/manifest.csv").write_text("file,subject,label\n" + rows)
    plan = make_plan(dataset="manifest", root=tmp_path / "in")
    result = forecast(plan, out=None, workers=1, rebuild=False, with_calibration=True)
    built = build(plan, out=tmp_path / "out", cache=tmp_path / "cache", workers=1, listener=Silent())
    assert result.extent.n_frames == sum(row.n_frames for row in built.rows)
    assert result.extent.n_clips == sum(row.n_clips for row in built.rows)
    assert result.shard_bytes == pytest.approx(sum(entry.bytes for entry in built.entries), rel=0.2)
    assert result.calibration is not None
    assert result.calibration.n_frames == result.extent.n_frames
    assert result.seconds is not None
    assert result.seconds > 0
    cached = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.pkl"))
    assert result.cache_bytes == pytest.approx(cached, rel=0.1)


def test_a_corpus_of_broken_files_has_no_forecast_and_no_crash(tmp_path: Path) -> None:
    trees.make_files(tmp_path, ["a.avi", "b.avi"])
    (tmp_path / "manifest.csv").write_text("file,subject,label\na.avi,a,x\nb.avi,b,x\n")
    plan = make_plan(dataset="manifest", root=tmp_path)
    assert calibrate(plan).n_recordings == 0
    result = forecast(plan, out=None, workers=1, rebuild=False, with_calibration=True)
    assert (result.extent.n_frames, result.extent.n_clips, result.extent.n_read) == (0, 0, 0)
    assert {remark.path: remark.kind for remark in result.will_fail} == dict.fromkeys(
        ("a.avi", "b.avi"), "cannot be opened"
    )
    text = screen(result)
    assert "clips, disk and time cannot be foretold" in text
    assert "will fail" in text


def test_what_headers_and_trials_show_to_be_broken_is_said_and_not_counted(shared_data: Path, tmp_path: Path) -> None:
    names = ["enterface_like_720x576_divx.avi", "audio_only.mp4", "text_named_avi.avi", "truncated_45pct.avi"]
    rows = "".join(f"{name},{k},x,,\n" for k, name in enumerate(names))
    rows += "enterface_like_720x576_divx.avi,9,x,100,\nenterface_like_720x576_divx.avi,9,x,,900\n"
    (tmp_path / "m.csv").write_text("file,subject,label,start_frame,end_frame\n" + rows)
    plan = make_plan(dataset="manifest", root=shared_data / "edge", manifest=tmp_path / "m.csv")
    result = forecast(plan, out=None, workers=1, rebuild=False, with_calibration=True)
    assert result.extent.n_frames == 2 * 75  # the truncated file promises 75 too, and is found out by its trial
    assert {remark.kind for remark in result.will_fail} == {
        "no video stream", "cannot be opened", "too short", "truncated",
    }  # fmt: skip


@pytest.fixture(scope="module")
def existing(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """Arguments of a plan, and the directory that it was built into: two subjects."""
    home = tmp_path_factory.mktemp("existing")
    for subject in ("001", "003"):
        shutil.copy(shared_data / "london" / "expr6" / subject / f"{subject}_fear_1.mp4", home)
    (home / "manifest.csv").write_text("file,subject,label\n001_fear_1.mp4,1,fear\n003_fear_1.mp4,3,fear\n")
    (home / "fewer.csv").write_text("file,subject,label\n001_fear_1.mp4,1,fear\n")
    options: dict[str, Any] = {"dataset": "manifest", "root": home}
    build(make_plan(**options), out=home / "out", cache=home / "cache", workers=2, listener=Silent())
    return options, home / "out"


def change_nothing(root: Path) -> None: ...


def add_a_subject(root: Path) -> None:
    shutil.copy(root / "003_fear_1.mp4", root / "5.mp4")
    with (root / "manifest.csv").open("a") as file:
        file.write("5.mp4,5,fear\n")


def change_an_input(root: Path) -> None:
    shutil.copy(root / "003_fear_1.mp4", root / "001_fear_1.mp4")


@pytest.mark.parametrize(
    ("change", "kept", "rebuilt", "new"),
    [
        (change_nothing, ["1", "3"], {}, []),
        (add_a_subject, ["1", "3"], {}, ["5"]),
        (change_an_input, ["3"], {"1": "input changed: 001_fear_1.mp4"}, []),
    ],
)
def test_what_a_build_would_keep_is_what_it_keeps(
    existing: tuple[dict[str, Any], Path], tmp_path: Path, change: Callable[[Path], None], kept: list[str],
    rebuilt: dict[str, str], new: list[str],
) -> None:  # fmt: skip
    options, _ = existing
    root = Path(shutil.copytree(options["root"], tmp_path / "copy"))
    change(root)
    plan = make_plan(dataset="manifest", root=root)
    before = {path: path.read_bytes() for path in (root / "out").iterdir()}
    found = compare(plan, root / "out", workers=2, rebuild=False)
    assert found.kept == tuple(f"manifest-s{subject}.h5" for subject in kept)
    assert dict(found.rebuilt) == {f"manifest-s{subject}.h5": reason for subject, reason in rebuilt.items()}
    assert found.new == tuple(f"manifest-s{subject}.h5" for subject in new)
    assert {path: path.read_bytes() for path in (root / "out").iterdir()} == before
    result = build(plan, out=root / "out", cache=root / "cache", workers=1, listener=Silent())
    assert result.n_kept == len(kept)


def test_a_directory_of_another_recipe_is_said_and_rebuild_replaces_it(existing: tuple[dict[str, Any], Path]) -> None:
    options, out = existing
    plan = make_plan(**options, stride=4)
    assert compare(plan, out, workers=1, rebuild=False).other_recipe == ("clips.stride: 8 -> 4",)
    assert dict(compare(plan, out, workers=1, rebuild=True).rebuilt) == dict.fromkeys(
        ("manifest-s1.h5", "manifest-s3.h5"), "recipe changed: clips.stride: 8 -> 4"
    )
    result = forecast(plan, out=out, workers=1, rebuild=False, with_calibration=False)
    assert "holds shards of another recipe (clips.stride: 8 -> 4): a build refuses" in " ".join(
        screen(result, out=out).split()
    )


def test_shards_that_nobody_needs_any_more_are_said(existing: tuple[dict[str, Any], Path]) -> None:
    options, out = existing
    fewer = make_plan(**options | {"manifest": out.parent / "fewer.csv"})
    assert compare(fewer, out, workers=1, rebuild=False).orphaned == ("manifest-s3.h5",)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [({"index.json": "{}"}, "index.json is no index of fer-prep"), (None, "is a file; --out must be a directory")],
)
def test_an_output_that_a_build_would_refuse_is_refused(
    existing: tuple[dict[str, Any], Path], tmp_path: Path, content: dict[str, str] | None, sentence: str
) -> None:
    out = tmp_path / "out"
    if content is None:
        out.write_text("precious")
    else:
        out.mkdir()
        (out / "index.json").write_text(content["index.json"])
    with pytest.raises(UsageError, match=sentence):
        forecast(make_plan(**existing[0]), out=out, workers=1, rebuild=False, with_calibration=True)


def test_a_corpus_named_from_one_level_up_has_other_paths(shared_data: Path, tmp_path: Path) -> None:
    clip = shared_data / "real" / "grid" / "bbaf2n.mpg"
    trees.make_files(tmp_path / "up" / "enterface database", ["subject 1/fear/sentence 1/s1_fe_1.avi"], [clip])
    first = make_plan(dataset="enterface", root=tmp_path / "up" / "enterface database")
    build(first, out=tmp_path / "out", cache=tmp_path / "cache", workers=1, listener=Silent())
    found = compare(make_plan(dataset="enterface", root=tmp_path / "up"), tmp_path / "out", workers=1, rebuild=False)
    assert [reason for _, reason in found.rebuilt] == [
        "path changed: subject 1/fear/sentence 1/s1_fe_1.avi -> "
        "enterface database/subject 1/fear/sentence 1/s1_fe_1.avi"
    ]


def test_time_is_told_for_what_is_not_there_yet(existing: tuple[dict[str, Any], Path]) -> None:
    options, out = existing
    plan = make_plan(**options)
    trial = Calibration(n_recordings=1, n_frames=100, seconds=1.0, bytes=1000)
    nothing = Forecast(plan, Extent(1000, 100, 2), 2, trial, existing=None)
    assert nothing.seconds == 5
    all_kept = Forecast(plan, Extent(1000, 100, 2), 2, trial, compare(plan, out, workers=1, rebuild=False))
    assert all_kept.seconds == 0
