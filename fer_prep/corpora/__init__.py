"""The corpora fer-prep knows: name -> recordings on disk."""

from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from fer_prep.corpora.recording import Corpus, Recording
from fer_prep.errors import UsageError

__all__ = ["NAMES", "Corpus", "Recording", "find"]

NAMES = ("manifest", "sample")


def find(
    dataset: str,
    *,
    root: Path | None,
    manifest: Path | None,
    select: str | None,
    rendering: Callable[[int, int], None] | None = None,
) -> Corpus:
    """The recordings of a corpus.

    Args:
        dataset: one of NAMES.
        root: the corpus' directory; the sample corpus makes its own in the user's cache when there is none.
        manifest: CSV of the manifest corpus; default `manifest.csv` in the root.
        select: glob over files relative to the root, or over recording ids (`*` also matches `/`); None: all.
        rendering: called with (done, total) while the sample corpus is rendered.

    Raises:
        UsageError: root or manifest is missing or not for this corpus, or nothing is selected.
    """
    # an adapter is imported when it is asked for: --help need not wait for OpenCV
    if dataset == "manifest":
        from fer_prep.corpora import manifest as manifests

        corpus = manifests.scan(_directory(root), manifest or Path("manifest.csv"))
    elif dataset == "sample":
        if manifest is not None:
            raise UsageError("--manifest goes with --dataset manifest; the sample corpus needs none")
        from fer_prep.corpora import sample

        home = sample.ensure_sample(root, progress=rendering)
        corpus = Corpus("sample", home, sample.CLASSES, tuple(sample.scan_sample(home)))
    else:
        raise UsageError(f"there is no corpus {dataset!r}; known are {', '.join(NAMES)}")
    if select is None:
        return corpus
    chosen = tuple(r for r in corpus.recordings if fnmatchcase(r.file, select) or fnmatchcase(r.id, select))
    if not chosen:
        raise UsageError(
            f"--select {select!r} matches none of {len(corpus.recordings)} recordings; "
            f"the first is {corpus.recordings[0].id!r}"
        )
    # classes that only unselected recordings have would be empty columns everywhere
    present = {recording.label for recording in chosen}
    classes = corpus.classes if dataset != "manifest" else tuple(name for name in corpus.classes if name in present)
    return replace(corpus, recordings=chosen, classes=classes)


def _directory(root: Path | None) -> Path:
    if root is None:
        raise UsageError("--dataset manifest needs --root DIR, the directory that its files are relative to")
    if not root.is_dir():
        raise UsageError(f"{root} is {'not a directory' if root.exists() else 'not there'}; --root must be a directory")
    return root
