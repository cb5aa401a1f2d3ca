"""Subjects to groups. Fold k trains on all groups but k and tests on group k, so no subject is ever on both sides."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace

from fer_prep.corpora.recording import Recording
from fer_prep.errors import UsageError
from fer_prep.order import natural_key

CORPUS, SUBJECT = "corpus", "subject"
USUAL_GROUPS, MOST_GROUPS = 5, 1000


@dataclass(frozen=True)
class Dealing:
    """Whom to deal out, and into how many groups.

    Attributes:
        later: subjects that are dealt out after all others, so that they change nothing for those.
    """

    first: frozenset[str]
    later: frozenset[str]
    n_groups: int

    def deal(self, known: Mapping[str, int] | None = None) -> dict[str, int]:
        """Subject -> group (1-based). Known subjects stay where they are."""
        return deal(self.first, self.n_groups, later=self.later, known=known)


def deal(
    subjects: Iterable[str], n_groups: int, *, later: Iterable[str] = (), known: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Subject -> group (1-based): in natural order, each goes into the group with the fewest subjects.

    Where nobody is known, that is one by one, as in CK+'s ten folds. Files added to a known subject change nothing.
    With fewer subjects than groups, each subject is a group.

    Args:
        later: subjects that are dealt out after all others, so that they change nothing for those.
        known: subjects that stay in their groups, whatever the balance.
    """
    first = sorted(set(subjects), key=natural_key)
    ordered = first + sorted(set(later) - set(first), key=natural_key)
    groups = {subject: known[subject] for subject in ordered if known and subject in known}
    sizes = Counter(groups.values())
    emptiest = [(sizes[group], group) for group in range(1, n_groups + 1)]
    heapify(emptiest)
    for subject in ordered:
        if subject not in groups:
            size, group = emptiest[0]
            heapreplace(emptiest, (size + 1, group))
            groups[subject] = group
    return {subject: groups[subject] for subject in ordered}


def plan_dealing(recordings: Sequence[Recording], groups: int | str) -> Dealing | None:
    """How subjects are dealt out; None: the corpus names their groups, and that is wanted.

    Subjects without a labelled recording are dealt out last: they move nobody.

    Args:
        groups: a number: so many, dealt out; "subject": everyone is a group; "corpus": the corpus' own groups, and
            five dealt out where it names none.
    """
    if groups == CORPUS and any(recording.group is not None for recording in recordings):
        return None
    subjects = frozenset(recording.subject for recording in recordings)
    labelled = frozenset(recording.subject for recording in recordings if recording.label is not None)
    n_groups = {SUBJECT: len(subjects), CORPUS: USUAL_GROUPS}.get(str(groups)) or int(groups)
    return Dealing(labelled, subjects - labelled, n_groups)


def assign_groups(recordings: Sequence[Recording], groups: int | str) -> dict[str, int]:
    """Subject -> group: as the corpus names it, else as it is dealt where nobody is known; see `plan_dealing`.

    Raises:
        UsageError: only some recordings name a group, a subject is in two groups, or a group is not in 1 to 1000.
    """
    dealing = plan_dealing(recordings, groups)
    return dealing.deal() if dealing else _named_groups(recordings)


def _named_groups(recordings: Sequence[Recording]) -> dict[str, int]:
    groups: dict[str, int] = {}
    named = next(recording for recording in recordings if recording.group is not None)
    for recording in recordings:
        if recording.group is None:
            raise UsageError(
                f"{recording.id} has no group, but {named.id} has; give every recording a group, or none of them"
            )
        if not 1 <= recording.group <= MOST_GROUPS:
            raise UsageError(f"{recording.id} is in group {recording.group}; expected: 1 to {MOST_GROUPS}")
        first = groups.setdefault(recording.subject, recording.group)
        if first != recording.group:
            raise UsageError(
                f"subject {recording.subject!r} is in group {first} and, with {recording.id}, in {recording.group}; "
                "a subject belongs to one group, or training and test would share a person"
            )
    return groups
