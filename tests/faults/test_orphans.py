"""A driver that was killed leaves tasks running on its cluster; what they make is not put into a later build."""

from pathlib import Path

import pytest
from running import command, dask_cluster, digest, run, start, wait_for
from small import stored

from fer_prep.errors import FerPrepError
from fer_prep.output import directory_digest
from fer_prep.recipe import Recipe
from fer_prep.shards import ShardHead, write_shard

pytest_plugins = ["faults_fixtures"]

WAITING = """
import time
from pathlib import Path
import fer_prep.stages as stages
home = Path({home!r})
original = getattr(stages.write_shard, 'original', stages.write_shard)  # preloaded twice
def write_shard(path, *arguments, **options):
    (home / 'reached').touch()
    while not (home / 'go').exists(): time.sleep(0.02)
    try:
        return original(path, *arguments, **options)
    finally:
        (home / 'ended').touch()
write_shard.original = original
stages.write_shard = write_shard
"""


@pytest.mark.slow
def test_a_shard_by_the_recipe_of_a_dead_driver_is_not_put_among_those_of_another(root: Path, tmp_path: Path) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    (tmp_path / "trap.py").write_text(WAITING.format(home=str(tmp_path)))
    with dask_cluster(tmp_path, 1, f"--preload={tmp_path / 'trap.py'}") as cluster:
        process = start(command(root, out, cache, f"--scheduler={cluster.address}"))
        wait_for(lambda: (tmp_path / "reached").exists() or process.poll() is not None)
        process.kill()
        process.communicate()
        done = run(command(root, out, cache, "--workers=2", "--length=8", "--stride=4", "--rebuild"))
        assert done.returncode == 0, done.stderr
        before = digest(out)
        (tmp_path / "go").touch()
        wait_for((tmp_path / "ended").exists)
    assert directory_digest(out) == before
    assert [path.name for path in out.glob(".*")] == [".lock"]


def test_a_shard_whose_token_is_gone_is_not_put_into_place(tmp_path: Path) -> None:
    recipe = Recipe(corpus="manifest")
    head = ShardHead("manifest", "a", 1, ("x",), recipe, {}, "key")
    recordings, token = [stored("a.avi", 1, "f" * 60, recipe)], tmp_path / "token"
    with pytest.raises(FerPrepError, match="the build that wanted this shard has ended"):
        write_shard(tmp_path / "a.h5", head, recordings, token=token)
    assert not list(tmp_path.iterdir())
    token.touch()
    assert write_shard(tmp_path / "a.h5", head, recordings, token=token)
