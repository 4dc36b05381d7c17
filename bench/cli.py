"""What a call of `pfi` costs beside the bare interpreter, started in the same run.

Wall time of whole processes, the median of many, each beside a `python -c pass` of its own, because
the machine's speed changes from minute to minute. The lists come from the stub of the API.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.support.stub_api import pfi_environ, stub_api

ROUNDS: Final = 25
BARE: Final = (sys.executable, "-c", "pass")
PFI: Final = (sys.executable, "-m", "pathfinder.cli")
CONTAINERS: Final = 1_000


def run() -> Iterator[dict[str, Any]]:
    """Help, version, a short list and a long list; milliseconds, beside the interpreter's."""
    with stub_api() as api:
        environ = pfi_environ(api, Path("/nonexistent"))
        api.put("/clusters/default/nodes/n1", name="n1", status="ready")
        yield _measured("cli_help", ("--help",), environ)
        yield _measured("cli_get_one", ("get", "nodes"), environ)
        yield _measured("cli_get_one_json", ("get", "nodes", "-o", "json"), environ)
        for number in range(CONTAINERS):
            api.put_container(f"web-{number:04}")
        yield _measured("cli_get_1000", ("get", "containers"), environ)


def _measured(name: str, arguments: Sequence[str], environ: Mapping[str, str]) -> dict[str, Any]:
    _took_ms([*PFI, *arguments], environ)  # the first call compiles
    pairs = [
        (_took_ms(BARE, environ), _took_ms([*PFI, *arguments], environ)) for _ in range(ROUNDS)
    ]
    floor_ms, value_ms = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {
        "name": name,
        "value": round(value_ms, 1),
        "unit": "ms",
        "floor": round(floor_ms, 1),
        "ratio": round(value_ms / floor_ms, 2),
        "runs": ROUNDS,
    }


def _took_ms(command: Sequence[str], environ: Mapping[str, str]) -> float:
    began_s = time.perf_counter()
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began_s) * 1000
