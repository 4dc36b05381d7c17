"""`./dev up` and `./dev down`: server and agent on this machine, on its real container daemon."""

import functools
import http.client
import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from pathfinder.client.client import Client
from pathfinder.client.kinds import CONTAINER, NODE
from pathfinder.model.errors import PathfinderError
from tools import commands, container_daemon, environment
from tools.console import Console, Step
from tools.lxd_rest import Lxd
from tools.processes import Program
from tools.trouble import Trouble

Outcome = TypeVar("Outcome")

CLUSTER: Final = "default"
PFI_CONTEXT: Final = "dev"
NODE_NAME: Final = socket.gethostname().partition(".")[0]
LISTEN: Final = os.environ.get("DEV_LISTEN", "127.0.0.1:8480")
URL: Final = f"https://{LISTEN}"
DATA: Final = environment.STATE / "data"
AGENT: Final = environment.STATE / "agent"
SECRETS: Final = environment.STATE / "secrets"
CERTIFICATE: Final = DATA / "tls" / "server.crt"
KEY: Final = DATA / "tls" / "server.key"
EXAMPLE: Final = environment.ROOT / "examples" / "hello.yaml"
EXAMPLE_CONTAINERS: Final = ("hello-vm", "web-01", "web-02")
WAIT_S_MAX: Final = 120.0
LOOK_AGAIN_S: Final = 0.1
PROBE_S_MAX: Final = 2.0

SERVER: Final = Program(
    name="server",
    argv=(
        *("pathfinder", "server", "--data-dir", str(DATA), "--listen", LISTEN),
        *("--tls-cert", str(CERTIFICATE), "--tls-key", str(KEY)),
    ),
)


def up(console: Console, *, is_detached: bool) -> int:
    """Bring everything up, say what to type next, and stay until Ctrl-C unless detached."""
    environment.STATE.mkdir(exist_ok=True)
    lxd = container_daemon.ensure(console)
    agent = agent_program(lxd)
    is_new = not DATA.exists()
    try:
        start_server(console)
        start_agent(console, agent)
        configure_pfi()
        addresses = deploy_example(console)
        _say_what_next(console, addresses, is_new=is_new)
        if is_detached:
            console.say("Server and agent keep running; ./dev down stops them.")
            return 0
        return _stay(console, agent)
    except KeyboardInterrupt:
        _stop(console, agent)
        raise


def down(console: Console, *, is_purge: bool) -> int:
    """Stop agent and server; with `is_purge` remove the containers and all state as well."""
    lxd = container_daemon.running()
    _stop(console, agent_program(lxd))
    if is_purge:
        with console.step("removing our containers and state") as step:
            # Without state of ours, containers of a cluster of this name are somebody else's.
            if lxd and DATA.exists():
                removed = container_daemon.remove_pathfinders_instances(lxd, CLUSTER)
                step.note = ", ".join(removed)
            shutil.rmtree(environment.STATE, ignore_errors=True)
    return 0


def start_server(console: Console) -> None:
    """Initialise the data directory, start the server, and wait until it is ready."""
    SECRETS.mkdir(parents=True, exist_ok=True)
    SECRETS.chmod(0o700)
    if not SERVER.is_running():
        _require_free_port()
        with console.step("pathfinder init"):
            _run_program(
                *("pathfinder", "init", "--data-dir", str(DATA), "--cluster", CLUSTER),
                *("--cluster-password-file", str(SECRETS / "cluster-password")),
                *("--admin-token-file", str(SECRETS / "admin-token")),
                *("--app-token-file", str(SECRETS / "app-token")),
            )
    with console.step(f"server on {URL}"):
        SERVER.start()
        _wait_until("the server answers", _server_answers, SERVER)


def agent_program(lxd: Lxd | None) -> Program:
    """The agent of this machine's node."""
    return Program(
        name="agent",
        argv=(
            *("pathfinder-agent", "--server", URL, "--cluster", CLUSTER),
            *("--name", NODE_NAME, "--join-token-file", str(SECRETS / "join-token")),
            *("--runtime", "lxd", "--socket", str(lxd.socket_path) if lxd else ""),
            *("--state-dir", str(AGENT)),
        ),
    )


def start_agent(console: Console, agent: Program) -> None:
    """Start the agent, with a join token the first time, and wait until its node is ready."""
    with console.step(f"agent of node {NODE_NAME}"):
        if not (AGENT / "identity.json").exists():
            AGENT.mkdir(parents=True, exist_ok=True)
            with _client() as client:
                token = client.create_join_token(node=NODE_NAME)["token"]
            _write_secret(SECRETS / "join-token", token)
        agent.start()
        _wait_until("the node is ready", _node_is_ready, agent)


def configure_pfi() -> None:
    """Make this server the current context of `pfi`; what the user has set up besides stays."""
    _run_program(
        *("pfi", "--context", PFI_CONTEXT, "config", "set", f"server={URL}", f"cluster={CLUSTER}"),
        *(f"token_file={SECRETS / 'admin-token'}", f"ca_file={CERTIFICATE}"),
    )


def deploy_example(console: Console) -> dict[str, str]:
    """Apply the example and wait until it answers; each container's address."""
    with console.step(f"deploying {EXAMPLE.relative_to(environment.ROOT)}") as step:
        _run_program("pfi", "apply", "-f", str(EXAMPLE))
        look = functools.partial(_example_addresses, step)
        addresses = _wait_until("the example is ready", look, SERVER)
        for name, address in addresses.items():
            if name.startswith("web-"):
                step.note = f"http://{address}/"
                look_at = functools.partial(_answers_http, address)
                _wait_until(f"{name} answers on http://{address}/", look_at, SERVER)
        step.note = ""
    return addresses


def _example_addresses(step: Step) -> dict[str, str]:
    """The address of each example container once all are ready; nothing before."""
    with _client() as client:
        items = [each for each in client.items(CONTAINER) if each["name"] in EXAMPLE_CONTAINERS]
    step.note = ", ".join(f"{each['name']} {each['phase']}" for each in items)
    ready = {each["name"]: str(each["ipaddress"]) for each in items if each["ready"]}
    complete = len(ready) == len(EXAMPLE_CONTAINERS) and all(ready.values())
    return ready if complete else {}


def _answers_http(address: str) -> bool:
    connection = http.client.HTTPConnection(address, 80, timeout=PROBE_S_MAX)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _server_answers() -> bool:
    with _client() as client:
        return bool(client.version())


def _node_is_ready() -> bool:
    with _client() as client:
        return bool(client.get(NODE, NODE_NAME)["status"] == "ready")


def _client() -> Client:
    token = (SECRETS / "admin-token").read_text().strip()
    return Client(URL, token, ca_file=str(CERTIFICATE), cluster=CLUSTER)


def _wait_until(promise: str, look: Callable[[], Outcome], program: Program) -> Outcome:
    """What `look` finds, as soon as it finds something; Trouble when it never does."""
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


def _require_free_port() -> None:
    host, _, port = LISTEN.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            raise Trouble(
                f"{LISTEN} cannot be used: {error.strerror}",
                hint=f"stop what listens there, or DEV_LISTEN={host}:{int(port) + 1} ./dev up",
            ) from None


def _run_program(*argv: str) -> str:
    return commands.run(*argv, cwd=environment.ROOT, extra=environment.program_environment())


def _write_secret(path: Path, secret: str) -> None:
    path.unlink(missing_ok=True)
    with open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(f"{secret}\n")


def _say_what_next(console: Console, addresses: dict[str, str], *, is_new: bool) -> None:
    console.say()
    for name, address in sorted(addresses.items()):
        console.say(f"  {name:<10} {address}")
    if is_new:
        console.say("\n  Shown this once; kept in .dev/secrets, and for pfi in its configuration:")
        for name in ("admin-token", "app-token", "cluster-password"):
            console.say(f"    {name:<17} {(SECRETS / name).read_text().strip()}")
    path = environment.VENV / "bin"
    on_path = "" if str(path) in os.environ.get("PATH", "") else f'  export PATH="{path}:$PATH"\n'
    console.say(
        f"\nType next:\n{on_path}"
        "  pfi get containers\n"
        "  pfi exec -it hello-vm -- bash\n"
        "  pfi scale web 5\n"
        f"  curl http://{addresses['web-01']}/\n"
    )


def _stay(console: Console, agent: Program) -> int:
    """Until Ctrl-C, or until one of the two ends by itself."""
    console.say("Ctrl-C stops server and agent; containers keep running.")
    try:
        while True:
            SERVER.require_running()
            agent.require_running()
            time.sleep(1)
    except KeyboardInterrupt:
        console.say()
        _stop(console, agent)
        return 0
    except Trouble:
        _stop(console, agent)
        raise


def _stop(console: Console, agent: Program) -> None:
    # The agent first: it says goodbye, and the server does not see a node vanish.
    for program in (agent, SERVER):
        with console.step(f"stopping the {program.name}") as step:
            if not program.stop():
                step.note = "did not run"
