"""A plan for programs: the JSON of `fer-prep plan --json`."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fer_prep.errors import FerPrepError
from fer_prep.files import replace_text
from fer_prep.forecast import Forecast
from fer_prep.plan import fold_warnings


def write_plan(path: Path, forecast: Forecast) -> None:
    """Write all that is known of a plan.

    Raises:
        FerPrepError: the file cannot be written.
    """
    # names on disk can be any bytes; JSON has an escape for those that are no text
    text = json.dumps(plan_values(forecast), indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
    if not path.exists() or path.is_file():
        replace_text(path, text + "\n")
        return
    try:
        path.write_text(text + "\n", encoding="utf-8")  # a pipe or a device is not to be replaced
    except OSError as error:
        raise FerPrepError(f"{path} cannot be written ({error.strerror}); name another file with --json") from error


def plan_values(forecast: Forecast) -> dict[str, Any]:
    """The same as plain values; every remark and every recording is in it."""
    plan = forecast.plan
    corpus = plan.corpus
    counts = Counter((recording.label, plan.group_of[recording.subject]) for recording in corpus.recordings)
    return {
        "corpus": corpus.name,
        "root": str(corpus.root),
        "recipe": plan.recipe.model_dump(mode="json"),
        "classes": list(corpus.classes),
        "n_groups": plan.n_groups,
        "counts": [{"label": label, "group": group, "recordings": n} for (label, group), n in counts.items()],
        "subjects": [{"subject": subject, "group": group} for subject, group in plan.group_of.items()],
        "aligner": plan.aligner.says,
        "warnings": fold_warnings(plan),
        "irregularities": [asdict(remark) for remark in corpus.irregularities],
        "left_out": [asdict(remark) for remark in corpus.left_out],
        "will_fail": [asdict(remark) for remark in forecast.will_fail],
        "expected": {
            "n_frames": forecast.extent.n_frames,
            "n_clips": forecast.extent.n_clips,
            "n_read": forecast.extent.n_read,
            "shard_bytes": forecast.shard_bytes,
            "cache_bytes": forecast.cache_bytes,
            "seconds": forecast.seconds,
            "workers": forecast.workers,
            "calibration": forecast.calibration and asdict(forecast.calibration),
        },
        "existing": forecast.existing and asdict(forecast.existing),
        "recordings": [
            {
                "recording": recording.id,
                "path": recording.file,
                "subject": recording.subject,
                "label": recording.label,
                "group": plan.group_of[recording.subject],
                "extra": dict(recording.extra),
            }
            for recording in corpus.recordings
        ],
    }
