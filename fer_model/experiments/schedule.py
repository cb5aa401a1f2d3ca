"""From what is asked of a set of runs to its runs, in order: all that can be refused, before the first step."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from fer_model import rundir
from fer_model.arguments import Arguments
from fer_model.build import build_network
from fer_model.config import Model, TrainConfig
from fer_model.experiments.selection import NetworkChoice
from fer_model.folds import absent_classes
from fer_model.holding import check_free
from fer_model.index import Index
from fer_model.network import flops_per_clip
from fer_model.plan import Plan, check_gradients, draft_plan
from fer_model.refusals import Useless, useless_options, without
from fer_model.rundir import RunDirectory
from fer_model.shards import Corpus


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is asked of a set of runs: every network on every fold with every seed."""

    common: Arguments
    """Of all runs; their folds, networks and seeds are in the place of its own."""
    folds: tuple[int, ...] | None
    """None: all that the shards have."""
    networks: tuple[NetworkChoice, ...]
    n_seeds: int
    """Seeds from that of `common` on."""
    jobs: int
    """Runs at a time, each in a process of its own."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One run of a set."""

    arguments: Arguments
    name: str
    """What tables and directories call its network."""
    run: RunDirectory
    kept: bool
    """It was finished before."""
    epochs: int
    work: float
    """Floating-point operations of all its training clips forward, in all epochs: runs compare by it, in time."""

    def __str__(self) -> str:
        return f"{self.name}, fold {self.arguments.fold}, seed {self.arguments.seed}"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The runs of a set in the order in which they begin, and what is to be said of them."""

    members: tuple[Member, ...]
    index: Index
    configs: tuple[TrainConfig, ...]
    """One for each network."""
    gflop: float
    """Of the largest network, per clip forward."""
    note: str | None
    absent: tuple[str, ...]
    """Classes that a fold lacks, in words."""
    left_out: tuple[str, ...]
    """Options that are for some of the networks only, in words."""

    @property
    def to_train(self) -> tuple[Member, ...]:
        """The runs that were not finished before."""
        return tuple(member for member in self.members if not member.kept)


def runs_of(experiment: Experiment, *, n_groups: int) -> list[Arguments]:
    """The arguments of each run. All networks of a fold come first, then all folds of a seed: a comparison early."""
    folds = range(1, n_groups + 1) if experiment.folds is None else experiment.folds
    first = experiment.common.seed
    left_out = left_out_of(experiment)
    return [
        without(
            dataclasses.replace(experiment.common, seed=seed, fold=fold, model=network.model, variant=network.variant),
            left_out.get(network.model, ()),
        )
        for seed in range(first, first + experiment.n_seeds)
        for fold in folds
        for network in experiment.networks
    ]


def left_out_of(experiment: Experiment) -> dict[Model, list[Useless]]:
    """The options that a model has no use for, while another one of the set has."""
    models = {network.model for network in experiment.networks}
    useless = {model: useless_options(dataclasses.replace(experiment.common, model=model)) for model in models}
    n_models = Counter(option.option for options in useless.values() for option in options)
    return {
        model: [option for option in options if n_models[option.option] < len(models)]
        for model, options in useless.items()
    }


def schedule(experiment: Experiment, corpus: Corpus, *, device: torch.device) -> Schedule:
    """Check every run of a set; nothing is written or deleted.

    Raises:
        FerModelError: a fold or an argument is refused, or the directory of a run holds what must not be touched.
    """
    members: list[Member] = []
    configs: dict[str, TrainConfig] = {}
    flops: dict[str, int] = {}
    absent: dict[int, list[str]] = {}
    note: str | None = None
    for arguments in runs_of(experiment, n_groups=corpus.index.n_groups):
        plan = draft_plan(arguments, corpus, device=device, n_processes=experiment.jobs, n_ranks=1)
        name, note = plan.config.name, plan.note
        if name not in flops:
            configs[name], flops[name] = plan.config, flops_of(plan.config, corpus.index)
        if arguments.fold not in absent:
            absent[arguments.fold] = absent_in(plan)
        members.append(
            Member(
                arguments=dataclasses.replace(arguments, overwrite=False),
                name=name,
                run=plan.run,
                kept=is_kept(plan, arguments),
                epochs=plan.config.epochs,
                work=float(len(plan.parts.train)) * plan.config.epochs * flops[name],
            )
        )
    return Schedule(
        members=tuple(members),
        index=corpus.index,
        configs=tuple(configs.values()),
        gflop=max(flops.values()) / 1e9,
        note=note,
        absent=tuple(line for lines in absent.values() for line in lines),
        left_out=tuple(
            f"not for {model}: {', '.join(option.option for option in options)}"
            for model, options in sorted(left_out_of(experiment).items())
            if options
        ),
    )


def is_kept(plan: Plan, arguments: Arguments) -> bool:
    """Whether the run was finished before, as it is asked for now.

    Raises:
        RunDirectoryError: its directory holds another run, one to resume or overwrite, or something else.
    """
    check_free(plan.run.path)
    if arguments.overwrite:
        rundir.check_clear(plan.run)
        return False
    if rundir.can_be_kept(plan.run, config=plan.run_config, resume=arguments.resume):
        return True
    state = rundir.load_checkpoint(plan.run, config=plan.run_config)  # if it is damaged, now is the time to say so
    check_gradients(state, plan.run, asked=arguments.log_gradients)
    return False


def absent_in(plan: Plan) -> list[str]:
    """Classes that the parts of a fold lack, in words."""
    parts = {"training": plan.parts.train, "validation": plan.parts.validation, "test": plan.parts.test}
    absent = {name: absent_classes(refs, plan.index.classes) for name, refs in parts.items() if refs}
    return [f"fold {plan.fold}: no {name} clip of {', '.join(classes)}" for name, classes in absent.items() if classes]


def flops_of(config: TrainConfig, index: Index) -> int:
    """Floating-point operations of a clip forward, from a network without memory."""
    with torch.device("meta"):
        network = build_network(config, n_classes=len(index.classes))
    return flops_per_clip(network, clip_length=index.clip_length)


def finished(members: Sequence[Member]) -> list[Member]:
    """Those whose result is on the disk."""
    return [member for member in members if member.run.summary.exists()]
