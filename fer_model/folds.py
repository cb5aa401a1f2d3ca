"""Which clips a fold trains on and tests on."""

from collections.abc import Sequence
from dataclasses import dataclass

from fer_model.errors import ArgumentError, FoldError
from fer_model.shards import Clip, Corpus, Shard


@dataclass(frozen=True, kw_only=True)
class ClipRef:
    """A labelled clip and the shard that it lies in."""

    shard: Shard
    clip: Clip

    @property
    def label(self) -> int:
        """Index of the recording's class."""
        return self.clip.recording.label


@dataclass(frozen=True, kw_only=True)
class Fold:
    """The labelled clips of one fold; `validation` is empty unless a group was taken out of the training groups."""

    train: tuple[ClipRef, ...]
    validation: tuple[ClipRef, ...]
    test: tuple[ClipRef, ...]


def select_fold(corpus: Corpus, *, test_group: int, validation_group: int | None) -> Fold:
    """Train on all groups but `test_group` (and `validation_group`), test on `test_group`.

    Raises:
        ArgumentError: a group does not exist, or the two are the same.
        FoldError: a part has no labelled clip, or two parts share a subject.
    """
    n_groups = corpus.index.n_groups
    if not 1 <= test_group <= n_groups:
        raise ArgumentError(f"fold {test_group} does not exist: these shards have folds 1 to {n_groups}.")
    if validation_group is not None and not 1 <= validation_group <= n_groups:
        raise ArgumentError(f"validation group {validation_group} does not exist: there are groups 1 to {n_groups}.")
    if validation_group == test_group:
        raise ArgumentError(f"validation group {validation_group} is the test group: take one of the training groups.")
    held_out = {test_group, validation_group}
    fold = Fold(
        train=_labelled(corpus, {shard.group for shard in corpus.shards} - held_out),
        validation=_labelled(corpus, {validation_group} if validation_group is not None else set()),
        test=_labelled(corpus, {test_group}),
    )
    check_fold(fold, validated=validation_group is not None)
    return fold


def check_fold(fold: Fold, *, validated: bool) -> None:
    """Refuse a fold that cannot be trained, or whose result would be worthless.

    Raises:
        FoldError: a part has no labelled clip, or two parts share a subject.
    """
    parts = {"training": fold.train, "test": fold.test} | ({"validation": fold.validation} if validated else {})
    owner: dict[str, str] = {}
    for name, refs in parts.items():
        if not refs:
            raise FoldError(f"the {name} groups hold no labelled clip: choose another fold, or check ledger.csv.")
        for subject in sorted({ref.clip.recording.subject for ref in refs}):
            if owner.setdefault(subject, name) != name:
                raise FoldError(
                    f"subject {subject!r} is in the {owner[subject]} and in the {name} clips, expected in one: "
                    "the result would not be person-independent; build the shards again with fer-prep."
                )


def _labelled(corpus: Corpus, groups: set[int]) -> tuple[ClipRef, ...]:
    return tuple(
        ClipRef(shard=shard, clip=clip)
        for shard in corpus.shards
        if shard.group in groups
        for clip in shard.clips
        if clip.recording.label >= 0
    )


def shards_of(refs: Sequence[ClipRef]) -> list[Shard]:
    """The shards that clips lie in, each once."""
    return list({ref.shard.path: ref.shard for ref in refs}.values())


def absent_classes(refs: Sequence[ClipRef], classes: Sequence[str]) -> list[str]:
    """The classes that no clip has."""
    present = {ref.label for ref in refs}
    return [class_ for i, class_ in enumerate(classes) if i not in present]


def check_face_size(corpus: Corpus, *, size: int) -> None:
    """Refuse faces that are not square, or smaller than the network's input.

    Raises:
        ArgumentError: they are.
    """
    shard = corpus.shards[0]
    if shard.height != shard.width or shard.height < size:
        raise ArgumentError(
            f"{shard.path}: faces are {shard.width}x{shard.height} pixels, expected square and at least {size}x{size}: "
            "take a smaller preset, or build the shards again with larger faces."
        )
