"""Files that `pfi` writes."""

import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import mkstemp

from pathfinder.cli.errors import Misused


def written_whole(path: Path, pieces: Iterable[bytes]) -> int:
    """Write a file that only its owner reads: all of it, or nothing changes. Its size in bytes."""
    try:
        handle, draft = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise Misused(f"{path.parent}: {error.strerror}", hint="name another file") from None
    try:
        with os.fdopen(handle, "wb") as file:
            size = sum(file.write(piece) for piece in pieces)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink()
        raise
    return size
