"""Apply a finished run to new material: an input and a run in, a directory of tables, timelines and videos out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from rich.console import Console

from fer_model.build import n_cores, pick_device, use_cpu_threads
from fer_model.data import ClipStore
from fer_model.evaluate import Scores
from fer_model.figures import confusion_figure
from fer_model.frames import FrameReader
from fer_model.holding import Holding
from fer_model.index import keys_sha256
from fer_model.predict.apply import decide_all
from fer_model.predict.decisions import Decision, Part, Unread
from fer_model.predict.directory import PredictionDirectory, claim, file_names, keep_facts
from fer_model.predict.film import check_av, write_film
from fer_model.predict.fits import check_fits
from fer_model.predict.judged import meaning, scores_by_part, scores_json
from fer_model.predict.ledger import Fate, read_ledger
from fer_model.predict.request import Request
from fer_model.predict.screen import Screen
from fer_model.predict.tables import write_clips, write_recordings
from fer_model.predict.timeline import timeline_figure
from fer_model.predict.videos import Videos, build_shards, find_videos
from fer_model.rundir import Json
from fer_model.shards import Corpus, read_corpus
from fer_model.stop import hearing_stop
from fer_model.trained import Trained, load_trained

DRAWN_PARTS = {Part.TEST: "confusion.png", Part.UNKNOWN: "confusion.png"}
"""A directory has recordings of one of the two at most."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What came of it."""

    directory: PredictionDirectory
    decisions: tuple[Decision, ...]
    unread: tuple[Unread, ...]
    """Recordings that are in no shard."""

    @property
    def n_undecided(self) -> int:
        """Recordings without a decision."""
        return len(self.unread) + sum(decision.vote is None for decision in self.decisions)


def predict_input(request: Request, *, console: Console) -> Prediction:
    """Predict every recording of an input, and write what `fer_model.predict` is for.

    Raises:
        FerModelError: one of fer_model.errors; the message says which file or argument, and what to do.
        Interrupted: Ctrl-C or SIGTERM; shards that were built are kept.
    """
    screen = Screen(console)
    with hearing_stop(says=False), Holding() as holding:
        trained = load_trained(request.checkpoint)
        device = pick_device(request.device, local_rank=0, local_size=1)
        if device.type == "cpu":
            use_cpu_threads(trained.config, n_processes=1)
        if request.video:
            check_av()
        directory = PredictionDirectory(path=request.directory)
        refused: tuple[Unread, ...] = ()
        if (request.input / "index.json").is_file():
            corpus: Corpus | None = fitting_corpus(request.input, trained, screen)
            fates = read_ledger(request.input)
            holding.take(directory.path)
            claim(directory, overwrite=request.overwrite)
        else:
            videos = find_videos(request.input, besides=directory.path)
            refused = videos.refused
            holding.take(directory.path)
            claim(directory, overwrite=request.overwrite)
            corpus, fates = corpus_of_videos(videos, trained, directory, screen, overwrite=request.overwrite)
        screen.start(trained, device=device)
        decisions = [] if corpus is None else decide(trained, corpus, fates, device=device, screen=screen)
        prediction = Prediction(
            directory=directory,
            decisions=tuple(decisions),
            unread=(*not_stored(fates, decisions), *refused),
        )
        write(prediction, trained=trained, corpus=corpus, request=request, screen=screen)
    return prediction


def fitting_corpus(shards: Path, trained: Trained, screen: Screen) -> Corpus:
    """The tables of a shard directory that a network can be used on.

    Raises:
        ShardError: it is not whole.
        ArgumentError: it does not fit.
    """
    with screen.checking() as checked:
        corpus = read_corpus(shards, checked=checked)
    check_fits(trained, corpus)
    return corpus


def corpus_of_videos(
    videos: Videos, trained: Trained, directory: PredictionDirectory, screen: Screen, *, overwrite: bool
) -> tuple[Corpus | None, dict[str, Fate]]:
    """Shards of videos, built by fer-prep, and what became of each video; no corpus if not one is stored."""
    if videos.n_others:
        what = "not looked at, for their names are not those of videos"
        screen.line(f"{what}: {videos.n_others} files below {videos.root}")
    if not videos.files:
        return None, {}
    screen.line(f"fer-prep builds shards in {directory.shards}; videos: {len(videos.files)}")
    build_shards(videos, trained, directory, overwrite=overwrite)
    fates = read_ledger(directory.shards)
    if all(fate.status == "failed" for fate in fates.values()):
        return None, fates
    return fitting_corpus(directory.shards, trained, screen), fates


def decide(
    trained: Trained, corpus: Corpus, fates: dict[str, Fate], *, device: torch.device, screen: Screen
) -> list[Decision]:
    """The decisions for all recordings of a corpus. Clips come from disk, and only what is said of them is kept."""
    trained.network.to(device)
    store = ClipStore(
        clip_length=corpus.index.clip_length,
        size=trained.config.input_size,
        readers=max(1, min(n_cores(), 8)),
        pinned=device.type == "cuda",
    )
    n_clips = sum(len(shard.clips) for shard in corpus.shards)
    with screen.doing("predicting", total=n_clips) as done:
        return decide_all(trained, corpus, fates, source=store, device=device, done=done)


def not_stored(fates: dict[str, Fate], decisions: Sequence[Decision]) -> list[Unread]:
    """Recordings that the ledger knows and no shard has."""
    stored = {decision.recording.id for decision in decisions}
    return [
        Unread(id=fate.recording, subject=fate.subject, reason=fate.reason or fate.status)
        for fate in fates.values()
        if fate.recording not in stored
    ]


def write(prediction: Prediction, *, trained: Trained, corpus: Corpus | None, request: Request, screen: Screen) -> None:
    """Write tables, figures, videos and, at the end, predict.json; say what is in them."""
    directory, classes = prediction.directory, trained.classes
    decided = [decision for decision in prediction.decisions if decision.vote is not None]
    drawn = decided if request.timelines is None else decided[: request.timelines]
    scores = scores_by_part(decided, n_classes=len(classes))
    ids = [decision.recording.id for decision in decided]
    figures = file_names(ids, folder="timelines", suffix=".png")[: len(drawn)]
    films = file_names(ids, folder="videos", suffix=".mp4") if request.video else []
    confusions = {part: name for part, name in DRAWN_PARTS.items() if part in scores}
    files = ["clips.csv", "recordings.csv", *confusions.values(), *figures, *films]
    facts = facts_of(trained, corpus, request=request, scores=scores, prediction=prediction)
    keep_facts(directory, finished=False, files=files, facts=facts)
    write_clips(directory.path / "clips.csv", decided, classes)
    write_recordings(directory.path / "recordings.csv", prediction.decisions, prediction.unread, classes)
    for part, name in confusions.items():
        draw_confusion(directory.path / name, scores[part], part=part, trained=trained)
    reader = FrameReader()
    stride = corpus.index.clip_stride if corpus is not None else 1
    for folder in {Path(name).parent for name in (*figures, *films)}:
        (directory.path / folder).mkdir(exist_ok=True)
    with screen.doing("drawing timelines", total=len(figures)) as done:
        for decision, name in zip(drawn, figures, strict=True):
            path = directory.path / name
            timeline_figure(path, decision, classes=classes, stride=stride, reader=reader, note=trained.note)
            done(1)
    with screen.doing("writing videos", total=len(films)) as done:
        for decision, name in zip(decided if films else (), films, strict=True):
            write_film(directory.path / name, decision, classes=classes, reader=reader, note=trained.note)
            done(1)
    keep_facts(directory, finished=True, files=files, facts=facts)
    screen.decisions(prediction.decisions, classes)
    screen.scores(scores, classes)
    screen.undecided(prediction.decisions, prediction.unread)
    if len(drawn) < len(decided):
        screen.line(f"timelines of {len(drawn)} of {len(decided)} recordings are drawn; --timelines all draws all")
    screen.line(f"tables{' and timelines' if drawn else ''}{' and videos' if films else ''}: {directory.path}")


def draw_confusion(path: Path, scores: Scores, *, part: Part, trained: Trained) -> None:
    """The confusion figure of labelled recordings that were not trained on, as far as is known."""
    about = f"{scores.accuracy:.1%} of {scores.n} recordings, UAR {scores.uar:.1%}"
    note = f"\n{trained.note}" if trained.note else ""
    confusion_figure(
        path,
        confusion_KK=scores.confusion_KK,
        classes=trained.classes,
        title=f"{trained.config.name}: {about}\n{meaning(part)}{note}",
    )


def facts_of(
    trained: Trained, corpus: Corpus | None, *, request: Request, scores: dict[Part, Scores], prediction: Prediction
) -> Json:
    """What predict.json says: which run, which shards, how many recordings, how right, and by which versions."""
    shards = None
    if corpus is not None:
        index = json.loads((corpus.index.directory / "index.json").read_text(encoding="utf-8"))
        shards = {
            "path": str(corpus.index.directory),
            "corpus": corpus.index.corpus,
            "shard_keys_sha256": keys_sha256(corpus.index),
            "versions": index.get("versions"),
        }
    return {
        "input": str(request.input),
        "run": {
            "path": str(trained.run.path),
            "corpus": trained.corpus,
            "name": trained.config.name,
            "seed": trained.config.seed,
            "fold": trained.fold,
            "note": trained.note,
        },
        "classes": list(trained.classes),
        "shards": shards,
        "n_recordings": len(prediction.decisions) + len(prediction.unread),
        "n_undecided": prediction.n_undecided,
        "n_clips": sum(len(decision.clips) for decision in prediction.decisions),
        "scores": scores_json(scores),
        "versions": {name: version(name) for name in ("fer-convlstm", "torch", "numpy")},
    }
