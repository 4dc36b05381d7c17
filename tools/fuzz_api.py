"""Is the OpenAPI document true? `python -m tools.fuzz_api [SECONDS]` asks a server of its own.

Schemathesis makes requests that the document allows and that it forbids, and holds the answers
against it: statuses, bodies, headers, credentials, and above all that nothing is a 5xx.
"""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tools import environment
from tools.trouble import Trouble

SECONDS: Final = 300
# Terminals and logs wait for a node; the exchange is parked; streams of events do not end.
NOT_ASKED: Final = "exchange|logs"
# A selector, an image or a size has a grammar that a schema does not express: a refusal of what
# the schema allows is no mistake there. Litestar's answer to OPTIONS names the first method only.
NOT_CHECKED: Final = "positive_data_acceptance,allow_header_conformance"


def fuzz(seconds: int) -> int:
    """Ask for so long; 0 when every answer was as the document says."""
    program = environment.PYTHON.parent / "schemathesis"
    if not program.exists():
        raise Trouble("schemathesis is not installed", hint="./dev check makes the environment")
    with tempfile.TemporaryDirectory() as name, _server(Path(name)) as (url, token):
        arguments = [
            *(str(program), "run", f"{url}/api/v3/openapi.json"),
            *("--header", f"Authorization: Bearer {token}"),
            *("--exclude-operation-id-regex", NOT_ASKED),
            *("--exclude-checks", NOT_CHECKED),
            *("--max-time", str(seconds), "--no-color"),
        ]
        return subprocess.run(arguments, cwd=name, check=False).returncode


@contextlib.contextmanager
def _server(directory: Path) -> Iterator[tuple[str, str]]:
    """A server that has just been made: its URL and the administrator's token."""
    program = [str(environment.PYTHON), "-m", "pathfinder.server.main"]
    data, token_file = ("--data-dir", str(directory / "data")), directory / "token"
    subprocess.run([*program, "init", *data, "--admin-token-file", str(token_file)], check=True)
    serving = subprocess.Popen(
        [*program, "server", *data, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    assert serving.stdout is not None
    try:
        yield serving.stdout.readline().split()[-1], token_file.read_text().strip()
    finally:
        serving.terminate()
        serving.wait()
        serving.stdout.close()


if __name__ == "__main__":
    sys.exit(fuzz(int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS))
