"""`pathfinder what-if`: questions on a state that was exported, without any server."""

import sys
from pathlib import Path

import msgspec

from pathfinder.control import whatif
from pathfinder.control.access import SYSTEM
from pathfinder.control.exporting import load_export
from pathfinder.model.errors import Malformed, PathfinderError
from pathfinder.server.trouble import Trouble


def answer(path: Path, cluster: str, question: bytes) -> int:
    """Print the answer, or why there is none, as the API would; the exit code: 0, or 1 for why."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Trouble(f"{path}: {error.strerror}", hint="pfi export FILE writes one") from None
    try:
        twin, time_ms = load_export(content)
        asked = _question(question)
        found = whatif.answer(twin.state, twin.statuses, cluster, asked, (SYSTEM, time_ms))
    except PathfinderError as error:
        sys.stdout.write(msgspec.json.encode(error.document()).decode() + "\n")
        return 1
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    return 0


def _question(text: bytes) -> whatif.Question:
    try:
        return msgspec.json.decode(text or b"{}", type=whatif.Question)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Malformed(f"the question is not one: {error}") from None
