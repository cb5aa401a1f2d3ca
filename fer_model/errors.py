"""The mistakes a user can make, one exception for each; the message is the whole sentence to print."""


class FerModelError(Exception):
    """Root of the errors whose message is meant for the user; anything else is a bug."""

    exit_code = 1


class ShardError(FerModelError):
    """A shard directory is missing, unfinished, damaged or not what docs/shard-format.md says."""


class FoldError(FerModelError):
    """A fold cannot be trained or tested as asked: no clips, or a subject on both sides."""


class ArgumentError(FerModelError):
    """An argument is out of range for these shards."""

    exit_code = 2


class RunDirectoryError(FerModelError):
    """A run directory holds something that this call must not touch, or cannot be resumed."""


class DivergedError(FerModelError):
    """The loss is no longer a finite number."""
