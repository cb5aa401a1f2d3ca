"""The pass of all clips of a shard directory through a network: what it says of each clip, and of each recording.

Axes: N clips, K classes.
"""

from collections.abc import Callable, Generator, Iterable, Sequence

import torch
from torch import Tensor

from fer_model import rundir
from fer_model.data import Batch, BatchSource
from fer_model.evaluate import vote
from fer_model.folds import ClipRef
from fer_model.index import keys_sha256
from fer_model.predict.decisions import ClipDecision, Decision, Part, Vote
from fer_model.predict.ledger import Fate
from fer_model.ranks import ALONE
from fer_model.shards import Corpus
from fer_model.steps import predict
from fer_model.trained import Trained

NO_CLIP = "no clip: too short, or too few frames with a face, for the recipe of the run"


def decide_all(
    trained: Trained,
    corpus: Corpus,
    fates: dict[str, Fate],
    *,
    source: BatchSource,
    device: torch.device,
    done: Callable[[int], object],
) -> list[Decision]:
    """What the network says of every recording of a directory, in its order.

    Args:
        fates: of the ledger; they say why a recording has no clip.
        source: hands out the clips, of the network's size.
        done: told how many clips were done since it was told last.

    Raises:
        ShardError: frames cannot be read.
    """
    refs = [ClipRef(shard=shard, clip=clip) for shard in corpus.shards for clip in shard.clips]
    probability_NK = clip_probabilities(
        trained, refs, source=Counted(source, done), flow_scale=corpus.shards[0].flow_scale, device=device
    )
    rows_of: dict[str, list[int]] = {}
    for i, ref in enumerate(refs):
        rows_of.setdefault(ref.clip.recording.id, []).append(i)
    part_of = parts(trained, corpus)
    decisions = []
    for shard in corpus.shards:
        for recording in shard.recordings:
            rows = rows_of.get(recording.id, [])
            rows.sort(key=lambda i: refs[i].clip.first_frame)
            stated = fates[recording.id].reason if recording.id in fates else ""
            decisions.append(
                Decision(
                    shard=shard,
                    recording=recording,
                    clips=tuple(clip_decision(refs[i], probability_NK[i]) for i in rows),
                    vote=voted(probability_NK[rows]) if rows else None,
                    reason="" if rows else stated or NO_CLIP,
                    part=part_of(shard.group),
                )
            )
    return decisions


def clip_probabilities(
    trained: Trained, refs: Sequence[ClipRef], *, source: BatchSource, flow_scale: float, device: torch.device
) -> Tensor:
    """Class probabilities (N, K) of clips, float64 on the CPU.

    Clips are batched as the test of a run batches them, the labelled ones of one group together: on the shards that a
    run was tested on, its numbers come again to the last bit.
    """
    together: dict[tuple[int, bool], list[int]] = {}
    for i, ref in enumerate(refs):
        together.setdefault((ref.shard.group, ref.label >= 0), []).append(i)
    probability_NK = torch.empty((len(refs), len(trained.classes)), dtype=torch.float64)
    for rows in together.values():
        probability_NK[rows] = predict(
            trained.network, source, [refs[i] for i in rows], flow_scale=flow_scale, device=device, ranks=ALONE
        )
    return probability_NK


def clip_decision(ref: ClipRef, probability_K: Tensor) -> ClipDecision:
    """What the network says of a clip."""
    return ClipDecision(
        start=ref.clip.first_frame - ref.clip.recording.first_frame,
        n_valid=ref.clip.n_valid,
        choice=int(probability_K.argmax()),
        probability_K=tuple(probability_K.tolist()),
    )


def voted(probability_NK: Tensor) -> Vote:
    """The decision for a recording, as in training."""
    return Vote(choice=vote(probability_NK), probability_K=tuple(probability_NK.mean(0).tolist()))


def parts(trained: Trained, corpus: Corpus) -> Callable[[int], Part]:
    """Group -> what it was for the run, which has kept a hash of the shards that it was trained and tested on."""
    config = rundir.read_json(trained.run.config)
    if config.get("shard_keys_sha256") != keys_sha256(corpus.index):
        return lambda group: Part.UNKNOWN
    held_out = {config.get("validation_group"): Part.VALIDATION, trained.fold: Part.TEST}
    return lambda group: held_out.get(group, Part.TRAINING)


class Counted:
    """Hands out the batches of another source, and says how many clips went by."""

    def __init__(self, source: BatchSource, done: Callable[[int], object]) -> None:
        self._source, self._done = source, done

    def batches(self, wanted: Iterable[Sequence[ClipRef]]) -> Generator[Batch, None, None]:
        """Batches of the clips asked for, in that order."""
        for batch in self._source.batches(wanted):
            yield batch
            self._done(len(batch.label_B))
