"""`./dev scenario NAME`: a module `scenarios/NAME.py`, run as a program, plays a scripted story."""

import ast
import subprocess
from typing import Final

from tools import environment
from tools.trouble import Trouble

SCENARIOS: Final = environment.ROOT / "scenarios"


def known() -> dict[str, str]:
    """All scenarios with the first line of what they say about themselves."""
    return {
        path.stem: (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
        for path in sorted(SCENARIOS.glob("*.py"))
        if not path.stem.startswith("_")
    }


def play(name: str, arguments: list[str]) -> int:
    """Run one scenario; its exit code."""
    name, stories = name.replace("-", "_"), known()
    if name not in stories:
        listed = "".join(f"\n       {other}: {text}" for other, text in stories.items())
        raise Trouble(f"no scenario is called {name}", hint=f"scenarios are{listed or ' to come'}")
    surroundings = {**environment.program_environment(), "PYTHONPATH": str(environment.ROOT)}
    argv = [str(environment.PYTHON), "-m", f"scenarios.{name}", *arguments]
    return subprocess.run(argv, cwd=environment.ROOT, env=surroundings, check=False).returncode
