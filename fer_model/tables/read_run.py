"""One run directory becomes one Run; whatever in it is damaged is refused by a sentence."""

import csv
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fer_model import rundir
from fer_model.errors import RunDirectoryError
from fer_model.rundir import Json
from fer_model.tables.records import BestEpoch, Decisions, GradientNorm, Run

Kind = TypeVar("Kind")
TOLERANCE = 1e-6
"""Between an accuracy as summary.json says it and as predictions.csv gives it."""
FACTS = ["level", "recording", "subject", "clip_start", "label", "predicted"]


def read_run(path: Path) -> Run:
    """Read config.json, summary.json, predictions.csv and, where they are, losses.csv and gradients.csv of a run.

    Raises:
        RunDirectoryError: the run is not finished, or a file is missing, damaged or at odds with another one.
    """
    config_path, summary_path = path / "config.json", path / "summary.json"
    if not config_path.exists():
        raise RunDirectoryError(f"{path}: a summary.json without a config.json is no run; train again.")
    if not summary_path.exists():
        raise RunDirectoryError(f"{path}: not finished (no summary.json); fer-train with --resume finishes it.")
    config, summary = _json(config_path), _json(summary_path)
    classes = tuple(_value(config, "classes", _names, path=config_path))
    _agree(config, summary, path=path)
    clips, videos = _predictions(path / "predictions.csv", classes)
    run = Run(
        path=path,
        config=config,
        corpus=_value(config, "corpus", _text, path=config_path),
        name=_value(summary, "name", _text, path=summary_path),
        model=_value(summary, "model", _text, path=summary_path),
        seed=_value(config, "seed", _whole, path=config_path),
        fold=_value(config, "fold", _whole, path=config_path),
        n_folds=_optional(summary, "n_folds", _whole, path=summary_path),
        classes=classes,
        note=_optional(summary, "note", _text, path=summary_path),
        parameters=_optional(summary, "parameters", _whole, path=summary_path),
        flops_per_clip=_optional(summary, "flops_per_clip", _whole, path=summary_path),
        seconds=_optional(summary, "seconds", _number, path=summary_path),
        best_epoch=_optional(summary, "best_epoch_on_test", _best_epoch, path=summary_path),
        clips=clips,
        videos=videos,
        loss_S=_losses(path / "losses.csv"),
        gradients=_gradients(path / "gradients.csv"),
    )
    for level, things, decisions in (("video", "recordings", videos), ("clip", "clips", clips)):
        n = _value(summary, f"n_test_{things}", _whole, path=summary_path)
        if n != len(decisions.recordings):
            raise RunDirectoryError(
                f"{path}: summary.json says {n} {things} were tested, and predictions.csv has "
                f"{len(decisions.recordings)}; one of them was changed: train again."
            )
        said = _value(summary, f"{level}_accuracy", _number, path=summary_path)
        found = float((decisions.predicted_N == decisions.label_N).mean())
        if abs(said - found) > TOLERANCE:
            raise RunDirectoryError(
                f"{path}: summary.json says a {level}_accuracy of {said:.6f}, and predictions.csv gives {found:.6f}; "
                "one of them was changed: train again."
            )
    return run


def _agree(config: Json, summary: Json, *, path: Path) -> None:
    for key in ("corpus", "seed", "fold", "model"):
        if key in config and config[key] != summary.get(key):
            raise RunDirectoryError(
                f"{path}: {key} is {str(config[key])[:60]!r} in config.json and {str(summary.get(key))[:60]!r} in "
                "summary.json; one of them is of another run: train again."
            )


def _predictions(path: Path, classes: tuple[str, ...]) -> tuple[Decisions, Decisions]:
    """Of clips and of recordings."""
    expected = [*FACTS, *(f"p_{name}" for name in classes)]
    header, rows = _table(path)
    if header != expected:
        raise RunDirectoryError(
            f"{path}: its columns are {', '.join(header)[:200]}; expected {', '.join(expected)[:200]}; train again."
        )
    number = {name: k for k, name in enumerate(classes)}
    found: dict[str, list[list[str]]] = {"clip": [], "video": []}
    for line, row in enumerate(rows, 2):
        if len(row) != len(expected) or row[0] not in found or row[4] not in number or row[5] not in number:
            raise RunDirectoryError(f"{path}: line {line} is no decision between {len(classes)} classes; train again.")
        found[row[0]].append(row)
    clips, videos = (_decisions(path, level, of, number) for level, of in found.items())
    if len(set(videos.recordings)) != len(videos.recordings):
        raise RunDirectoryError(f"{path}: a recording is decided twice; train again.")
    return clips, videos


def _decisions(path: Path, level: str, rows: list[list[str]], number: Mapping[str, int]) -> Decisions:
    if not rows:
        raise RunDirectoryError(f"{path}: holds no {level} row; train again.")
    try:
        probability_NK = np.array([row[len(FACTS) :] for row in rows], np.float64)
    except ValueError as error:
        raise RunDirectoryError(f"{path}: a probability is no number ({error}); train again.") from error
    return Decisions(
        recordings=tuple(row[1] for row in rows),
        subjects=tuple(row[2] for row in rows),
        label_N=np.array([number[row[4]] for row in rows], np.int64),
        predicted_N=np.array([number[row[5]] for row in rows], np.int64),
        probability_NK=probability_NK,
    )


def _losses(path: Path) -> NDArray[np.float64]:
    if not path.exists():
        return np.empty(0)
    header, rows = _table(path)
    try:
        if header != ["step", "loss"] or [int(row[0]) for row in rows] != list(range(1, len(rows) + 1)):
            raise ValueError("expected step,loss and each step once")
        return np.array([_number(float(row[1])) for row in rows])
    except (ValueError, TypeError, IndexError) as error:
        raise RunDirectoryError(f"{path}: damaged ({error}); train again.") from error


def _gradients(path: Path) -> tuple[GradientNorm, ...]:
    if not path.exists():
        return ()
    header, rows = _table(path)
    try:
        if header != ["epoch", "stream", "layer", "t", "norm"]:
            raise ValueError("expected epoch,stream,layer,t,norm")
        return tuple(
            GradientNorm(epoch=int(epoch), stream=stream, layer=int(layer), t=int(t), norm=_number(float(norm)))
            for epoch, stream, layer, t, norm in rows
        )
    except (ValueError, TypeError) as error:
        raise RunDirectoryError(f"{path}: damaged ({error}); train again with --log-gradients.") from error


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a CSV file."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, strict=True))
    except FileNotFoundError as error:
        raise RunDirectoryError(f"{path}: is not there, though the run is finished; train again.") from error
    except OSError as error:
        raise RunDirectoryError(f"{path}: cannot be read ({error.strerror}); check its permissions.") from error
    except (ValueError, csv.Error) as error:
        raise RunDirectoryError(f"{path}: damaged ({error}); train again.") from error
    if not rows:
        raise RunDirectoryError(f"{path}: is empty; train again.")
    return rows[0], rows[1:]


def _json(path: Path) -> Json:
    try:
        return rundir.read_json(path)
    except OSError as error:
        raise RunDirectoryError(f"{path}: cannot be read ({error.strerror}); check its permissions.") from error


def _value(data: Json, key: str, kind: Callable[[Any], Kind], *, path: Path) -> Kind:
    if key not in data:
        raise RunDirectoryError(f"{path}: says no {key}; it is of another version, or damaged: train again.")
    try:
        return kind(data[key])
    except (ValueError, TypeError) as error:
        raise RunDirectoryError(f"{path}: {key} is {str(data[key])[:60]!r}, {error}; train again.") from error


def _optional(data: Json, key: str, kind: Callable[[Any], Kind], *, path: Path) -> Kind | None:
    return None if data.get(key) is None else _value(data, key, kind, path=path)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text was expected")
    return value


def _names(value: object) -> list[str]:
    if not isinstance(value, list) or len(set(map(_text, value))) != len(value) or not value:
        raise ValueError("a list of different names was expected")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("a whole number was expected")
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise TypeError("a number was expected")
    return float(value)


def _best_epoch(value: object) -> BestEpoch:
    if not isinstance(value, dict) or not {"epoch", "video_accuracy"} <= value.keys():
        raise TypeError("epoch and video_accuracy were expected")
    return BestEpoch(epoch=_whole(value["epoch"]), video_accuracy=_number(value["video_accuracy"]))
