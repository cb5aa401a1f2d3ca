"""OpenFace is tried on one bundled picture before it is trusted with a corpus: does it run, what dialect, how fast?"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fer_prep.align.openface.output import Dialect, read_output
from fer_prep.align.openface.program import OpenFace
from fer_prep.align.openface.reasons import explain
from fer_prep.align.openface.run import Input, run_openface
from fer_prep.errors import FerPrepError, RecordingError

PICTURE = Path(__file__).parent / "probe_face.jpg"
FACE_SIZE = 112
PROBE_LIMIT_S, ONE_CPU_LIMIT_S = 120.0, 20.0


@dataclass(frozen=True)
class Trial:
    """A picture was aligned.

    Attributes:
        dialect: "2.0" writes spaces into its tables, and hangs where one CPU is visible; "2.2" does neither.
        startup_s: from the start of the process to its end, for one picture.
    """

    dialect: Dialect
    startup_s: float


def visible_cpus() -> int:
    """CPUs that this process and its children may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def try_out(openface: OpenFace, *, limit_s: float | None = None) -> Trial:
    """Align the bundled picture.

    Raises:
        FerPrepError: nothing came of it, with the reason.
    """
    one_cpu = visible_cpus() == 1
    limit_s = limit_s or (ONE_CPU_LIMIT_S if one_cpu else PROBE_LIMIT_S)
    with tempfile.TemporaryDirectory(prefix="fer-prep-openface-") as home:
        pictures = Path(home, "probe")
        pictures.mkdir()
        shutil.copy(PICTURE, pictures / "face_1.jpg")
        item = Input(pictures, "probe", n_frames=1)
        try:
            run = run_openface(openface, [item], Path(home), face_size=FACE_SIZE, mask=True, limit_s=limit_s)
        except OSError as error:
            raise FerPrepError(f"{openface.program} cannot be run ({error.strerror}); is it OpenFace's?") from error
        if run.returncode is None and one_cpu:
            raise FerPrepError(
                f"{openface.program} did not end within {limit_s:.0f} s: OpenFace 2.0 hangs where only one CPU is "
                "visible, as here; allow it two (taskset, container), or use --aligner mesh"
            )
        if run.returncode is None:
            raise FerPrepError(
                f"{openface.program} did not end within {limit_s:.0f} s on one picture; try --aligner mesh"
            )
        try:
            output = read_output(Path(home, "out"), "probe", PICTURE, n_frames=1, face_size=FACE_SIZE)
        except RecordingError as error:
            explained = explain(run.said, str(pictures))
            last_line = (run.said.strip().splitlines() or ["nothing"])[-1].strip()
            reason = repr(explained[1]) if explained else f"{last_line!r}; {error.sentence}"
            raise FerPrepError(
                f"{openface.program} does not work: it ended with {run.returncode}, saying {reason}; "
                "mend the installation, or use --aligner mesh"
            ) from error
    return Trial(output.dialect, run.seconds)
