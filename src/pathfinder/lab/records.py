"""The files by which a lab is found again: its record, and what it has changed on the machine."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pathfinder.lab.layout import Layout, Record, record_from
from pathfinder.lab.trouble import Trouble

ROOT: Final = Path(os.environ.get("PFLAB_DIR", "/var/lib/pathfinder-lab"))
RECORD: Final = "lab.json"


def read_layout(directory: Path) -> Layout:
    """The lab in a directory; Trouble when there is none."""
    try:
        record = record_from(json.loads((directory / RECORD).read_text()))
    except FileNotFoundError:
        raise Trouble(
            f"there is no lab {directory.name!r}", hint="pathfinder lab up --nodes 3"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise Trouble(
            f"{directory / RECORD} is damaged", hint=f"pathfinder lab down --name {directory.name}"
        ) from None
    return Layout(record=record, root=directory.parent)


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Nobody else makes, starts or takes away this lab meanwhile; Trouble when somebody does."""
    if not directory.exists():  # nothing to share, and nothing may be left for the sake of a lock
        yield
        return
    door = os.open(directory, os.O_DIRECTORY)
    try:
        _lock(door, directory)
        yield
    finally:
        os.close(door)


def _lock(door: int, directory: Path) -> None:
    try:
        fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Trouble(
            f"another command is at work on the lab {directory.name}",
            hint="wait until it has ended, or end it; then the same again",
        ) from None


def write_record(layout: Layout) -> None:
    """Keep the record; the old one or the new one is there at any moment."""
    layout.directory.mkdir(parents=True, exist_ok=True)
    layout.directory.chmod(0o711)  # the daemons' unprivileged containers look through
    draft = layout.directory / f"{RECORD}.new"
    draft.write_text(json.dumps(layout.record.document(), indent=1))
    draft.rename(layout.directory / RECORD)


def known(root: Path = ROOT) -> list[Record]:
    """All labs of this machine."""
    found = []
    for path in sorted(root.glob(f"*/{RECORD}")):
        try:
            found.append(read_layout(path.parent).record)
        except Trouble:
            continue  # `down` takes a damaged one away by its name
    return found
