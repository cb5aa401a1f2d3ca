"""Groups that were dealt stay as they were dealt: `groups.csv` in the output directory remembers them."""

import csv
import io
from pathlib import Path

from fer_prep.errors import FerPrepError
from fer_prep.files import replace_text
from fer_prep.folds import MOST_GROUPS
from fer_prep.order import natural_key
from fer_prep.output import GROUPS, has_shards
from fer_prep.plan import Plan

COLUMNS = ["subject", "group"]


def keep_groups(plan: Plan, out: Path, *, rebuild: bool = False) -> Plan:
    """The plan with the groups that the shards in `out` were built by; subjects that are new there are dealt out.

    Args:
        rebuild: the shards there are going to be replaced, and their groups do not count.

    Raises:
        FerPrepError: the list of groups cannot be read.
    """
    if rebuild or not has_shards(out):
        return plan
    return plan.with_groups(read_groups(out))


def remember_groups(plan: Plan, out: Path) -> None:
    """Write down the groups of a plan, and those of subjects that it does not have any more: they may come back.

    Raises:
        FerPrepError: the file system refuses.
    """
    if plan.dealing is None:
        return
    known = read_groups(out) if has_shards(out) else {}
    groups = known | plan.dealing.deal(known)
    if groups == known:
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((subject, groups[subject]) for subject in sorted(groups, key=natural_key))
    replace_text(out / GROUPS, text.getvalue())


def read_groups(out: Path) -> dict[str, int]:
    """Subject -> group as it was dealt; empty if nothing was.

    Raises:
        FerPrepError: the file is no such list.
    """
    path = out / GROUPS
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
            groups = {subject: int(group) for subject, group in rows}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise FerPrepError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    except (ValueError, csv.Error) as error:
        raise _no_list(path, str(error)) from error
    if header != COLUMNS:
        raise _no_list(path, f"its columns are {','.join(header)}, expected: {','.join(COLUMNS)}")
    if len(groups) < len(rows):
        raise _no_list(path, "a subject is in it twice")
    most = max(MOST_GROUPS, len(groups))  # everyone may be a group
    if not all(1 <= group <= most for group in groups.values()):
        raise _no_list(path, f"groups are numbered from 1 to {most}")
    return groups


def _no_list(path: Path, why: str) -> FerPrepError:
    return FerPrepError(f"{path} is no list of groups ({why}); mend it, or delete it: subjects are then dealt out anew")
