"""The training loop: a network, its clips and its progress in; a trained network, and the traces of it, out.

Axes: B clips of a batch, N training clips, K classes.
"""

import time
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from fer_model.build import learning_rate
from fer_model.checkpoint import Checkpoints, Progress
from fer_model.data import BatchSource
from fer_model.gradients import GradientLog
from fer_model.journal import Journal
from fer_model.plan import Plan
from fer_model.ranks import Ranks
from fer_model.results import Epoch, metrics_row
from fer_model.steps import check_loss, epoch_order, forward, set_learning_rate, step_seed, test_accuracy, validate
from fer_model.stop import SIGNALS, Interrupted, Stop


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is trained, from what, on which device, how far it is, and where that is kept."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    clips: BatchSource
    """Of training and validation."""
    test_clips: BatchSource | None
    """To measure after each epoch, with --report-best-epoch; they choose nothing."""
    device: torch.device
    progress: Progress
    checkpoints: Checkpoints
    gradients: GradientLog | None
    """Watches the network; None: nobody asked."""


class Watcher(Protocol):
    """Whatever is told how far the training is."""

    def step_done(self, progress: Progress, *, n_clips: int) -> None:
        """A step was made; `n_clips` are done in this epoch."""

    def epoch_done(self, row: Epoch) -> None:
        """An epoch is complete and saved."""


def train(plan: Plan, training: Training, *, ranks: Ranks, stop: Stop, watcher: Watcher) -> None:
    """Train from where the progress is to the last epoch.

    Args:
        watcher: told of each step and epoch.

    Raises:
        DivergedError: the loss exploded, or is no number.
        Interrupted: after a step that was asked to be the last one.
    """
    config, refs, n_classes = plan.config, plan.parts.train, len(plan.index.classes)
    network, optimizer, device = training.network, training.optimizer, training.device
    progress, checkpoints = training.progress, training.checkpoints
    model = ranks.parallel(network, device=device, some_unused=plan.index.clip_length == 1)
    with (
        Journal(plan.run, progress, writes=ranks.first) as journal,
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
        stop.waiting(),
    ):
        while progress.epoch < config.epochs:
            epoch, lap = progress.epoch, time.perf_counter()
            network.train()
            order_N, flip_N = epoch_order(len(refs), seed=config.seed, epoch=epoch, flip=config.flip)
            steps = torch.split(order_N, config.batch_size)[progress.step :]
            shares = [ranks.share(rows_B) for rows_B in steps]
            wanted = ([refs[row] for row in mine_B.tolist()] for mine_B, _ in shares)
            with closing(training.clips.batches(wanted)) as batches:  # its threads end with it
                for rows_B, (mine_B, weight) in zip(steps, shares, strict=True):
                    asked = time.perf_counter()
                    batch = next(batches)
                    waited_s = time.perf_counter() - asked

                    torch.manual_seed(step_seed(config.seed, epoch=epoch, step=progress.step, rank=ranks.rank))
                    rate = learning_rate(config, done=(epoch + progress.step / plan.n_steps) / config.epochs)
                    set_learning_rate(optimizer, rate)
                    logits_BK = forward(model, batch, flip_B=flip_N[mine_B], flow_scale=plan.flow_scale, device=device)
                    labels_B = batch.label_B.to(device, non_blocking=True)
                    loss = cross_entropy(logits_BK, labels_B, reduction="sum") * weight
                    optimizer.zero_grad()
                    # the mean over ranks, which the gradients become, is then the mean over the clips of the batch
                    torch.autograd.backward(loss * (ranks.size / len(rows_B)))
                    optimizer.step()

                    loss_sum, *stops = ranks.sum(loss.item(), *stop.asked())
                    seconds, lap = time.perf_counter() - lap, time.perf_counter()
                    progress.step_done(loss_sum=loss_sum, n_clips=len(rows_B), seconds=seconds, waited_s=waited_s)
                    if training.gradients is not None:
                        progress.gradients_seen(training.gradients.take(n_clips=len(rows_B), ranks=ranks))
                    check_loss(
                        progress.losses[-1],
                        n_classes=n_classes,
                        lr=rate,
                        where=str(progress),
                        advice=checkpoints.advice(),
                    )
                    watcher.step_done(progress, n_clips=min(progress.step * config.batch_size, len(refs)))
                    checkpoints.save_if_due(progress)
                    end_if_asked(stops, progress, checkpoints, ranks)

            checkpoints.check(progress)
            if plan.parts.validation or training.test_clips is not None:
                checkpoints.save(progress)  # what was trained is safe before a long look at other groups
            validation = validate(
                network, training.clips, plan.parts.validation, flow_scale=plan.flow_scale, device=device, ranks=ranks
            )
            test_video_accuracy = test_accuracy(
                network, training.test_clips, plan.parts.test, flow_scale=plan.flow_scale, device=device, ranks=ranks
            )
            progress.epoch_done(
                metrics_row(
                    epoch=epoch + 1,
                    loss=progress.loss_sum / len(refs),
                    lr=learning_rate(config, done=(epoch + (plan.n_steps - 1) / plan.n_steps) / config.epochs),
                    seconds=progress.seconds,
                    waited_s=progress.waited_s,
                    n_clips=len(refs),
                    validation=validation,
                    test_video_accuracy=test_video_accuracy,
                )
            )
            journal.epoch_done(progress)
            checkpoints.save(progress)
            watcher.epoch_done(progress.history[-1])
            end_if_asked(ranks.sum(*stop.asked()), progress, checkpoints, ranks)


def end_if_asked(stops: list[float], progress: Progress, checkpoints: Checkpoints, ranks: Ranks) -> None:
    """Keep the state and end, if any rank was asked to.

    Raises:
        Interrupted: it was.
        DivergedError: it was, and the state is not worth keeping.
    """
    for number, n_ranks in zip(SIGNALS, stops, strict=True):
        if n_ranks:
            checkpoints.check(progress)
            checkpoints.save(progress)
            ranks.wait_for_all()  # whoever leaves first is taken for dead
            raise Interrupted(number, str(progress))
