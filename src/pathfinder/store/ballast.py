"""Room kept back on the disk, given up when it is full so that cleaning up remains possible.

On a full disk SQLite refuses even DELETE and checkpoint, since both write to its WAL first.
"""

import errno
import os
from pathlib import Path
from typing import Final

# What the system says when a disk or a quota is used up.
NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Ballast:
    """A preallocated file of `size_bytes`. Not for several threads at once."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._path = path
        self._size_bytes = size_bytes
        self.is_held = False

    def take(self) -> bool:
        """Allocate the room, or keep what an earlier process left; False when there is too little.

        OSError for anything but a lack of room.
        """
        try:
            descriptor = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                if self._size_bytes:
                    os.posix_fallocate(descriptor, 0, self._size_bytes)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            self.release()
            return False
        self.is_held = True
        return True

    def release(self) -> None:
        """Give the room back to the disk."""
        self._path.unlink(missing_ok=True)
        self.is_held = False
