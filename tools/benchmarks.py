"""`./dev bench [NAME ...] [--json]`: each benchmark beside its floor, measured in the same run.

A benchmark is a module `bench/NAME.py` with `run()`, which yields results: mappings with name,
value, unit, floor (what the bare thing beneath us takes or gives, None when there is none), ratio
(value to floor) and runs (how many measurements the value is the median of).
"""

import contextlib
import importlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tools import environment
from tools.trouble import Trouble

BENCH: Final = environment.ROOT / "bench"
PROGRAMS: Final = {"nginx": "nginx-light"}  # what is measured beside: Debian packages by programs
FIELDS: Final = ("name", "value", "unit", "floor", "ratio", "runs")


def names() -> list[str]:
    """All benchmarks."""
    return sorted(path.stem for path in BENCH.glob("*.py") if not path.stem.startswith("_"))


def run_benchmarks(chosen: list[str], *, as_json: bool) -> int:
    """Run the chosen benchmarks one after another, each in a process of its own; 0 when all ran."""
    known = names()
    if unknown := [name for name in chosen if name not in known]:
        raise Trouble(
            f"no benchmark is called {', '.join(unknown)}",
            hint=f"benchmarks are {', '.join(known) or 'not written yet'}",
        )
    codes = [_run_apart(name, as_json=as_json) for name in chosen or known]
    return max(codes, default=0)


def _run_apart(name: str, *, as_json: bool) -> int:
    argv = [
        str(environment.PYTHON),
        "-m",
        "tools.benchmarks",
        name,
        *(["--json"] if as_json else []),
    ]
    surroundings = {**environment.program_environment(), "PYTHONPATH": str(environment.ROOT)}
    return subprocess.run(argv, cwd=environment.ROOT, env=surroundings, check=False).returncode


def line(result: Mapping[str, Any]) -> str:
    """One result for a person."""
    value, floor, ratio = result["value"], result["floor"], result["ratio"]
    beside = "" if floor is None else f"floor {_number(floor)}"
    times = "" if ratio is None else f"{ratio:.2f} times"
    return (
        f"{result['name']:<44} {_number(value):>12} {result['unit']:<10} {beside:<18} {times:<12}"
        f" {result['runs']} runs"
    ).rstrip()


def json_line(result: Mapping[str, Any]) -> str:
    """One result for a program."""
    assert set(result) == set(FIELDS), result
    return json.dumps({key: result[key] for key in FIELDS})


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3g}"


def _run_here(path: Path, *, as_json: bool) -> None:
    module = importlib.import_module(f"bench.{path.stem}")
    # Standard output carries results and nothing else, whatever a benchmark prints on its way.
    with contextlib.redirect_stdout(sys.stderr):
        for result in module.run():
            shown = json_line(result) if as_json else line(result)
            print(shown, file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    _run_here(BENCH / f"{sys.argv[1]}.py", as_json="--json" in sys.argv)
