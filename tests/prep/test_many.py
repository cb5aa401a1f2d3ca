"""Corpora of many subjects: nothing may grow with the square of their number."""

import time
from pathlib import Path

import trees

from fer_prep.dry_run import rehearse
from fer_prep.kept_groups import keep_groups, read_groups, remember_groups
from fer_prep.plan import Plan, fold_warnings, make_plan

MANY, THERE = 20_000, 2_000
ENOUGH_S = 10  # of computing; with the square it takes far longer


def plan_of(root: Path, n: int) -> Plan:
    """Everyone has one recording and is a group."""
    names = [f"{k}.avi" for k in range(n)]
    trees.make_files(root, names)
    rows = "".join(f"{name},s{k},{'ab'[k % 2]}\n" for k, name in enumerate(names))
    (root / "manifest.csv").write_text("file,subject,label\n" + rows)
    return make_plan(dataset="manifest", root=root, groups="subject", aligner="mesh")


def test_thousands_of_subjects_are_judged_and_rehearsed_in_seconds(tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "in", MANY)
    (tmp_path / "out").mkdir()
    for k in range(THERE):
        (tmp_path / "out" / f"manifest-ss{k}.h5").write_bytes(b"no shard")
    begin = time.process_time()
    warnings = fold_warnings(plan)
    existing = rehearse(plan, out=tmp_path / "out", workers=1, rebuild=False)
    assert time.process_time() - begin < ENOUGH_S
    assert warnings[0].startswith(f"No a in groups 2, 4, 6, 8, 10, 12 and {MANY // 2 - 6} more: ")
    assert (len(existing.new), len(existing.rebuilt)) == (MANY - THERE, THERE)


def test_more_than_a_thousand_subjects_can_be_a_group_each_and_stay_so(tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "in", 1001)
    (tmp_path / "out").mkdir()
    remember_groups(plan, tmp_path / "out")
    assert set(read_groups(tmp_path / "out").values()) == set(range(1, 1002))
    assert keep_groups(plan, tmp_path / "out").group_of == plan.group_of
