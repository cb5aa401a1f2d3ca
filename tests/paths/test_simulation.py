"""A build of many fake recordings, as benchmarks/simulation.py makes it, keeps what it promises to Dask's scheduler."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "simulation.py"
FEW, MANY = 200, 2000


@pytest.mark.slow
def test_the_scheduler_knows_no_more_tasks_of_ten_times_the_recordings(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    command = [sys.executable, str(SCRIPT), "--recordings", str(MANY), "--json", str(result)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    measures = json.loads(result.read_text())
    for n in (FEW, MANY):
        known = measures[f"{n:,}: tasks that the scheduler knows, most"]
        assert known["value"] <= known["goal"]
    assert measures[f"{MANY:,}: subjects"]["value"] == 40
