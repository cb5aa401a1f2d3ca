"""Train one fold: shards in, a run directory out. The whole loop is `train_fold`, from top to bottom.

Axes: B clips of a batch, N training clips, K classes.
"""

import dataclasses
import hashlib
import os
import time
from pathlib import Path

import torch
from rich.console import Console
from torch.nn.functional import cross_entropy
from torch.utils.tensorboard import SummaryWriter

from fer_model import rundir
from fer_model.build import build_network, build_optimizer, learning_rate, pick_device, preset_for, use_cpu_threads
from fer_model.config import TrainConfig, train_config
from fer_model.data import ClipStore, frames_bytes
from fer_model.evaluate import decide
from fer_model.folds import check_face_size, select_fold, shards_of
from fer_model.memory import available_bytes, fits_in_memory
from fer_model.results import Epoch, Result, metrics_row, write_metrics, write_results
from fer_model.shards import Corpus, read_corpus
from fer_model.steps import check_finite, check_weights, epoch_order, forward, predict, validate
from fer_model.terminal import Terminal


def train_fold(
    *,
    shards: Path,
    fold: int,
    variant: str,
    preset: str | None,
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    seed: int,
    device: str,
    out: Path,
    validation_group: int | None,
    data: str,
    readers: int | None,
    resume: bool,
    overwrite: bool,
    console: Console,
) -> Result:
    """Train on all groups but `fold`, then test once on it, and write everything into the run directory.

    Args:
        shards: a finished shard directory.
        fold: the group to test on, 1-based.
        variant: a to d, or convlstm, spatial, temporal, enhanced.
        preset: paper or small, see docs/paper.md; None: paper on a GPU, small on a CPU.
        epochs, batch_size, lr: in place of the preset's; None leaves it.
        seed: decides weights, order and flips. The same seed on the same machine gives the same losses.
        device: auto, cpu or cuda.
        out: parent of the run directories.
        validation_group: a training group to leave out and to measure after each epoch; it chooses nothing.
        data: where the clips come from: ram, disk, or auto: ram if the frames take at most half of the free memory.
        readers: threads that read and decode; None: one per core, at most 8.
        resume: go on after the last complete epoch of an unfinished run.
        overwrite: delete the run that is there.
        console: where to report.

    Raises:
        FerModelError: one of fer_model.errors; the message says which file or argument, and what to do.
    """
    place = pick_device(device)
    preset = preset or preset_for(place)
    config = train_config(preset=preset, variant=variant, epochs=epochs, batch_size=batch_size, lr=lr, seed=seed)
    terminal = Terminal(console)
    with terminal.checking() as checked:
        corpus = read_corpus(shards, checked=checked)
    check_face_size(corpus, size=config.input_size)
    parts = select_fold(corpus, test_group=fold, validation_group=validation_group)
    kept = (*parts.train, *parts.validation)
    needed_bytes = frames_bytes(shards_of(kept), size=config.input_size)
    in_memory = fits_in_memory(data, needed_bytes=needed_bytes, free_bytes=available_bytes())
    run = rundir.run_directory(out, corpus=corpus.index.corpus, variant=config.variant, fold=fold)
    run_config = describe_run(config, corpus, fold=fold, validation_group=validation_group)
    rundir.claim(run, config=run_config, resume=resume, overwrite=overwrite)
    state = rundir.load_checkpoint(run, config=run_config)

    if place.type == "cpu":
        use_cpu_threads(config)
    torch.manual_seed(seed)
    network = build_network(config, n_classes=len(corpus.index.classes)).to(place)
    optimizer = build_optimizer(config, network.parameters())
    history: list[Epoch] = []
    if state is not None:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        history = [Epoch(**row) for row in state["history"]]

    if resume and state is None:
        terminal.line(f"nothing to resume in {run.path}: training starts from the beginning", style="yellow")
    terminal.start(corpus.index, parts, config, network, fold=fold, device=str(place), epochs_done=len(history))
    store = ClipStore(
        clip_length=corpus.index.clip_length, size=config.input_size, readers=readers or min(os.cpu_count() or 1, 8)
    )
    terminal.data(in_memory=in_memory, needed_bytes=needed_bytes)
    if in_memory:
        terminal.loading(store.load(kept), n_frames=sum(shard.n_frames for shard in shards_of(kept)))

    flow_scale = corpus.shards[0].flow_scale
    n_clips, n_batches = len(parts.train), -(-len(parts.train) // config.batch_size)
    with (
        SummaryWriter(str(run.tensorboard), purge_step=len(history) + 1) as events,
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
        terminal.training(n_epochs=config.epochs, n_batches=n_batches, epochs_done=len(history)) as progress,
    ):
        for epoch in range(len(history), config.epochs):
            started = time.perf_counter()
            network.train()
            order_N, flip_N = epoch_order(n_clips, seed=seed, epoch=epoch, flip=config.flip)
            loss_sum, n_done, rate = 0.0, 0, 0.0
            steps = torch.split(order_N, config.batch_size)
            batches = store.batches([parts.train[row] for row in rows_B.tolist()] for rows_B in steps)
            for i, (rows_B, batch) in enumerate(zip(steps, batches, strict=True)):
                rate = learning_rate(config, done=(epoch + i / n_batches) / config.epochs)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                logits_BK = forward(network, batch, flip_B=flip_N[rows_B], flow_scale=flow_scale, device=place)
                loss = cross_entropy(logits_BK, batch.label_B.to(place))
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                loss_sum += check_finite(loss.item(), epoch=epoch, lr=rate) * len(rows_B)
                n_done += len(rows_B)
                seconds = time.perf_counter() - started
                progress.batch(epoch=epoch, loss=loss_sum / n_done, clips_per_s=n_done / seconds)
            check_weights(network, epoch=epoch)
            validation = validate(network, store, parts.validation, flow_scale=flow_scale, device=place)
            history.append(
                metrics_row(
                    epoch=epoch + 1, loss=loss_sum / n_clips, lr=rate, seconds=seconds, n_clips=n_clips,
                    validation=validation,
                )
            )  # fmt: skip
            write_metrics(run, history)
            for name, value in dataclasses.asdict(history[-1]).items():
                if value is not None:
                    events.add_scalar(name, value, epoch + 1)
            rundir.save_checkpoint(
                run,
                {
                    "config_hash": rundir.config_hash(run_config),
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "history": [dataclasses.asdict(row) for row in history],
                },
            )
            progress.epoch(history[-1])

    probability_NK = predict(network, store, parts.test, flow_scale=flow_scale, device=place)
    result = write_results(
        run,
        index=corpus.index,
        config=config,
        fold=fold,
        history=history,
        predictions=decide(parts.test, probability_NK),
        weights=network.state_dict(),
        n_train_clips=n_clips,
    )
    terminal.finish(result)
    return result


def describe_run(
    config: TrainConfig, corpus: Corpus, *, fold: int, validation_group: int | None
) -> dict[str, rundir.Json]:
    """Everything that decides the result of a run, as config.json keeps it."""
    index = corpus.index
    keys = hashlib.sha256(" ".join(entry.key for entry in index.shards).encode()).hexdigest()
    return {
        **dataclasses.asdict(config),
        "corpus": index.corpus,
        "fold": fold,
        "validation_group": validation_group,
        "classes": list(index.classes),
        "clip_length": index.clip_length,
        "aligner": index.aligner,
        "recipe": index.recipe,
        "shard_keys_sha256": keys,
    }
