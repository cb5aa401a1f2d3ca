"""The numbers of a survey as rows of tables: classes by group, subjects, and what became of the recordings."""

from collections import Counter
from dataclasses import dataclass

from fer_prep.clip_reader import RecordingRow
from fer_prep.report.gather import Survey


@dataclass(frozen=True)
class Cell:
    """Recordings with at least one clip, and their clips."""

    n_recordings: int
    n_clips: int


@dataclass(frozen=True)
class ClassRow:
    """One class; name None: unlabelled, or (in the last row) all classes.

    Attributes:
        by_group: one cell for each group, from group 1.
        n_without: stored recordings without a clip.
        n_failed: recordings that are not stored.
    """

    name: str | None
    by_group: tuple[Cell, ...]
    total: Cell
    n_without: int
    n_failed: int


@dataclass(frozen=True)
class SubjectRow:
    """One subject; `n_with_clips` counts recordings."""

    subject: str
    group: int
    n_stored: int
    n_with_clips: int
    n_failed: int
    n_clips: int
    n_frames: int
    n_detected: int

    @property
    def detected(self) -> float | None:
        """Share of frames with a face; None if there are no frames."""
        return self.n_detected / self.n_frames if self.n_frames else None


def class_rows(survey: Survey) -> list[ClassRow]:
    """A row for each class, one for what is unlabelled if there is anything, and one for all."""
    stored = Counter((s.row.label, s.group) for s in survey.recordings)
    with_clips = Counter((s.row.label, s.group) for s in survey.recordings if s.row.n_clips)
    clips: Counter[tuple[int, int]] = Counter()
    for s in survey.recordings:
        clips[s.row.label, s.group] += s.row.n_clips
    failed = Counter(row.label for row in survey.ledger if row.status == "failed")
    labels = list(survey.labels())
    if failed[""] and -1 not in labels:
        labels.append(-1)
    groups = range(1, survey.index.n_groups + 1)

    def row(name: str | None, wanted: list[int], n_failed: int) -> ClassRow:
        cells = tuple(
            Cell(sum(with_clips[label, g] for label in wanted), sum(clips[label, g] for label in wanted))
            for g in groups
        )
        total = Cell(sum(cell.n_recordings for cell in cells), sum(cell.n_clips for cell in cells))
        n_stored = sum(stored[label, g] for label in wanted for g in groups)
        return ClassRow(name, cells, total, n_stored - total.n_recordings, n_failed)

    rows = [row(survey.class_name(label), [label], failed[survey.class_name(label) or ""]) for label in labels]
    return [*rows, row(None, labels, failed.total())]


def subject_rows(survey: Survey) -> list[SubjectRow]:
    """A row for each subject of the corpus, in the order of the ledger; those of whom nothing is stored too."""
    groups = {row.subject: row.group for row in survey.ledger} | {s.subject: s.group for s in survey.recordings}
    failed = Counter(row.subject for row in survey.ledger if row.status == "failed")
    rows_of: dict[str, list[RecordingRow]] = {subject: [] for subject in groups}
    for s in survey.recordings:
        rows_of[s.subject].append(s.row)
    return [
        SubjectRow(
            subject=subject,
            group=group,
            n_stored=len(rows_of[subject]),
            n_with_clips=sum(row.n_clips > 0 for row in rows_of[subject]),
            n_failed=failed[subject],
            n_clips=sum(row.n_clips for row in rows_of[subject]),
            n_frames=sum(row.n_frames for row in rows_of[subject]),
            n_detected=sum(row.n_detected for row in rows_of[subject]),
        )
        for subject, group in groups.items()
    ]


def reasons(survey: Survey) -> list[tuple[str, str, int]]:
    """(status, kind of reason, recordings) of all rows of the ledger that have a reason, the failed ones first."""
    order = ("failed", "skipped", "ok")
    n_of = Counter((row.status, row.kind) for row in survey.ledger if row.reason)
    rows = [(status, kind, n) for (status, kind), n in n_of.items()]
    return sorted(rows, key=lambda row: (order.index(row[0]), -row[2], row[1]))
