"""The corpora fer-prep knows: name -> recordings on disk."""

import os
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from fer_prep.corpora import ckplus, cremad, enterface, layout, manifest, ravdess
from fer_prep.corpora.classes import choose_classes
from fer_prep.corpora.recording import Adapter, Corpus, Recording, Remark
from fer_prep.errors import UsageError

__all__ = [
    "ADAPTERS", "MANIFEST", "NAMES", "SAMPLE", "Adapter", "Corpus", "Recording", "Remark",
    "choose_classes", "find", "usual_root",
]  # fmt: skip

ADAPTERS = {
    "enterface": enterface.ADAPTER,
    "ckplus": ckplus.ADAPTER,
    "ravdess": ravdess.ADAPTER,
    "cremad": cremad.ADAPTER,
}
MANIFEST, SAMPLE = "manifest", "sample"
NAMES = (*ADAPTERS, MANIFEST, SAMPLE)


def find(
    dataset: str,
    *,
    root: Path | None = None,
    manifest_file: Path | None = None,
    select: str | None = None,
    include: tuple[str, ...] = (),
    rendering: Callable[[int, int], None] | None = None,
) -> Corpus:
    """The recordings of a corpus, with the classes that the corpus itself names.

    Args:
        dataset: one of NAMES.
        root: the corpus' directory; None: where it is usually looked for.
        manifest_file: CSV of the manifest corpus; default `manifest.csv` in the root.
        select: glob over files relative to the root, or over recording ids (`*` also matches `/`); None: all.
        include: kinds of recordings that are left out unless asked for.
        rendering: called with (done, total) while the sample corpus is rendered.

    Raises:
        UsageError: root or manifest is missing or not for this corpus, or nothing is selected.
    """
    _check_options(dataset, manifest_file, include)
    if dataset in ADAPTERS:
        corpus = _scan(dataset, root or usual_root(dataset), frozenset(include))
    elif dataset == MANIFEST:
        corpus = manifest.scan(_manifest_root(root, manifest_file), manifest_file or Path(manifest.FILE_NAME))
    else:
        # imported when it is asked for: --help need not wait for OpenCV
        from fer_prep.corpora import sample

        home = sample.ensure_sample(root, progress=rendering)
        corpus = Corpus(SAMPLE, home, sample.CLASSES, tuple(sample.scan_sample(home)))
    corpus = _without_unspeakable_names(corpus)
    return corpus if select is None else _select(corpus, select)


def usual_root(dataset: str) -> Path:
    """Where a corpus is looked for without --root."""
    home = os.environ.get("FER_DATA")
    return (Path(home) if home else Path("data")) / dataset


def _check_options(dataset: str, manifest_file: Path | None, include: tuple[str, ...]) -> None:
    if dataset not in NAMES:
        raise UsageError(f"there is no corpus {dataset!r}; known are {', '.join(NAMES)}")
    if manifest_file is not None and dataset != MANIFEST:
        raise UsageError(f"--manifest goes with --dataset {MANIFEST}; {dataset} needs none")
    optional = ADAPTERS[dataset].optional if dataset in ADAPTERS else {}
    for kind in include:
        if kind not in optional:
            known = ", ".join(f"{name!r} ({what})" for name, what in optional.items()) or "nothing"
            raise UsageError(f"--include {kind}: what {dataset} leaves out unless asked is {known}")


def _scan(dataset: str, root: Path, include: frozenset[str]) -> Corpus:
    adapter = ADAPTERS[dataset]
    layout.check_root(root, title=adapter.title, example=adapter.example)
    try:
        return adapter.scan(root, include)
    except layout.WrongPlaceError:
        for name, other in ADAPTERS.items():
            if name != dataset and _is(other, root):
                raise UsageError(f"{root} holds {other.title}, not {adapter.title}; use --dataset {name}") from None
        raise


def _is(adapter: Adapter, root: Path) -> bool:
    try:
        return bool(adapter.scan(root, frozenset()).recordings)
    except UsageError:
        return False


def _manifest_root(root: Path | None, manifest_file: Path | None) -> Path:
    """A manifest lies beside its files, if nothing else is said."""
    if root is None:
        root = manifest_file.parent if manifest_file else usual_root(MANIFEST)
    if not root.is_dir():
        raise UsageError(
            f"{root} is {'not a directory' if root.exists() else 'not there'}; "
            "name the directory that the manifest's files are relative to with --root"
        )
    return root


def _without_unspeakable_names(corpus: Corpus) -> Corpus:
    """Names on disk can be any bytes, but tables and shards hold texts."""
    bad = {recording.id: recording for recording in corpus.recordings if not _is_text(recording.file)}
    if not bad:
        return corpus
    return replace(
        corpus,
        recordings=tuple(recording for recording in corpus.recordings if recording.id not in bad),
        left_out=(*corpus.left_out, *(Remark("name is not UTF-8, rename it", r.file) for r in bad.values())),
    )


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _select(corpus: Corpus, select: str) -> Corpus:
    def matches(file: str, id_: str) -> bool:
        return fnmatchcase(file, select) or fnmatchcase(id_, select)

    chosen = tuple(recording for recording in corpus.recordings if matches(recording.file, recording.id))
    if not chosen:
        raise UsageError(
            f"--select {select!r} matches none of {len(corpus.recordings)} recordings; "
            f"the first is {corpus.recordings[0].id!r}"
        )
    # a manifest's classes are those of its rows; ones that nobody has would be empty columns everywhere
    present = {recording.label for recording in chosen}
    classes = tuple(name for name in corpus.classes if corpus.name != MANIFEST or name in present)
    return replace(
        corpus,
        recordings=chosen,
        classes=classes,
        irregularities=tuple(remark for remark in corpus.irregularities if matches(remark.path, remark.path)),
        left_out=tuple(remark for remark in corpus.left_out if matches(remark.path, remark.path)),
    )
