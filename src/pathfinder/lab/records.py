"""The files by which a lab is found again: its record, and what it has changed on the machine."""

import json
import os
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
