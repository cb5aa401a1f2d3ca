"""The tables as CSV files: full precision, shares and not per cent, empty where there is nothing to say."""

import csv
import io
import math
import os
from collections.abc import Iterator, Sequence

from fer_model.tables.measures import Estimate, Measures
from fer_model.tables.records import Gathered
from fer_model.tables.tabulate import Tables

Row = list[object]
ESTIMATES = ("accuracy", "uar", "weighted_f1", "macro_f1", "clip_accuracy", "clip_uar")
HEADERS: dict[str, Row] = {
    "results": [
        "section", "corpus", "note", "network", "model", "runs", "expected", "missing", "recordings", "clips",
        "subjects", "accuracy_fold_mean", "accuracy_fold_sd", "folds", "uar_fold_mean", "uar_fold_sd",
        "clip_accuracy_fold_mean", "clip_accuracy_fold_sd",
        *(f"{name}{end}" for name in ESTIMATES for end in ("", "_low", "_high")),
        "best_epoch_on_test_not_a_result", "parameters", "flops_per_clip", "seconds_per_run",
    ],
    "folds": ["section", "network", "fold", "accuracy_mean_over_seeds"],
    "classes": ["section", "network", "class", "decisions", "recall", "f1"],
    "confusion": ["section", "network", "label", "predicted", "decisions"],
    "pairs": [
        "section", "first", "second", "recordings", "seeds", "difference", "low", "high", "only_second_right_n01",
        "only_first_right_n10", "mcnemar_p", "holm_p",
    ],
    "steps": ["section", "network", "share_of_guessing", "loss", "runs", "reached", "mean", "first", "last"],
    "gradients": ["section", "network", "stream", "layer", "t", "norm"],
    "published": ["section", "network", "published", "where", "ours_fold_mean", "ours_fold_sd", "protocol_differs"],
    "problems": ["path", "problem"],
}  # fmt: skip


def csv_files(gathered: Gathered, tables: Sequence[Tables]) -> dict[str, bytes]:
    """(file name, content) of every table."""
    rows = {
        name: [[number, *row] for number, of in enumerate(tables, 1) for row in table(of)]
        for name, table in {
            "results": _results,
            "folds": _folds,
            "classes": _classes,
            "confusion": _confusion,
            "pairs": _pairs,
            "steps": _steps,
            "gradients": _gradients,
            "published": _published,
        }.items()
    }
    rows["problems"] = [
        [problem.path.relative_to(gathered.root), problem.text.removeprefix(f"{gathered.root}{os.sep}")]
        for problem in gathered.problems
    ]
    return {f"{name}.csv": _file([HEADERS[name], *rows[name]]) for name in HEADERS}


def _results(tables: Tables) -> Iterator[Row]:
    section = tables.section
    for row in tables.measures:
        spreads = (row.fold_accuracy, row.fold_uar, row.fold_clip_accuracy)
        accuracy, uar, clips = ([spread.mean, spread.sd] for spread in spreads)
        yield [
            section.corpus, section.note, row.entry.label, row.entry.runs[0].model, len(row.entry.runs),
            row.entry.n_expected, " ".join(f"seed{seed}/fold{fold}" for seed, fold in row.entry.missing),
            row.n_recordings, row.n_clips, row.n_subjects, *accuracy, row.fold_accuracy.n, *uar, *clips,
            *(value for name in ESTIMATES for value in _estimate(_named(row, name))),
            None if row.best_epoch is None else row.best_epoch.mean,
            row.parameters, row.flops_per_clip, row.seconds,
        ]  # fmt: skip


def _named(row: Measures, name: str) -> Estimate:
    estimates = (row.accuracy, row.uar, row.weighted_f1, row.macro_f1, row.clip_accuracy, row.clip_uar)
    return dict(zip(ESTIMATES, estimates, strict=True))[name]


def _estimate(estimate: Estimate | None) -> Row:
    if estimate is None:
        return [None, None, None]
    interval = estimate.interval
    return [estimate.value, *((interval.low, interval.high) if interval is not None else (None, None))]


def _folds(tables: Tables) -> Iterator[Row]:
    for row in tables.measures:
        for fold in range(1, tables.section.n_folds + 1):
            yield [row.entry.label, fold, row.accuracy_of_fold.get(fold, "missing")]


def _classes(tables: Tables) -> Iterator[Row]:
    for row in tables.measures:
        counts = row.confusion_KK.sum(1).tolist()
        for name, n, recall, f1 in zip(tables.section.classes, counts, row.recall_K, row.f1_K, strict=True):
            yield [row.entry.label, name, n, recall, f1]


def _confusion(tables: Tables) -> Iterator[Row]:
    for row in tables.measures:
        for label, counts in zip(tables.section.classes, row.confusion_KK.tolist(), strict=True):
            for predicted, count in zip(tables.section.classes, counts, strict=True):
                yield [row.entry.label, label, predicted, count]


def _pairs(tables: Tables) -> Iterator[Row]:
    for pair in tables.pairs:
        tested = [pair.n01, pair.n10, pair.p, pair.p_holm] if pair.n_recordings else [None] * 4
        yield [pair.first, pair.second, pair.n_recordings, pair.n_seeds, *_estimate(pair.difference), *tested]


def _steps(tables: Tables) -> Iterator[Row]:
    for row in tables.steps:
        reached = row.reached
        ends = [min(reached), max(reached)] if reached else [None, None]
        yield [row.label, row.share, row.loss, len(row.steps), len(reached), row.mean, *ends]


def _gradients(tables: Tables) -> Iterator[Row]:
    for norm in tables.gradients:
        yield [norm.label, norm.stream, norm.layer, norm.t, norm.norm]


def _published(tables: Tables) -> Iterator[Row]:
    for row in tables.published:
        ours = [None, None] if row.ours is None else [row.ours.mean, row.ours.sd]
        yield [row.label, row.published.percent / 100, row.published.where, *ours, "; ".join(row.differs)]


def _file(rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([[_cell(value) for value in row] for row in rows])
    return text.getvalue().encode()


def _cell(value: object) -> object:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value
