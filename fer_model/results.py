"""What a run leaves behind: metrics.csv while it trains; predictions, figures, weights and summary.json at its end."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from fer_model import rundir
from fer_model.config import TrainConfig
from fer_model.evaluate import Predictions, Scores, clip_scores, video_scores
from fer_model.figures import confusion_figure, loss_figure
from fer_model.index import Index
from fer_model.rundir import RunDirectory

SAMPLE_NOTE = "warped photographs, for trying the tools: not an expression-recognition accuracy"


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Measures of the validation group after an epoch."""

    loss: float
    clip_accuracy: float
    video_accuracy: float
    video_uar: float


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One row of metrics.csv; what was not measured is empty."""

    epoch: int
    loss: float
    """Mean cross-entropy of the training clips, each measured before its batch's step."""
    lr: float
    seconds: float
    """Of all its steps."""
    waited_s: float
    """How many of them were spent on waiting for clips to be read; in a run of several processes, by the first."""
    clips_per_s: float
    validation_loss: float | None
    validation_clip_accuracy: float | None
    validation_video_accuracy: float | None
    validation_video_uar: float | None
    test_video_accuracy: float | None = None
    """Of the test group, with --report-best-epoch; checkpoints of earlier versions do not have it."""


@dataclass(frozen=True, kw_only=True)
class BestEpoch:
    """The first of the epochs with the highest accuracy on the test group: chosen on what it is measured on."""

    epoch: int
    video_accuracy: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished run."""

    run: RunDirectory
    classes: tuple[str, ...]
    video: Scores
    clip: Scores
    seconds: float
    note: str | None
    best_epoch: BestEpoch | None
    """What peers report; no result. None unless it was asked for."""


def note_of(index: Index, *, asked: str | None) -> str | None:
    """What must be said beside every number from these shards: what the user asked for, and what is known of them."""
    known = SAMPLE_NOTE if "sample" in (index.corpus, index.recipe.get("corpus")) else None
    return "; ".join(note for note in (asked, known) if note) or None


def metrics_row(
    *,
    epoch: int,
    loss: float,
    lr: float,
    seconds: float,
    waited_s: float,
    n_clips: int,
    validation: Validation | None,
    test_video_accuracy: float | None,
) -> Epoch:
    """The row of an epoch of `n_clips` clips in `seconds`."""
    return Epoch(
        epoch=epoch,
        loss=loss,
        lr=lr,
        seconds=seconds,
        waited_s=waited_s,
        clips_per_s=n_clips / seconds,
        validation_loss=None if validation is None else validation.loss,
        validation_clip_accuracy=None if validation is None else validation.clip_accuracy,
        validation_video_accuracy=None if validation is None else validation.video_accuracy,
        validation_video_uar=None if validation is None else validation.video_uar,
        test_video_accuracy=test_video_accuracy,
    )


def best_epoch_on_test(history: Sequence[Epoch]) -> BestEpoch | None:
    """The epoch that --report-best-epoch reports; None if an epoch was not measured: another one may be the best."""
    measured = [(row.test_video_accuracy, -row.epoch) for row in history if row.test_video_accuracy is not None]
    if not measured or len(measured) < len(history):
        return None
    accuracy, epoch = max(measured)
    return BestEpoch(epoch=-epoch, video_accuracy=accuracy)


def result_of(
    run: RunDirectory, index: Index, predictions: Predictions, history: Sequence[Epoch], *, note: str | None
) -> Result:
    """The measures of a run whose last epoch is over."""
    return Result(
        run=run,
        classes=index.classes,
        video=video_scores(predictions),
        clip=clip_scores(predictions),
        seconds=sum(row.seconds for row in history),
        note=note,
        best_epoch=best_epoch_on_test(history),
    )


def write_results(
    result: Result,
    *,
    index: Index,
    config: TrainConfig,
    fold: int,
    history: Sequence[Epoch],
    predictions: Predictions,
    weights: Mapping[str, Tensor],
    n_train_clips: int,
    parameters: int,
    flops_per_clip: int,
) -> None:
    """Write predictions.csv, the figures, model.safetensors and, last, summary.json; then drop the checkpoint."""
    run = result.run
    rundir.write_csv(run.path / "predictions.csv", *prediction_table(predictions, index.classes))
    name = f"{index.corpus}, {config.name}, fold {fold}"
    note = f"\n{result.note}" if result.note else ""
    confusion_figure(
        run.path / "confusion.png",
        confusion_KK=result.video.confusion_KK,
        classes=index.classes,
        title=f"{name}: {result.video.accuracy:.1%} of {result.video.n} recordings, UAR {result.video.uar:.1%}{note}",
    )
    validation = [row.validation_loss for row in history if row.validation_loss is not None]
    loss_figure(
        run.path / "loss.png", train=[row.loss for row in history], validation=validation or None, title=name + note
    )
    rundir.save_weights(run, weights)
    rundir.write_json(
        run.summary,
        {
            "corpus": index.corpus,
            "name": config.name,
            "model": config.model,
            "seed": config.seed,
            "fold": fold,
            "n_folds": index.n_groups,
            "preset": config.preset,
            "n_test_recordings": result.video.n,
            "video_accuracy": result.video.accuracy,
            "video_uar": result.video.uar,
            "video_f1": result.video.f1,
            "n_test_clips": result.clip.n,
            "clip_accuracy": result.clip.accuracy,
            "clip_uar": result.clip.uar,
            "n_train_clips": n_train_clips,
            "epochs": len(history),
            "seconds": round(result.seconds, 3),
            "parameters": parameters,
            "flops_per_clip": flops_per_clip,
            "best_epoch_on_test": None if result.best_epoch is None else dataclasses.asdict(result.best_epoch),
            "note": result.note,
        },
    )
    run.checkpoint.unlink(missing_ok=True)


def prediction_table(predictions: Predictions, classes: Sequence[str]) -> tuple[list[str], list[list[object]]]:
    """Header and rows of predictions.csv: first all clips, then all recordings after the vote."""
    rows: list[list[object]] = []
    clips = zip(predictions.refs, predictions.choice_N.tolist(), predictions.probability_NK.tolist(), strict=True)
    videos = zip(
        predictions.recording_refs,
        predictions.vote_R.tolist(),
        predictions.recording_probability_RK.tolist(),
        strict=True,
    )
    for level, decisions in (("clip", clips), ("video", videos)):
        for ref, choice, probabilities in decisions:
            recording = ref.clip.recording
            start = ref.clip.first_frame - recording.first_frame if level == "clip" else ""
            names = [classes[recording.label], classes[choice]]
            rows.append([level, recording.id, recording.subject, start, *names, *(f"{p:.6f}" for p in probabilities)])
    header = ["level", "recording", "subject", "clip_start", "label", "predicted", *(f"p_{c}" for c in classes)]
    return header, rows
