"""Fitting a model that is not trained by gradients: clips in, an SVM and the same traces of a run out.

Axes: B clips of a batch, N training clips, F features, K classes.
"""

import time
from contextlib import closing

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from fer_model.baselines.svm import LbpTopSvm
from fer_model.checkpoint import Progress
from fer_model.data import BatchSource
from fer_model.inputs import network_inputs
from fer_model.journal import Journal
from fer_model.plan import Plan
from fer_model.ranks import ALONE
from fer_model.results import metrics_row
from fer_model.steps import validate
from fer_model.terminal import Terminal


def fit(
    network: LbpTopSvm,
    clips: BatchSource,
    plan: Plan,
    *,
    progress: Progress,
    device: torch.device,
    terminal: Terminal,
) -> None:
    """Fit the network to all training clips: one epoch of one step, whose loss is that of the fitted SVM on them.

    It takes seconds to minutes: there is no checkpoint, and an interrupted run starts anew.

    Raises:
        FoldError: all training clips are of one class.
        Interrupted: Ctrl-C or SIGTERM.
    """
    config, refs = plan.config, plan.parts.train
    begin, waited_s, features = time.perf_counter(), 0.0, list[Tensor]()
    wanted = (refs[i : i + config.batch_size] for i in range(0, len(refs), config.batch_size))
    with closing(clips.batches(wanted)) as batches:
        asked = begin
        for batch in batches:
            waited_s += time.perf_counter() - asked
            rgb_BTCHW, _ = network_inputs(
                batch.rgb_BTHWC.to(device), batch.flow_BTHWC.to(device), flip_B=None, flow_scale=plan.flow_scale
            )
            features.append(network.features(rgb_BTCHW))
            asked = time.perf_counter()
    features_NF, labels_N = torch.cat(features), torch.tensor([ref.label for ref in refs])
    if not network.fit(features_NF, labels_N, c=config.svm_c, seed=config.seed):
        terminal.line(
            "warning: the solver of the SVM has not converged; its weights are taken as they are", style="yellow"
        )
    with torch.no_grad():
        loss = cross_entropy(network.fc(features_NF).double(), labels_N.to(device))
    with Journal(plan.run, progress, writes=True) as journal:
        seconds = time.perf_counter() - begin
        progress.step_done(loss_sum=loss.item() * len(refs), n_clips=len(refs), seconds=seconds, waited_s=waited_s)
        progress.epoch_done(
            metrics_row(
                epoch=1,
                loss=loss.item(),
                lr=config.lr,
                seconds=seconds,
                waited_s=waited_s,
                n_clips=len(refs),
                validation=validate(
                    network, clips, plan.parts.validation, flow_scale=plan.flow_scale, device=device, ranks=ALONE
                ),
                test_video_accuracy=None,
            )
        )
        journal.epoch_done(progress)
    terminal.line(
        f"fitted to {len(refs)} clips of {features_NF.shape[1]:,} features in {seconds:.1f} s, loss {loss:.3f}"
    )
