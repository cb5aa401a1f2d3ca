"""Published numbers as data, each with its source, and what is different where ours were made."""

from dataclasses import dataclass

from fer_model.config import Variant
from fer_model.tables.measures import Estimate, Measures
from fer_model.tables.sections import Section
from fer_model.tables.statistics import Spread

MIYOSHI = (
    "R. Miyoshi, N. Nagata, M. Hashimoto: Enhanced convolutional LSTM with spatial and temporal skip connections and "
    "temporal gates for facial expression recognition from video. Neural Computing and Applications 33, 2021. "
    "doi:10.1007/s00521-020-05557-4"
)

STATED = {"optimizer": "sgd", "lr": 1.25e-4, "batch_size": 6}
"""How the paper trained, as far as it says."""
ABLATION = "ablation study"
ABSTRACT = "ablation study, and abstract"


@dataclass(frozen=True, kw_only=True)
class Published:
    """One number of a paper."""

    corpus: str
    name: str
    """What our tables call it."""
    percent: float
    """Accuracy of recordings."""
    where: str


@dataclass(frozen=True, kw_only=True)
class PublishedProtocol:
    """How the published numbers of a corpus were measured, as far as the paper says."""

    corpus: str
    clip_length: int
    clip_stride: int
    n_folds: int
    n_classes: int | None
    """None: the paper leaves it open."""


PUBLISHED = tuple(
    Published(
        corpus=corpus, name=str(variant), percent=percent, where=ABSTRACT if variant is Variant.ENHANCED else ABLATION
    )
    for corpus, numbers in (("enterface", (39.84, 45.68, 45.84, 49.26)), ("ckplus", (92.97, 94.50, 88.38, 95.72)))
    for variant, percent in zip(Variant, numbers, strict=True)
)
PROTOCOLS = {
    protocol.corpus: protocol
    for protocol in (
        PublishedProtocol(corpus="enterface", clip_length=16, clip_stride=8, n_folds=5, n_classes=6),
        PublishedProtocol(corpus="ckplus", clip_length=8, clip_stride=2, n_folds=10, n_classes=None),
    )
}


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A published number beside ours."""

    published: Published
    label: str
    """Of our row; the published name if there is none."""
    ours: Spread | None
    """Mean over folds; None: no run here."""
    pooled: Estimate | None
    differs: tuple[str, ...]
    """What is known to be different in ours."""


def beside(section: Section, measures: tuple[Measures, ...]) -> tuple[Beside, ...]:
    """The published numbers of the section's corpus; empty for a corpus that no paper here has."""
    rows = []
    for published in PUBLISHED:
        if published.corpus != section.corpus:
            continue
        ours = [row for row in measures if row.entry.name == published.name]
        rows += [
            Beside(
                published=published,
                label=row.entry.label,
                ours=row.fold_accuracy,
                pooled=row.accuracy,
                differs=differences(section, row),
            )
            for row in ours
        ] or [Beside(published=published, label=published.name, ours=None, pooled=None, differs=())]
    return tuple(rows)


def differences(section: Section, row: Measures) -> tuple[str, ...]:
    """What is known to be different from the published protocol; what the paper leaves open cannot be among it."""
    theirs = PROTOCOLS[section.corpus]
    found = []
    clips = (section.protocol.get("recipe") or {}).get("clips") or {}
    if section.note:
        found.append(section.note)
    for what, ours, published in (
        ("preset", section.protocol.get("preset"), "paper"),
        ("frames in a clip", section.protocol.get("clip_length"), theirs.clip_length),
        ("frames from clip to clip", clips.get("stride", theirs.clip_stride), theirs.clip_stride),
        ("folds", section.n_folds, theirs.n_folds),
        ("classes", len(section.classes), theirs.n_classes),
    ):
        if published is not None and ours != published:
            found.append(f"{what}: {ours} in place of {published}")
    for what in ("optimizer", "lr", "batch_size"):
        if (found_here := row.entry.runs[0].config.get(what)) != STATED[what]:
            found.append(f"{what}: {found_here} in place of {STATED[what]}")
    if section.protocol.get("aligner") != "openface":
        found.append(f"aligner: {section.protocol.get('aligner')} in place of openface")
    if section.protocol.get("validation_group") is not None:
        found.append("a training group was left out")
    if row.entry.missing:
        found.append(f"{len(row.entry.missing)} of {row.entry.n_expected} runs missing")
    return tuple(found)
