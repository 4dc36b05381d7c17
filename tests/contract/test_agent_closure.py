"""The agent is standard library only: what a fresh interpreter loads is a committed list.

A new line in `agent_modules.txt` is a decision to be reviewed. Rewrite it with
`PATHFINDER_WRITE=1 pytest tests/contract/test_agent_closure.py`.
"""

import os
import subprocess
import sys
from pathlib import Path

LIST = Path(__file__).with_name("agent_modules.txt")
ROOMS = ("agent", "runtimes", "wire", "model")
LOADED = """
import sys
before = set(sys.modules)
import pathfinder.agent.main, pathfinder.runtimes.docker, pathfinder.runtimes.lxd
print(*sorted(set(sys.modules) - before - {"__main__"}), sep="\\n")
"""


def loaded() -> list[str]:
    """The modules that importing the agent, with every runtime, adds to a bare interpreter."""
    finished = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    return finished.stdout.split()


def test_the_agent_loads_exactly_the_committed_modules() -> None:
    found = loaded()
    if os.environ.get("PATHFINDER_WRITE"):
        LIST.write_text("".join(f"{name}\n" for name in found))

    assert found == LIST.read_text().split()


def test_the_agent_loads_nothing_but_the_standard_library_and_its_rooms() -> None:
    allowed = ("pathfinder", *(f"pathfinder.{room}" for room in ROOMS))
    own = [name for name in loaded() if name.split(".")[0] == "pathfinder"]
    foreign = {name.split(".")[0] for name in loaded()} - sys.stdlib_module_names - {"pathfinder"}

    assert not foreign
    assert all(
        name in allowed or name.startswith(tuple(f"{a}." for a in allowed[1:])) for name in own
    )
