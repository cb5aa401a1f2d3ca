"""From arguments to what will be trained on what, and where it is kept: all that can be refused, before it costs."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch

from fer_model import rundir
from fer_model.arguments import Arguments
from fer_model.build import build_network, preset_for
from fer_model.compiling import wants_compiling
from fer_model.config import Model, TrainConfig, train_config
from fer_model.data import frames_bytes
from fer_model.errors import ArgumentError
from fer_model.folds import ClipRef, Fold, check_face_size, select_fold, shards_of
from fer_model.holding import Holding
from fer_model.index import Index, keys_sha256
from fer_model.memory import FramesPlace, frames_place, free_bytes
from fer_model.ranks import Ranks
from fer_model.refusals import check_model
from fer_model.results import note_of
from fer_model.rundir import Json, RunDirectory
from fer_model.shards import Corpus, read_corpus
from fer_model.terminal import Terminal
from fer_model.weights import file_sha256, weights_for


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run that can begin. The first rank makes it, the others get a copy."""

    config: TrainConfig
    index: Index
    flow_scale: float
    fold: int
    parts: Fold
    frames: FramesPlace
    """Where the frames of `kept` are kept."""
    frames_bytes: int
    compiled: bool
    """Whether the time step of the layers is compiled."""
    run: RunDirectory
    run_config: Json
    state: Json | None
    """The checkpoint to go on from."""
    note: str | None
    """What must be said beside every number, if anything."""

    @property
    def kept(self) -> tuple[ClipRef, ...]:
        """The clips that are read in every epoch."""
        return (*self.parts.train, *self.parts.validation)

    @property
    def n_steps(self) -> int:
        """Steps of an epoch."""
        return -(-len(self.parts.train) // self.config.batch_size)


def make_plan(
    arguments: Arguments,
    *,
    device: torch.device,
    ranks: Ranks,
    terminal: Terminal,
    holding: Holding,
    corpus: Corpus | None = None,
) -> Plan:
    """Check the arguments and the shards, and claim the run directory.

    Args:
        holding: of this process; it takes the run directory.
        corpus: the shards, if they were checked before.

    Raises:
        FerModelError: one of fer_model.errors; the message says which file or argument, and what to do.
    """
    if corpus is None:
        with terminal.checking() as checked:
            corpus = read_corpus(arguments.shards, checked=checked)
    plan = draft_plan(arguments, corpus, device=device, n_processes=ranks.local_size, n_ranks=ranks.size)
    # what torchrun has started again goes on, whatever the first start was asked
    resume, overwrite = arguments.resume or ranks.restarts > 0, arguments.overwrite and ranks.restarts == 0
    holding.take(plan.run.path)
    rundir.claim(plan.run, config=plan.run_config, resume=resume, overwrite=overwrite)
    state = rundir.load_checkpoint(plan.run, config=plan.run_config)
    check_gradients(state, plan.run, asked=arguments.log_gradients)
    if resume and state is None:
        terminal.line(f"nothing to resume in {plan.run.path}: training starts from the beginning", style="yellow")
    return dataclasses.replace(plan, state=state)


def draft_plan(arguments: Arguments, corpus: Corpus, *, device: torch.device, n_processes: int, n_ranks: int) -> Plan:
    """What would be trained on what; nothing is written, and no run directory looked at.

    Args:
        n_processes: of this machine, among which its memory is divided.
        n_ranks: processes that train this run together.

    Raises:
        FerModelError: one of fer_model.errors; the message says which file or argument, and what to do.
    """
    config = train_config(
        model=arguments.model,
        preset=arguments.preset or preset_for(device),
        variant=arguments.variant,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        lr=arguments.lr,
        seed=arguments.seed,
        precision=arguments.precision,
        weights_sha256=None if arguments.weights is None else file_sha256(arguments.weights),
    )
    compiled = config.model is Model.TWO_STREAM and wants_compiling(arguments.compile, device=device)
    check_model(arguments, n_processes=n_ranks, clip_length=corpus.index.clip_length)
    if arguments.weights is not None:
        check_weights(config, arguments.weights, n_classes=len(corpus.index.classes))
    check_face_size(corpus, size=config.input_size)
    parts = select_fold(corpus, test_group=arguments.fold, validation_group=arguments.validation_group)
    needed_bytes = frames_bytes(shards_of((*parts.train, *parts.validation)), size=config.input_size)
    run = rundir.run_directory(
        arguments.out, corpus=corpus.index.corpus, name=config.name, seed=config.seed, fold=arguments.fold
    )
    run_config = describe_run(config, corpus, fold=arguments.fold, validation_group=arguments.validation_group)
    frames = frames_place(
        arguments.data,
        needed_bytes=needed_bytes,
        free_bytes=free_bytes(torch.device("cpu"), n_processes=n_processes),
        device_bytes=free_bytes(device, n_processes=n_processes) if device.type == "cuda" else None,
    )
    return Plan(
        config=config,
        index=corpus.index,
        flow_scale=corpus.shards[0].flow_scale,
        fold=arguments.fold,
        parts=parts,
        frames=frames,
        frames_bytes=needed_bytes,
        compiled=compiled,
        run=run,
        run_config=run_config,
        state=None,
        note=note_of(corpus.index, asked=arguments.note),
    )


def check_gradients(state: Json | None, run: RunDirectory, *, asked: bool) -> None:
    """Refuse to go on so that gradients.csv would lack epochs, or parts of one.

    Raises:
        ArgumentError: the run records gradients and is not asked to any more, or the other way round.
    """
    recorded = state is not None and state["progress"].get("gradient_sums") is not None
    if state is not None and asked != recorded:
        begun, do = ("with", "give it again") if recorded else ("without", "leave it out")
        raise ArgumentError(f"{run.path}: begun {begun} --log-gradients; {do}, or give --overwrite to start again.")


def check_weights(config: TrainConfig, path: Path, *, n_classes: int) -> None:
    """Refuse a file of weights that does not fit the network.

    Raises:
        ArgumentError: it does not.
    """
    with torch.device("meta"):
        network = build_network(config, n_classes=n_classes)
    weights_for(network, path)


def describe_run(config: TrainConfig, corpus: Corpus, *, fold: int, validation_group: int | None) -> Json:
    """Everything that decides the result of a run, as config.json keeps it."""
    index = corpus.index
    return {
        **dataclasses.asdict(config),
        "corpus": index.corpus,
        "fold": fold,
        "validation_group": validation_group,
        "classes": list(index.classes),
        "clip_length": index.clip_length,
        "aligner": index.aligner,
        "recipe": index.recipe,
        "shard_keys_sha256": keys_sha256(index),
    }
