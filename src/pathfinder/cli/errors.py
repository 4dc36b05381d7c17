"""What can go wrong in `pfi` itself."""

from pathfinder.model.errors import PathfinderError


class Misused(PathfinderError):
    """The command line or the configuration is wrong."""

    code = "misused"
    http_status = 400


class WaitedInVain(PathfinderError):
    """What was waited for did not happen in time."""

    code = "timed_out"
    http_status = 504
    retry = True
