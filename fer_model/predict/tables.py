"""clips.csv and recordings.csv of a prediction."""

from collections.abc import Sequence
from pathlib import Path

from fer_model.predict.decisions import Decision, Unread
from fer_model.rundir import write_csv


def write_clips(path: Path, decisions: Sequence[Decision], classes: Sequence[str]) -> None:
    """A row per clip. Seconds are those of the recording, and empty if its speed is unknown."""
    header = ["recording", "subject", "label", "first_frame", "end_frame", "start_s", "end_s", "n_valid", "predicted"]
    rows: list[list[object]] = []
    for decision in decisions:
        recording = decision.recording
        for clip in decision.clips:
            frames = (clip.start, clip.start + clip.n_valid)
            seconds = [f"{frame / recording.fps:.3f}" if recording.fps else "" for frame in frames]
            what = [recording.id, recording.subject, _label(decision, classes)]
            numbers = _shares(clip.probability_K)
            rows.append([*what, *frames, *seconds, clip.n_valid, classes[clip.choice], *numbers])
    write_csv(path, [*header, *_columns(classes)], rows)


def write_recordings(
    path: Path, decisions: Sequence[Decision], unread: Sequence[Unread], classes: Sequence[str]
) -> None:
    """A row per recording; what could not be decided says why."""
    header = ["recording", "subject", "label", "predicted", *_columns(classes)]
    header += ["n_clips", "n_frames", "fps", "seconds", "in_run", "reason"]
    rows: list[list[object]] = []
    for decision in decisions:
        recording, vote = decision.recording, decision.vote
        said = ["", *("" for _ in classes)] if vote is None else [classes[vote.choice], *_shares(vote.probability_K)]
        seconds = "" if decision.seconds is None else f"{decision.seconds:.3f}"
        fps = f"{recording.fps:.6g}" if recording.fps else ""
        length = [len(decision.clips), recording.n_frames, fps, seconds]
        what = [recording.id, recording.subject, _label(decision, classes)]
        rows.append([*what, *said, *length, decision.part.value, decision.reason])
    for other in unread:
        nothing = ["", "", *("" for _ in classes), 0, "", "", "", ""]
        rows.append([other.id, other.subject, *nothing, other.reason])
    write_csv(path, header, rows)


def _columns(classes: Sequence[str]) -> list[str]:
    return [f"p_{name}" for name in classes]


def _shares(probability_K: Sequence[float]) -> list[str]:
    return [f"{p:.6f}" for p in probability_K]


def _label(decision: Decision, classes: Sequence[str]) -> str:
    label = decision.recording.label
    return "" if label < 0 else classes[label]
