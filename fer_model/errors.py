"""The mistakes a user can make, one exception for each; the message is the whole sentence to print."""


class FerModelError(Exception):
    """Root of the errors whose message is meant for the user; anything else is a bug."""

    exit_code = 1
    alone = True
    """Whether one process of a run raises it; else all of them do, and one says so."""
    lost = False
    """Whether another process has the reason."""


class ShardError(FerModelError):
    """A shard directory is missing, unfinished, damaged or not what docs/shard-format.md says."""


class FoldError(FerModelError):
    """A fold cannot be trained or tested as asked: no clips, or a subject on both sides."""


class ArgumentError(FerModelError):
    """An argument is out of range for these shards, or this machine."""

    exit_code = 2
    alone = False


class RunDirectoryError(FerModelError):
    """A run directory holds something that this call must not touch, or cannot be resumed."""


class ExportError(FerModelError):
    """A network cannot be exported here, or what was exported is not the network."""


class DivergedError(FerModelError):
    """The loss is no longer a number that training can go on from."""

    alone = False


class FailedRunsError(FerModelError):
    """A set of runs is over, and some of them could not be finished."""

    exit_code = 3


class RankError(FerModelError):
    """A process of a run ended, and the run with it."""


class LostRankError(RankError):
    """This process lost contact with another one, which has ended: it, or who started it, knows why."""

    lost = True


class FollowedError(FerModelError):
    """The first process could not run, and has said why."""

    alone = False
    lost = True

    def __init__(self, exit_code: int) -> None:
        super().__init__("the first process could not run")
        self.exit_code = exit_code


class PrepError(FerModelError):
    """fer-prep is needed and is not there, or could not build what it was asked for."""
