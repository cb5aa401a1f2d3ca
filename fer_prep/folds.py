"""Subjects to groups. Fold k trains on all groups but k and tests on group k, so no subject is ever on both sides."""

from collections.abc import Iterable

from fer_prep.corpora.recording import Recording
from fer_prep.errors import UsageError
from fer_prep.order import natural_key

CORPUS, SUBJECT = "corpus", "subject"
USUAL_GROUPS, MOST_GROUPS = 5, 1000


def deal(subjects: Iterable[str], n_groups: int, *, later: Iterable[str] = ()) -> dict[str, int]:
    """Subject -> group (1-based): subjects in natural order are dealt out one by one, as in CK+'s ten folds.

    Files added to a known subject change nothing. With fewer subjects than groups, each subject is a group.

    Args:
        later: subjects that are dealt out after all others, so that they change nothing for those.
    """
    first = sorted(set(subjects), key=natural_key)
    ordered = first + sorted(set(later) - set(first), key=natural_key)
    return {subject: k % n_groups + 1 for k, subject in enumerate(ordered)}


def assign_groups(recordings: Iterable[Recording], groups: int | str) -> dict[str, int]:
    """Subject -> group. Subjects without a labelled recording are dealt out last: they move nobody.

    Args:
        groups: a number: so many, dealt out; "subject": everyone is a group; "corpus": the corpus' own groups, and
            five dealt out where it names none.

    Raises:
        UsageError: only some recordings name a group, a subject is in two groups, or a group is not in 1 to 1000.
    """
    recordings = list(recordings)
    if groups == CORPUS and any(recording.group is not None for recording in recordings):
        return _named_groups(recordings)
    subjects = {recording.subject for recording in recordings}
    labelled = {recording.subject for recording in recordings if recording.label is not None}
    n_groups = {SUBJECT: len(subjects), CORPUS: USUAL_GROUPS}.get(str(groups)) or int(groups)
    return deal(labelled, n_groups, later=subjects)


def _named_groups(recordings: list[Recording]) -> dict[str, int]:
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
