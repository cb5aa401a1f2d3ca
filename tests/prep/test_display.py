"""What a terminal shows while a build runs."""

import io

import pytest
from rich.console import Console

from fer_prep.display import BuildDisplay
from fer_prep.stopwatch import Timings


@pytest.mark.parametrize("width", [80, 120])
def test_a_running_build_shows_progress_failures_by_reason_stages_and_time_left(width: int) -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=width, color_system=None)
    with BuildDisplay(console) as display:
        display.planned(12345)
        for k in range(9):
            display.recording("ok", 75, f"{k}.avi", "")
        for kind in ("truncated", "empty file", "truncated"):
            display.recording("failed", 0, "x.avi", f"{kind}: [x].avi holds nothing")
        display.spent(Timings({"decode": 2.0, "detect": 1234.56, "flow": 30.0}))
    shown = text.getvalue().replace("\r", "\n").splitlines()
    lines = [line for line in shown if "frames/s" in line]
    assert " 12/12345 " in lines[-1]
    assert "3 failed" in lines[-1]
    assert lines[-1].rstrip().endswith(" left")
    assert "…" not in lines[-1]
    assert any("2 truncated, 1 empty file" in line for line in shown)
    assert any("detect 1,234.6 s · flow 30.0 s · decode 2.0 s" in line for line in shown)
