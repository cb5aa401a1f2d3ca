"""The cache of aligned tracks: what is said of it, what is pruned, and what is never touched."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fer_prep.cache import function_path, prune_tracks, take_stock
from fer_prep.cli import main
from fer_prep.corpora.recording import Recording
from fer_prep.errors import FerPrepError
from fer_prep.recipe import AlignRecipe, Recipe
from fer_prep.shards import ShardHead
from fer_prep.stages import Aligned, AlignSetup, BuiltShard, Job, align_file, align_recording, build_shard

DAY = 24 * 3600
RECIPE = Recipe(corpus="manifest", align=AlignRecipe(backend="mesh"))
FUNCTION = function_path(align_file)
HEAD = ShardHead("manifest", "7", 1, ("joy",), RECIPE, {}, "")
TEMPORARY = f"output.pkl.{'0' * 32}-4711-140737"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["cache", *map(str, arguments)])


def align(job: Job, cache: Path) -> Aligned:
    return align_recording(job, AlignSetup(RECIPE.align, None, cache, {}))


def write(shard: Path, outcome: Aligned, cache: Path) -> BuiltShard:
    return build_shard(shard, HEAD, [outcome], AlignSetup(RECIPE.align, None, cache, {}))


@pytest.fixture(scope="module")
def job_099(shared_data: Path) -> Job:
    path = shared_data / "london/expr6/099/099_anger_2.mp4"
    return Job(Recording(path.name, path.name, path, "7", "joy"), label=0, group=1)


@pytest.fixture(scope="module")
def aligned(job_099: Job, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with one real track."""
    cache = tmp_path_factory.mktemp("aligned") / "tracks"
    assert not align(job_099, cache).failure
    return cache


@pytest.fixture
def real(aligned: Path, tmp_path: Path) -> Path:
    return shutil.copytree(aligned, tmp_path / "real")


def plant(cache: Path, *ages_days: float, size: int = 1000, function: Path = FUNCTION, first: int = 0) -> list[Path]:
    """Made-up tracks as joblib lays them out, last read and written so long ago."""
    items = [cache / function / f"{k:032x}" for k in range(first, first + len(ages_days))]
    for item, age in zip(items, ages_days, strict=True):
        item.mkdir(parents=True)
        (item / "output.pkl").write_bytes(bytes(size - 2))
        (item / "metadata.json").write_text("{}")
        set_age(item / "output.pkl", age)
    return items


def set_age(path: Path, days: float) -> None:
    os.utime(path, (time.time() - days * DAY,) * 2)


def there(items: list[Path]) -> list[bool]:
    return [item.exists() for item in items]


def listing(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def only_item(cache: Path) -> Path:
    (output,) = cache.rglob("output.pkl")
    return output.parent


def test_it_says_where_the_cache_is_what_it_holds_and_what_is_free(real: Path) -> None:
    plant(real, 40, 3, size=1_000_000)
    done = run("--cache", real)
    assert done.exit_code == 0
    text = " ".join(done.stdout.split())
    assert str(real) in done.stdout.replace("\n", "")
    assert "3 tracks, 2.4 MB, last used from " in text
    assert f"from {time.strftime('%Y-%m-%d %H:%M', time.localtime(time.time() - 40 * DAY))} to " in text
    assert "GB free" in text
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_without_an_option_the_cache_is_that_of_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path / "c", 1)
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "c"))
    assert "1 track, 1.0 kB" in run().stdout


@pytest.mark.parametrize("arguments", [(), ("--prune", "--all")])
def test_a_cache_that_is_missing_or_empty_is_said_and_nothing_is_made(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    missing = run("--cache", tmp_path / "no" / "cache", *arguments)
    (tmp_path / "empty").mkdir()
    empty = run("--cache", tmp_path / "empty", *arguments)
    assert (missing.exit_code, empty.exit_code) == (0, 0)
    assert "It is not there yet; the first build makes it." in missing.stdout
    assert "It holds no track." in empty.stdout
    assert listing(tmp_path) == ["empty"]


def test_the_longest_unused_go_until_the_size_fits(tmp_path: Path) -> None:
    items = plant(tmp_path, 1, 4, 2, 3)
    done = run("--cache", tmp_path, "--prune", "--max-size", "2 kB")
    assert "Removed 2 tracks, 2.0 kB." in done.stdout
    assert "2 tracks, 2.0 kB, last used" in done.stdout
    assert there(items) == [True, False, True, False]


def test_tracks_not_used_for_so_long_go(tmp_path: Path) -> None:
    items = plant(tmp_path, 1, 31, 29, 400)
    assert "Removed 2 tracks" in run("--cache", tmp_path, "--prune", "--older-than", "30d").stdout
    assert there(items) == [True, False, True, False]
    assert "Removed 1 track," in run("--cache", tmp_path, "--prune", "--older-than", "36h").stdout
    assert "There was nothing to remove." in run("--cache", tmp_path, "--prune", "--older-than", "36h").stdout
    assert there(items) == [True, False, False, False]


def test_both_limits_hold(tmp_path: Path) -> None:
    items = plant(tmp_path, 1, 2, 3, 40)
    run("--cache", tmp_path, "--prune", "--older-than", "30d", "--max-size", "2kB")
    assert there(items) == [True, True, False, False]
    items += plant(tmp_path, 50, 60, first=4)
    run("--cache", tmp_path, "--prune", "--older-than", "30d", "--max-size", "1GiB")
    assert there(items) == [True, True, False, False, False, False]


def test_reading_a_track_is_a_use(real: Path, job_099: Job) -> None:
    if os.statvfs(real).f_flag & getattr(os, "ST_NOATIME", 0):
        pytest.skip("this disk is mounted noatime")
    track = only_item(real)
    set_age(track / "output.pkl", 40)
    assert align(job_099, real).seconds < 1
    run("--cache", real, "--prune", "--older-than", "30d")
    assert track.exists()
    set_age(track / "output.pkl", 40)
    run("--cache", real, "--prune", "--older-than", "30d")
    assert not track.exists()


def test_tracks_of_other_functions_and_of_older_code_are_counted_and_pruned(real: Path) -> None:
    plant(real, 40, 41, function=Path("fer_prep/old/align_it"))
    assert "not read by this one: 2 tracks, 2.0 kB" in " ".join(run("--cache", real).stdout.split())
    code = real / FUNCTION / "func_code.py"
    code.write_text(code.read_text() + "    # an older version\n")
    assert "not read by this one: 3 tracks, " in " ".join(run("--cache", real).stdout.split())
    run("--cache", real, "--prune", "--older-than", "30d")
    assert list(real.rglob("output.pkl")) == [only_item(real) / "output.pkl"]
    run("--cache", real, "--prune", "--all")
    assert not list(real.rglob("output.pkl"))


def test_a_second_cache_in_one_process_knows_of_which_code_its_tracks_are(job_099: Job, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert not align(job_099, tmp_path / name).failure
    assert [(tmp_path / name / FUNCTION / "func_code.py").is_file() for name in ("one", "two")] == [True, True]


def test_what_killed_writers_left_goes_with_any_pruning_and_what_is_being_written_stays(tmp_path: Path) -> None:
    whole, dead, alive = plant(tmp_path, 1, 1, 1)
    for item in (dead, alive):
        (item / "output.pkl").rename(item / TEMPORARY)
    (whole / TEMPORARY).write_bytes(bytes(5000))
    function_code = tmp_path / FUNCTION / TEMPORARY.replace("output.pkl", "func_code.py")
    function_code.write_text("")
    for path in (whole / TEMPORARY, function_code, dead / "metadata.json", dead / TEMPORARY, dead):
        set_age(path, 0.1)
    set_age(alive / TEMPORARY, 0)
    assert "4 unfinished tracks" in run("--cache", tmp_path).stdout
    done = run("--cache", tmp_path, "--prune", "--older-than", "30d")
    assert "Removed 0 tracks and 3 unfinished ones, 6.0 kB." in done.stdout
    assert "1 unfinished track," in done.stdout
    assert listing(whole) == ["metadata.json", "output.pkl"]
    assert there([dead, alive / TEMPORARY, function_code]) == [False, True, False]


@pytest.mark.parametrize(
    "name",
    [
        "thesis.txt",
        "joblib/other_project/load/0123456789abcdef0123456789abcdef/output.pkl",
        "fer_prep/__init__.py",
        "fer_prep/stages/align_file/0123456789abcdef0123456789abcdef/thesis.txt",
        "fer_prep/stages/align_file/0123456789abcdef0123456789abcdef/mine/output.pkl",
        "fer_prep/stages/my results/output.pkl",
        "0123456789abcdef0123456789abcdef/output.pkl",
    ],
)
def test_a_directory_that_holds_something_else_is_refused_untouched(tmp_path: Path, name: str) -> None:
    plant(tmp_path, 40)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("precious")
    before = listing(tmp_path)
    done = run("--cache", tmp_path, "--prune", "--all")
    assert done.exit_code == 2
    assert f"{tmp_path} is not a cache of fer-prep, for it holds {tmp_path}/" in done.stderr
    assert "Traceback" not in done.stderr
    assert listing(tmp_path) == before


def test_links_out_of_the_cache_are_refused(tmp_path: Path) -> None:
    plant(tmp_path / "precious", 40)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/fer_prep").symlink_to(tmp_path / "precious/fer_prep")
    done = run("--cache", tmp_path / "cache", "--prune", "--all")
    assert done.exit_code == 2
    assert len(list(tmp_path.rglob("precious/**/output.pkl"))) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--prune"], "--prune needs to know what may go: --max-size 5GB, --older-than 30d, or --all"),
        (["--all"], "give --prune too"),
        (["--max-size", "5GB"], "give --prune too"),
        (["--prune", "--all", "--older-than", "30d"], "--all leaves nothing to --max-size and --older-than"),
        (["--prune", "--max-size", "5"], "'5' is no size; write it as 5GB, '500 MB' or 2GiB"),
        (["--prune", "--max-size", "GB"], "'GB' is no size"),
        (["--prune", "--max-size", "-5GB"], "'-5GB' is no size"),
        (["--prune", "--max-size", "5 apples"], "'5 apples' is no size"),
        (["--prune", "--older-than", "30"], "'30' is no age; write it in days or hours, as 30d or 12h"),
        (["--prune", "--older-than", "1e9d"], "'1e9d' is no age"),
    ],
)
def test_wrong_options_are_a_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    (item,) = plant(tmp_path, 40)
    done = run("--cache", tmp_path, *arguments)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert item.exists()


@pytest.mark.parametrize(
    ("text", "n_bytes"), [("5GB", 5 * 10**9), ("500 MB", 500 * 10**6), ("2GiB", 2 * 2**30), ("1.5kb", 1500), ("0B", 0)]
)
def test_sizes_are_read_as_they_are_written(text: str, n_bytes: int) -> None:
    option = next(parameter for parameter in main.commands["cache"].params if parameter.name == "max_size")
    assert option.type.convert(text, None, None) == n_bytes


def test_a_file_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    done = run("--cache", tmp_path / "file", "--prune", "--all")
    assert done.exit_code == 2
    assert f"{tmp_path}/file is a file; --cache must be a directory" in done.stderr


@pytest.fixture
def of_another_user() -> Iterator[Path]:
    """A cache that this process may read and not write; root becomes nobody for a while."""
    with tempfile.TemporaryDirectory() as directory:
        cache = Path(directory)
        plant(cache, 40, 50)
        folders = [cache, *(path for path in cache.rglob("*") if path.is_dir())]
        for folder in folders:
            folder.chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        yield cache
        os.seteuid(user)
        for folder in folders:
            folder.chmod(0o755)


def test_what_cannot_be_removed_is_said(of_another_user: Path) -> None:
    assert "2 tracks" in run("--cache", of_another_user).stdout
    for limit in (["--all"], ["--max-size", "1kB"], ["--older-than", "30d"]):
        done = run("--cache", of_another_user, "--prune", *limit)
        assert done.exit_code == 1
        assert "could not be removed; see who may write there" in done.stderr
        assert f"{1:032x}" in done.stderr
    assert len(list(of_another_user.rglob("output.pkl"))) == 2


def test_a_cache_that_cannot_be_read_is_said(of_another_user: Path) -> None:
    user, me = os.geteuid(), os.getuid()
    os.seteuid(me)
    (of_another_user / "fer_prep/stages").chmod(0)
    os.seteuid(user)
    done = run("--cache", of_another_user)
    assert done.exit_code == 1
    assert f"{of_another_user}/fer_prep/stages: cache cannot be read (Permission denied)" in done.stderr


def test_a_track_that_is_pruned_before_its_shard_is_written_is_made_again(job_099: Job, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    outcome = align(job_099, cache)
    write(tmp_path / "undisturbed.h5", outcome, cache)
    prune_tracks(cache, everything=True)
    assert not list(cache.rglob("output.pkl"))
    built = write(tmp_path / "pruned.h5", outcome, cache)
    assert [row.status for row in built.rows] == ["ok"]
    assert (tmp_path / "pruned.h5").read_bytes() == (tmp_path / "undisturbed.h5").read_bytes()
    assert only_item(cache)


def test_a_build_ends_right_while_its_cache_is_pruned_all_the_time(shared_data: Path, tmp_path: Path) -> None:
    files = ["099/099_anger_2.mp4", "061/061_disgust_2.mp4", "061/061_happiness_2.mp4"]
    rows = [f"{file},{file[:3]},{file[8:-6]}\n" for file in files]
    (tmp_path / "m.csv").write_text("".join(["file,subject,label\n", *rows]))
    cache, disturbed, undisturbed = (tmp_path / name for name in ("cache", "disturbed", "undisturbed"))
    build: list[str | Path] = [
        sys.executable, "-m", "fer_prep", "build", "--dataset", "manifest", "--root", shared_data / "london/expr6",
        "--manifest", tmp_path / "m.csv", "--cache", cache, "--workers", "1", "--length", "4", "--out",
    ]  # fmt: skip
    n_pruned = 0
    with subprocess.Popen([*build, disturbed], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            n_pruned += len(list(cache.rglob("output.pkl")))
            prune_tracks(cache, everything=True)
            time.sleep(0.01)
    subprocess.run([*build, undisturbed], stdout=subprocess.DEVNULL, check=True)
    assert process.returncode == 0
    assert n_pruned > 0
    assert (disturbed / "index.json").read_bytes() == (undisturbed / "index.json").read_bytes()


def _prune_one_by_one(cache: Path, n: int) -> None:
    for left in range(n, -1, -1):
        prune_tracks(cache, max_size=left * 1000, older_than=timedelta(days=1000))


def test_several_may_prune_at_the_same_time(tmp_path: Path) -> None:
    plant(tmp_path, *[1.0] * 40)
    (tmp_path / ".gitignore").write_text("*\n")
    processes = [get_context("spawn").Process(target=_prune_one_by_one, args=(tmp_path, 40)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    stock = take_stock(tmp_path)
    assert stock is not None
    assert not stock.tracks


def test_a_track_that_is_read_while_it_should_go_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """joblib removes nothing here: that is an error for what stayed as it was, and none for what is used by now."""
    (item,) = plant(tmp_path, 40)
    monkeypatch.setattr("joblib.Memory.reduce_size", lambda *_, **__: None)
    with pytest.raises(FerPrepError, match="could not be removed"):
        prune_tracks(tmp_path, older_than=timedelta(days=30))
    monkeypatch.setattr("joblib.Memory.reduce_size", lambda *_, **__: set_age(item / "output.pkl", 0))
    prune_tracks(tmp_path, older_than=timedelta(days=30))
