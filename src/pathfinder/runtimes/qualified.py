"""Names of instances where one node has several daemons: `DAEMON:NAME`. Pure."""

from typing import Final

SEPARATOR: Final = ":"  # never part of a container's name


def qualified(daemon: str, plain: str) -> str:
    """An instance's name among several daemons; daemon "": the only one."""
    return f"{daemon}{SEPARATOR}{plain}" if daemon else plain


def plain_name(name: str) -> str:
    """The name that the server, and the daemon itself, know."""
    return name.rpartition(SEPARATOR)[2]
