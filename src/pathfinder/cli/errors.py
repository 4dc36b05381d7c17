"""What can go wrong in `pfi` itself."""

from pathfinder.model.errors import PathfinderError


class Misused(PathfinderError):
    """The command line or the configuration is wrong."""

    code = "misused"
    http_status = 400


class NotMoved(PathfinderError):
    """A container that was to move has stayed where it was."""

    code = "not_moved"
    http_status = 409


class WaitedInVain(PathfinderError):
    """What was waited for did not happen in time."""

    code = "timed_out"
    http_status = 504
    retry = True
