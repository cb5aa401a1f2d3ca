"""What a second build makes of a directory: every reason, told by a dry run that touches nothing, and by the build."""

import shutil
from pathlib import Path

import h5py
import pytest
from changing import SUBJECTS, Corpus, build, snapshot

from fer_prep.dry_run import rehearse
from fer_prep.forecast import Existing
from fer_prep.ledger import read_ledger
from fer_prep.output import directory_digest
from fer_prep.plan import make_plan

pytest_plugins = ["changing_fixtures"]


def rehearsal(corpus: Corpus, out: Path) -> Existing:
    """Of a dry run that leaves bytes and times as they are."""
    plan = corpus.plan()
    before, changed = snapshot(out), out.stat().st_mtime_ns
    existing = rehearse(plan, out=out, workers=1, rebuild=False)
    assert snapshot(out) == before
    assert out.stat().st_mtime_ns == changed
    return existing


def test_every_reason_is_told_by_a_dry_run_and_by_the_build_which_ends_as_if_it_were_the_first(
    small_copy: tuple[Corpus, Path], small_built: Path, tmp_path: Path, shared_data: Path
) -> None:
    corpus, out = small_copy
    (out / ".lock").unlink()
    (out / "index.json").unlink()  # so that shards are looked into
    shutil.copy(corpus.root / "003_anger_1.mp4", corpus.root / "001_anger_1.mp4")
    corpus.add(shared_data, "005", "fear", 1)
    corpus.rows.remove(("006_fear_1.mp4", "006", "fear", 2))
    damage(out / "manifest-s008.h5")
    with h5py.File(out / "manifest-s010.h5", "r+") as file:
        versions = str(file.attrs["versions"])
        file.attrs["versions"] = versions.replace('"opencv": "4', '"opencv": "3')
        assert file.attrs["versions"] != versions
    corpus.rows = [(*row[:3], 2) if row[1] == "011" else row for row in corpus.rows if row[1] != "013"]
    corpus.add(shared_data, "016", "anger", 1)

    existing = rehearsal(corpus, out)
    reasons = {name.removeprefix("manifest-s").removesuffix(".h5"): reason for name, reason in existing.rebuilt}
    assert reasons.pop("008").startswith(f"damaged: {out / 'manifest-s008.h5'}")
    tool = reasons.pop("010")
    assert tool.startswith("tool changed: opencv: 3")
    assert " -> 4" in tool
    assert reasons == {
        "001": "input changed: 001_anger_1.mp4",
        "005": "recording added: 005_fear_1.mp4",
        "006": "recording removed: 006_fear_1.mp4",
        "011": "group changed: 1 -> 2",
    }
    assert existing.kept == ("manifest-s003.h5",)
    assert existing.new == ("manifest-s016.h5",)
    assert existing.orphaned == ("manifest-s013.h5",)

    told = build(corpus, out, small_built.parent / "cache")
    assert told == [
        *(f"{name} is built anew: {reason}" for name, reason in sorted(existing.rebuilt)),
        f"{out / 'manifest-s013.h5'} belongs to no recording that could be built now; it is not in the index",
    ]
    (out / "manifest-s013.h5").unlink()
    build(corpus, tmp_path / "anew", small_built.parent / "cache")
    assert directory_digest(out) == directory_digest(tmp_path / "anew")


def damage(shard: Path) -> None:
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 255
    shard.write_bytes(content)


def test_a_dry_run_of_another_recipe_names_the_field(
    small_copy: tuple[Corpus, Path],
) -> None:
    corpus, out = small_copy
    corpus.plan()
    plan = make_plan(dataset="manifest", root=corpus.root, groups="corpus", length=8, stride=4)
    before = snapshot(out)
    assert rehearse(plan, out=out, workers=1, rebuild=False).other_recipe == (
        "clips.length: 16 -> 8",
        "clips.stride: 8 -> 4",
    )
    anew = rehearse(plan, out=out, workers=1, rebuild=True)
    assert snapshot(out) == before
    assert len(anew.rebuilt) == len(SUBJECTS)
    assert {reason for _, reason in anew.rebuilt} == {"recipe changed: clips.length: 16 -> 8; clips.stride: 8 -> 4"}


def test_a_dry_run_into_nothing_makes_nothing(small_corpus: Corpus, tmp_path: Path) -> None:
    existing = rehearse(small_corpus.plan(), out=tmp_path / "out", workers=1, rebuild=False)
    assert len(existing.new) == len(SUBJECTS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_ledger_that_was_cut_off_in_its_last_row_costs_that_shard_only(
    small_copy: tuple[Corpus, Path], small_built: Path, cut: int
) -> None:
    """As a killed build leaves it: no index, and the end of the ledger is missing."""
    corpus, out = small_copy
    (out / "index.json").unlink()
    text = (out / "ledger.csv").read_bytes()
    (out / "ledger.csv").write_bytes(text[:-cut])
    assert len(read_ledger(out)) in (len(corpus.rows) - 1, len(corpus.rows) - 2)
    lost = sorted({row[1] for row in corpus.rows if row[0] not in read_ledger(out)})
    existing = rehearsal(corpus, out)
    assert [name for name, _ in existing.rebuilt] == [f"manifest-s{subject}.h5" for subject in lost]
    build(corpus, out, small_built.parent / "cache")
    assert directory_digest(out) == directory_digest(small_built)
    assert (out / "index.json").read_bytes() == (small_built / "index.json").read_bytes()
