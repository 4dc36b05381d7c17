"""One server per data directory: a locked file that names its holder's process."""

import fcntl
import os
from pathlib import Path

from pathfinder.store.ballast import NO_ROOM
from pathfinder.store.port import Occupied


class LockFile:
    """An exclusive lock that ends with the process, however it ends.

    The file stays when the lock is let go: removing it would let two processes lock two files of
    the same name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def take(self) -> None:
        """Hold the lock (holding it already is success); Occupied when another process does."""
        if self._descriptor >= 0:
            return
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise Occupied(
                f"{self._path.parent} is in use by process {holder}: "
                "stop that server first, or give this one a data directory of its own"
            ) from None
        self._descriptor = descriptor
        try:
            os.pwrite(descriptor, f"{os.getpid():<10}\n".encode("ascii"), 0)
        except OSError as error:
            # The number is for people: a full disk does not keep a server from starting.
            if error.errno not in NO_ROOM:
                raise

    def release(self) -> None:
        """Let go; not holding it is success."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
