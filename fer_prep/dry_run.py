"""`fer-prep build --dry-run`: shard by shard, what a build would do."""

from pathlib import Path

from rich.console import Console

from fer_prep.forecast import Existing, compare
from fer_prep.plan import Plan, plan_shards
from fer_prep.tables import count, printable


def rehearse(plan: Plan, *, out: Path, workers: int | None, rebuild: bool) -> Existing:
    """What a build into `out` would keep, build, and leave lying. Writes nothing, not even a lock.

    Raises:
        UsageError: a build would be refused, for the directory is not ours.
        FerPrepError: something there cannot be read.
    """
    if not out.exists():
        return Existing(new=tuple(shard.path.name for shard in plan_shards(plan, out)))
    return compare(plan, out, workers=plan.n_workers(workers), rebuild=rebuild)


def print_rehearsal(console: Console, existing: Existing, out: Path) -> None:
    """One line for each shard."""

    def say(sentence: str) -> None:
        console.print(printable(sentence), highlight=False, soft_wrap=True)

    if existing.other_recipe:
        say(
            f"{out} holds shards of another recipe (recipe changed: {'; '.join(existing.other_recipe)}): a build "
            "refuses, or replaces them all with --rebuild."
        )
        return
    lines = [
        *((name, f"keep   {name}") for name in existing.kept),
        *((name, f"build  {name}: {reason}") for name, reason in existing.rebuilt),
        *((name, f"build  {name}: new subject") for name in existing.new),
        *((name, f"leave  {name}: removed subject; it stays, out of the index") for name in existing.orphaned),
    ]
    for _, line in sorted(lines):
        say(line)
    n_built = len(existing.rebuilt) + len(existing.new)
    say(
        f"{count(len(existing.kept), 'shard')} to keep, {n_built:,} to build, {len(existing.orphaned):,} to leave; "
        "nothing was changed."
    )
