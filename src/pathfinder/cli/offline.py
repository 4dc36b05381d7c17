"""Questions without a server, asked of the program `pathfinder`: it has the code that decides."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pathfinder.cli.errors import Misused
from pathfinder.client.errors import Unexpected
from pathfinder.model import errors


def ask_offline(path: Path, cluster: str, question: Mapping[str, Any]) -> dict[str, Any]:
    """The answer on an exported state; the error that the server would have answered."""
    program = [sys.executable, "-m", "pathfinder.main", "what-if"]
    ended = subprocess.run(
        [*program, "--state", str(path), "--cluster", cluster],
        input=json.dumps(question).encode(),
        capture_output=True,
        check=False,
    )
    try:
        answer: dict[str, Any] = json.loads(ended.stdout)
    except ValueError:
        said = ended.stderr.decode(errors="replace").strip()
        if said.startswith("pathfinder: "):
            raise Misused(said.removeprefix("pathfinder: ").replace("\n  next: ", "; ")) from None
        raise Unexpected(
            "the server's code is needed to plan without a server, and does not run here",
            hint=f"install pathfinder-cm whole; it said: {' '.join(said.splitlines()[-1:])}",
        ) from None
    if ended.returncode:
        raise errors.revived(ended.stdout)
    return answer
