"""A recording that is too much for its worker costs itself only: out of memory, or a defect of ours."""

import resource
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from running import HARD, command, dask_cluster, local_workers, run, start, tracks, trap, wait_for

from fer_prep.ledger import LedgerRow, read_ledger
from fer_prep.stored import file_sha256

pytest_plugins = ["faults_fixtures"]

GREEDY = """
    import time, numpy as np
    kept = [np.ones(25 << 20, np.uint8)]
    while len(kept) < 80:
        kept.append(np.ones(25 << 20, np.uint8)); time.sleep(0.05)
"""
DEFECT = """
    raise ZeroDivisionError("a defect")
"""


def failed(out: Path) -> dict[str, LedgerRow]:
    return {row.recording: row for row in read_ledger(out).values() if row.status == "failed"}


def others_are_unharmed(out: Path, undisturbed: Path) -> None:
    rows = read_ledger(out)
    assert len(rows) == 16
    for path in undisturbed.glob("*.h5"):
        if "-s003" not in path.name:
            assert file_sha256(out / path.name) == file_sha256(path)
    assert {row.status for row in rows.values() if row.recording != HARD} == {"ok"}


@pytest.mark.parametrize(
    ("body", "limit", "reason"),
    [
        pytest.param(
            GREEDY,
            "700MB",
            "worker died: several times on this recording, killed or out of memory",
            marks=pytest.mark.slow,
            id="out of memory",
        ),
        pytest.param(DEFECT, "0", "internal error: ZeroDivisionError: a defect", id="a defect"),
    ],
)
def test_a_recording_that_breaks_its_worker_is_a_row_with_a_reason(
    root: Path, undisturbed: Path, tmp_path: Path, body: str, limit: str, reason: str
) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    with dask_cluster(tmp_path, 2, f"--memory-limit={limit}", trap(tmp_path, body)) as cluster:
        done = run(command(root, out, cache, f"--scheduler={cluster.address}"))
    assert done.returncode == 3, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert list(failed(out)) == [HARD]
    assert failed(out)[HARD].reason.startswith(reason)
    others_are_unharmed(out, undisturbed)


@pytest.mark.slow
def test_a_recording_too_large_for_the_address_space_of_its_worker_is_a_row_with_a_reason(
    root: Path, tmp_path: Path
) -> None:
    corpus, out, cache = tmp_path / "corpus", tmp_path / "out", tmp_path / "cache"
    shutil.copytree(root, corpus)
    (corpus / "large").mkdir()
    for k in range(2):
        cv2.imwrite(str(corpus / "large" / f"{k}.png"), np.full((8000, 8000, 3), 90 + k, np.uint8))
    with (corpus / "manifest.csv").open("a") as file:
        file.write("large,999,anger\n")
    process = start(command(corpus, out, cache, "--workers=1"))
    wait_for(lambda: tracks(cache) or process.poll() is not None)
    for worker in local_workers(process):
        room = worker.memory_info().vms + (150 << 20)
        worker.rlimit(resource.RLIMIT_AS, (room, room))
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 3, output
    assert "Traceback" not in output
    (row,) = failed(out).values()
    assert (row.recording, row.kind) == ("large", "out of memory"), row.reason
