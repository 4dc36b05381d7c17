"""The server that `./dev up` runs: its data, its secrets, and how to talk to it."""

import os
import socket
import time
from collections.abc import Callable
from typing import Final, TypeVar

from pathfinder.client.client import Client
from pathfinder.model.errors import PathfinderError
from tools import commands, environment
from tools.console import Console
from tools.processes import Program
from tools.trouble import Trouble

Outcome = TypeVar("Outcome")

CLUSTER: Final = "default"
LISTEN: Final = os.environ.get("DEV_LISTEN", "127.0.0.1:8480")
URL: Final = f"https://{LISTEN}"
DATA: Final = environment.STATE / "data"
SECRETS: Final = environment.STATE / "secrets"
CERTIFICATE: Final = DATA / "tls" / "server.crt"
KEY: Final = DATA / "tls" / "server.key"
WAIT_S_MAX: Final = 120.0
LOOK_AGAIN_S: Final = 0.1

SERVER: Final = Program(
    name="server",
    argv=(
        *("pathfinder", "server", "--data-dir", str(DATA), "--listen", LISTEN),
        *("--tls-cert", str(CERTIFICATE), "--tls-key", str(KEY)),
    ),
)


def start(console: Console) -> None:
    """Initialise the data directory, start the server, and wait until it answers."""
    if not SERVER.is_running():
        require_free_port(LISTEN)
        with console.step("pathfinder init"):
            initialise()
    with console.step(f"server on {URL}"):
        SERVER.start()
        wait_until("the server answers", _answers, SERVER)


def initialise() -> None:
    """Make the data directory and the secrets, unless they are there."""
    SECRETS.mkdir(parents=True, exist_ok=True)
    SECRETS.chmod(0o700)
    run_program(
        *("pathfinder", "init", "--data-dir", str(DATA), "--cluster", CLUSTER),
        *("--cluster-password-file", str(SECRETS / "cluster-password")),
        *("--admin-token-file", str(SECRETS / "admin-token")),
        *("--app-token-file", str(SECRETS / "app-token")),
        *("--admin-password-file", str(SECRETS / "admin-password")),
    )


def secret(name: str) -> str:
    """One of the generated secrets."""
    return (SECRETS / name).read_text().strip()


def write_secret(name: str, text: str) -> None:
    """Keep a secret where only its owner may read it."""
    path = SECRETS / name
    path.unlink(missing_ok=True)
    with open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(f"{text}\n")


def client() -> Client:
    """A connection with the administrator's token; close it after use."""
    return Client(URL, secret("admin-token"), ca_file=str(CERTIFICATE), cluster=CLUSTER)


def run_program(*argv: str) -> str:
    """Standard output of one of the project's own programs; Trouble when it fails."""
    return commands.run(*argv, cwd=environment.ROOT, extra=environment.program_environment())


def wait_until(promise: str, look: Callable[[], Outcome], program: Program) -> Outcome:
    """What `look` finds, as soon as it finds something; Trouble when it never does.

    Trouble at once, with the end of its log, when `program` ends meanwhile.
    """
    deadline_s = time.monotonic() + WAIT_S_MAX
    said = ""
    while time.monotonic() < deadline_s:
        program.require_running()
        try:
            if found := look():
                return found
        except PathfinderError as error:
            said = f": {error}"
        time.sleep(LOOK_AGAIN_S)
    raise Trouble(f"{WAIT_S_MAX:.0f} s and not yet: {promise}{said}", hint=f"see {program.log}")


def require_free_port(listen: str) -> None:
    """Trouble when somebody else listens on HOST:PORT."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise Trouble(f"DEV_LISTEN={listen} is not HOST:PORT", hint="as in 127.0.0.1:8480")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            raise Trouble(
                f"{listen} cannot be used: {error.strerror}",
                hint=f"stop what listens there, or DEV_LISTEN={host}:{int(port) + 1} ./dev up",
            ) from None


def _answers() -> bool:
    with client() as asking:
        return bool(asking.version())
