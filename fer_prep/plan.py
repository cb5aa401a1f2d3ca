"""Recipe and corpus become a plan: which recordings, labels, groups and shards there will be. Nothing is decoded."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISDIR
from typing import Any

from fer_prep import corpora
from fer_prep.align.choose import Aligner, choose_aligner
from fer_prep.corpora import Corpus, Recording, Remark
from fer_prep.errors import FerPrepError, RecordingError
from fer_prep.files import POINTER_BYTES, is_pointer
from fer_prep.folds import Dealing, assign_groups, plan_dealing
from fer_prep.order import natural_key
from fer_prep.output import shard_names
from fer_prep.recipe import Recipe, load_recipe
from fer_prep.sequence import list_images
from fer_prep.shards import ShardHead
from fer_prep.stages import AlignSetup, Job
from fer_prep.versions import tool_versions

POINTER = "large-file pointer, not pulled"
GROUPS_NAMED = 6  # in one sentence
STARTUP_SHARE, USUAL_RECORDING_S, BATCHES_PER_WORKER, LARGEST_BATCH = 0.05, 1.5, 4, 32
MESH_BATCH = 4  # recordings that last a second share what a task costs Dask


@dataclass(frozen=True)
class Plan:
    """What will be built.

    Attributes:
        group_of: subject -> group, subjects in natural order.
        unreadable: recordings that will fail, for their files are not there or empty.
        dealing: how subjects were dealt into groups; None: the corpus names them.
    """

    recipe: Recipe
    corpus: Corpus
    group_of: dict[str, int]
    unreadable: tuple[Remark, ...]
    aligner: Aligner
    dealing: Dealing | None = None

    def with_groups(self, known: Mapping[str, int]) -> "Plan":
        """The same plan with subjects in the groups that they are known to be in, and the others dealt out.

        Groups that the corpus names stay.
        """
        if self.dealing is None:
            return self
        groups = self.dealing.deal(known)
        return replace(self, group_of={subject: groups[subject] for subject in self.group_of})

    def setup(self, cache_dir: Path) -> AlignSetup:
        """What workers need to align by this plan."""
        return AlignSetup(self.recipe.align, self.aligner.openface, cache_dir, self.versions)

    @property
    def versions(self) -> dict[str, Any]:
        return tool_versions(self.aligner.openface)

    @property
    def n_groups(self) -> int:
        return max(self.group_of.values())

    def n_workers(self, wanted: int | None) -> int:
        """Worker processes that make sense: one per core, and no more than there are recordings."""
        return min(wanted or os.cpu_count() or 1, len(self.corpus.recordings))

    def batch_size(self, workers: int | None) -> int:
        """Recordings that one task aligns: many where starting the aligner takes long."""
        n_recordings, n_workers = len(self.corpus.recordings), self.n_workers(workers)
        if self.aligner.trial is None:
            return min(MESH_BATCH, most_for_all(n_recordings, n_workers))
        return best_batch_size(self.aligner.trial.startup_s, n_recordings, n_workers)

    def jobs(self) -> dict[str, tuple[Job, ...]]:
        """Subject -> its recordings, in corpus order."""
        label_of = {name: k for k, name in enumerate(self.corpus.classes)}
        jobs: dict[str, list[Job]] = {subject: [] for subject in self.group_of}
        for recording in self.corpus.recordings:
            label = -1 if recording.label is None else label_of[recording.label]
            # workers may have another working directory
            located = replace(recording, path=recording.path.absolute())
            jobs[recording.subject].append(Job(located, label, self.group_of[recording.subject]))
        return {subject: tuple(of_subject) for subject, of_subject in jobs.items()}


@dataclass(frozen=True)
class Subject:
    """One shard to be made; `head.key` is still empty, the inputs are not hashed yet."""

    path: Path
    head: ShardHead
    jobs: tuple[Job, ...]

    @property
    def recordings(self) -> Iterator[str]:
        """Their ids."""
        return (job.recording.id for job in self.jobs)


def best_batch_size(startup_s: float, n_recordings: int, n_workers: int) -> int:
    """As many recordings as make the start of the aligner a small share, and as few as keep all workers busy."""
    to_hide_the_start = round(startup_s / (STARTUP_SHARE * USUAL_RECORDING_S))
    return max(1, min(to_hide_the_start, most_for_all(n_recordings, n_workers), LARGEST_BATCH))


def most_for_all(n_recordings: int, n_workers: int) -> int:
    """The largest batch with which no worker waits for long while another one works at its last."""
    return max(1, round(n_recordings / (BATCHES_PER_WORKER * n_workers)))


def make_plan(
    *,
    dataset: str,
    root: Path | None = None,
    manifest: Path | None = None,
    select: str | None = None,
    include: tuple[str, ...] | None = None,
    classes: tuple[str, ...] | None = None,
    recipe: Path | None = None,
    groups: int | str | None = None,
    length: int | None = None,
    stride: int | None = None,
    face_size: int | None = None,
    aligner: str | None = None,
    openface: Path | None = None,
    landmark_model: str | None = None,
    mask: bool | None = None,
    rendering: Callable[[int, int], None] | None = None,
) -> Plan:
    """Scan a corpus and decide what will be built of it.

    Groups are given before classes are dropped, so that a dropped class moves nobody to another fold.

    Args:
        root: the corpus' directory; None: $FER_DATA/<dataset>, else data/<dataset>.
        manifest: CSV of the manifest corpus.
        recipe: TOML file; None: the one shipped for the corpus. The options named in `Recipe` override its keys.
        openface: where OpenFace is; None: $OPENFACE_BIN, else the PATH.
        rendering: called with (done, total) while the sample corpus is rendered.

    Raises:
        UsageError: arguments, corpus, manifest or recipe make no sense together.
        FerPrepError: no recording can be read.
    """
    overrides = {
        "select": select,
        "include": include,
        "classes": classes,
        "groups": groups,
        "clips.length": length,
        "clips.stride": stride,
        "align.face_size": face_size,
        "align.backend": aligner,
        "align.landmark_model": landmark_model,
        "align.mask": mask,
    }
    settings = load_recipe(recipe, dataset, overrides)
    corpus = corpora.find(
        dataset, root=root, manifest_file=manifest, select=settings.select, include=settings.include,
        rendering=rendering,
    )  # fmt: skip
    group_of = assign_groups(corpus.recordings, settings.groups)
    dealing = plan_dealing(corpus.recordings, settings.groups)
    corpus = corpora.choose_classes(corpus, settings.classes)
    left = {recording.subject for recording in corpus.recordings}
    unreadable = _unreadable(corpus)
    chosen = choose_aligner(settings.align, openface)
    return Plan(
        settings.model_copy(update={"align": chosen.recipe}),
        corpus,
        {subject: group_of[subject] for subject in sorted(left, key=natural_key)},
        unreadable,
        chosen,
        dealing,
    )


def plan_shards(plan: Plan, out: Path) -> list[Subject]:
    """One shard per subject, subjects in natural order."""
    corpus, versions = plan.corpus, plan.versions
    names, jobs = shard_names(corpus.name, plan.group_of), plan.jobs()
    return [
        Subject(
            path=out / names[subject],
            head=ShardHead(corpus.name, subject, group, corpus.classes, plan.recipe, versions, key=""),
            jobs=jobs[subject],
        )
        for subject, group in plan.group_of.items()
    ]


def fold_warnings(plan: Plan) -> list[str]:
    """What a user should know of the folds before training on them: empty groups, classes they lack, likely twins."""
    labelled = Counter((r.label, plan.group_of[r.subject]) for r in plan.corpus.recordings if r.label is not None)
    groups = sorted({group for _, group in labelled})
    if not groups:
        return ["Nothing is labelled: these shards are for prediction, no fold can be trained."]
    warnings = _likely_twins(plan)
    wanted = plan.recipe.groups
    if isinstance(wanted, int) and plan.n_groups < wanted:
        warnings.append(f"--groups {wanted} makes {plan.n_groups} here: there are no more subjects.")
    if len(plan.group_of) == 1:
        return [*warnings, "There is one subject only: no fold can be trained."]
    if len(groups) == 1:
        return [
            *warnings,
            "All labelled recordings are in one group: no fold can be trained. "
            "--groups N deals the subjects into N groups, --groups subject makes everyone a group.",
        ]
    empty = sorted(set(range(1, plan.n_groups + 1)) - set(groups))
    if empty:
        warnings.append(f"No labelled recording is in {_some_groups(empty)}: there is nothing to test there.")
    for name in plan.corpus.classes:
        present = [group for group in groups if labelled[name, group]]
        absent = [group for group in groups if not labelled[name, group]]
        if not present:
            warnings.append(f"No recording shows {name}.")
        elif len(present) == 1:
            warnings.append(f"Only group {present[0]} has {name}: fold {present[0]} cannot learn what it is tested on.")
        elif absent:
            warnings.append(
                f"No {name} in {_some_groups(absent)}: judge by the confusion matrix of all folds together, "
                "not by a mean of each fold's recalls."
            )
    return warnings


def _likely_twins(plan: Plan) -> list[str]:
    """Subjects whose names differ by capitals only are likely one person, who then is on both sides of a fold."""
    spellings: dict[str, list[str]] = {}
    for subject in plan.group_of:
        spellings.setdefault(subject.casefold(), []).append(subject)
    return [
        f"Subjects {', '.join(names)} differ by capitals only and count as {len(names)} persons; one name for each?"
        for names in spellings.values()
        if len(names) > 1
    ]


def _some_groups(groups: list[int]) -> str:
    if len(groups) == 1:
        return f"group {groups[0]}"
    shown = ", ".join(map(str, groups[:GROUPS_NAMED]))
    more = f" and {len(groups) - GROUPS_NAMED} more" if len(groups) > GROUPS_NAMED else ""
    return f"groups {shown}{more}"


def _unreadable(corpus: Corpus) -> tuple[Remark, ...]:
    """Recordings that cannot be read, by the look of their files.

    Raises:
        FerPrepError: that is all of them.
    """
    remarks = tuple(
        Remark(problem, recording.file) for recording in corpus.recordings if (problem := _problem(recording))
    )
    if len(remarks) < len(corpus.recordings):
        return remarks
    first, n = corpus.recordings[0].path, len(corpus.recordings)
    if all(remark.kind == POINTER for remark in remarks):
        raise FerPrepError(
            f"all {n} recordings are large-file pointers, such as {first}: small texts instead of the videos; "
            f"fetch the videos with `git lfs pull` in {corpus.root}"
        )
    raise FerPrepError(
        f"none of {n} recordings can be read, such as {first} ({remarks[0].kind}); "
        "is the disk mounted, and is --root right?"
    )


def _problem(recording: Recording) -> str:
    path = recording.path
    try:
        # a network drive answers each question slowly, so it is asked one
        status = path.stat()
        if S_ISDIR(status.st_mode):
            list_images(path)
            return ""
        if status.st_size == 0:
            return "empty file"
        return POINTER if status.st_size < POINTER_BYTES and is_pointer(path) else ""
    except RecordingError as error:
        return error.kind
    except FileNotFoundError:
        return "no such file"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
