"""Train one fold: shards in, a run directory out. The loop itself is in fer_model.loop.

Axes: N clips, K classes.
"""

from contextlib import nullcontext

import torch
from rich.console import Console

from fer_model import rundir
from fer_model.arguments import Arguments
from fer_model.baselines.svm import LbpTopSvm
from fer_model.build import build_network, build_optimizer, n_cores, pick_device, recompute_on, use_cpu_threads
from fer_model.checkpoint import Checkpoints, Progress
from fer_model.compiling import compile_steps
from fer_model.config import Model
from fer_model.data import BatchSource, ClipStore
from fer_model.device_store import DeviceStore
from fer_model.evaluate import decide
from fer_model.fitting import fit
from fer_model.folds import shards_of
from fer_model.footprint import step_bytes
from fer_model.gradients import GradientLog
from fer_model.holding import Holding
from fer_model.loop import Training, Watcher, train
from fer_model.memory import free_bytes
from fer_model.network import flops_per_clip, n_parameters
from fer_model.plan import Plan, make_plan
from fer_model.ranks import ALONE, Ranks
from fer_model.results import Result, result_of, write_results
from fer_model.shards import Corpus
from fer_model.steps import predict
from fer_model.stop import hearing_stop
from fer_model.terminal import Terminal
from fer_model.weights import take, weights_for


def train_fold(
    arguments: Arguments,
    *,
    console: Console,
    ranks: Ranks = ALONE,
    corpus: Corpus | None = None,
    watcher: Watcher | None = None,
) -> Result:
    """Train on all groups but `fold`, then test once on it, and write everything into the run directory.

    Args:
        arguments: `devices` is not looked at: fer_model.launch starts as many processes, and each calls this.
        console: where to report; only the first rank does.
        ranks: which of how many processes this is; they are connected.
        corpus: what `arguments.shards` holds, if it was read and checked before.
        watcher: told of each step and epoch, in place of a progress bar on the console.

    Raises:
        FerModelError: one of fer_model.errors; the message says which file or argument, and what to do.
        Interrupted: Ctrl-C or SIGTERM; the run can go on.
    """
    device = pick_device(arguments.device, local_rank=ranks.local_rank, local_size=ranks.local_size)
    terminal = Terminal(console if ranks.first else Console(quiet=True))
    with hearing_stop(says=ranks.first and ranks.local_rank == 0) as stop, Holding() as holding:
        plan = ranks.first_decides(
            lambda: make_plan(arguments, device=device, ranks=ranks, terminal=terminal, holding=holding, corpus=corpus)
        )
        if device.type == "cpu":
            use_cpu_threads(plan.config, n_processes=ranks.local_size)
        torch.manual_seed(plan.config.seed)
        recompute = recompute_on(device, checkpoint_layers=arguments.checkpoint_layers)
        network = build_network(plan.config, n_classes=len(plan.index.classes), recompute=recompute).to(device)
        n_clips = len(ranks.share(torch.arange(min(plan.config.batch_size, len(plan.parts.train))))[0])
        gradients = None
        if arguments.log_gradients:
            gradients = GradientLog(network, clip_length=plan.index.clip_length, device=device)
        if plan.compiled:
            compile_steps(network, n_clips=n_clips)
        if arguments.weights is not None and plan.state is None:
            weights = weights_for(network, arguments.weights)
            take(network, weights)
            terminal.line(f"weights of {arguments.weights}: {weights}")
        optimizer = build_optimizer(plan.config, network.parameters())
        checkpoints = Checkpoints(
            plan.run,
            config_hash=rundir.config_hash(plan.run_config),
            network=network,
            optimizer=optimizer,
            every_s=arguments.checkpoint_every,
            writes=ranks.first,
        )
        terminal.start(plan.index, plan.parts, plan.config, network, fold=plan.fold, device=device, note=plan.note)
        terminal.devices(batch_size=plan.config.batch_size, n_devices=ranks.size)
        progress = Progress(n_steps=plan.n_steps, history=[], gradient_sums=[] if arguments.log_gradients else None)
        if plan.state is not None:
            progress = checkpoints.restore(plan.state)
            terminal.line(f"resumed {progress} of {plan.config.epochs}")
        terminal.data(plan.frames, needed_bytes=plan.frames_bytes)
        reader = ClipStore(
            clip_length=plan.index.clip_length,
            size=plan.config.input_size,
            readers=arguments.readers or max(1, min(n_cores(), 8) // ranks.local_size),
            pinned=device.type == "cuda",
        )
        clips = load_frames(plan, reader, device=device, terminal=terminal)
        if isinstance(network, LbpTopSvm):
            fit(network, clips, plan, progress=progress, device=device, terminal=terminal)
        else:
            training = Training(
                network=network,
                optimizer=optimizer,
                clips=clips,
                test_clips=reader if arguments.report_best_epoch else None,
                device=device,
                progress=progress,
                checkpoints=checkpoints,
                gradients=gradients,
            )
            terminal.step(
                n_clips=n_clips,
                step_bytes=step_bytes(network, n_clips=n_clips, clip_length=plan.index.clip_length, config=plan.config),
                free_bytes=free_bytes(device, n_processes=ranks.local_size),
                compiled=plan.compiled,
                has_layers=plan.config.model is Model.TWO_STREAM,
            )
            bar = terminal.training(progress, n_epochs=plan.config.epochs) if watcher is None else nullcontext(watcher)
            with bar as told:
                train(plan, training, ranks=ranks, stop=stop, watcher=told)
        probability_NK = predict(
            network, reader, plan.parts.test, flow_scale=plan.flow_scale, device=device, ranks=ranks
        )
        predictions = decide(plan.parts.test, probability_NK)
        result = result_of(plan.run, plan.index, predictions, progress.history, note=plan.note)
        if ranks.first:
            write_results(
                result,
                index=plan.index,
                config=plan.config,
                fold=plan.fold,
                history=progress.history,
                predictions=predictions,
                weights=network.state_dict(),
                n_train_clips=len(plan.parts.train),
                parameters=n_parameters(network),
                flops_per_clip=flops_per_clip(network, clip_length=plan.index.clip_length),
            )
        ranks.wait_for_all()
    terminal.finish(result)
    if arguments.report_best_epoch and result.best_epoch is None:
        terminal.line("best epoch on the test fold: not known, not all epochs were measured on it", style="yellow")
    return result


def load_frames(plan: Plan, reader: ClipStore, *, device: torch.device, terminal: Terminal) -> BatchSource:
    """What hands out the clips of training and validation, its frames in the place that was planned."""
    store = DeviceStore(reader, device=device) if plan.frames == "device" else reader
    if plan.frames != "disk":
        terminal.loading(store.load(plan.kept), n_frames=sum(shard.n_frames for shard in shards_of(plan.kept)))
    return store
