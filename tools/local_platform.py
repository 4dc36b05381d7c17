"""`./dev up` and `./dev down`: server and agent on this machine, on its real container daemon."""

import os
import shutil
import signal
import socket
import time
from typing import Final

from pathfinder.client.kinds import NODE
from tools import container_daemon, environment, example, local_server
from tools.console import Console
from tools.local_server import CERTIFICATE, CLUSTER, DATA, SECRETS, SERVER, URL
from tools.lxd_rest import Lxd
from tools.processes import Program
from tools.trouble import Trouble

PFI_CONTEXT: Final = "dev"
NODE_NAME: Final = socket.gethostname().partition(".")[0]
AGENT_STATE: Final = environment.STATE / "agent"
WATCH_AGAIN_S: Final = 1.0


def up(console: Console, *, is_detached: bool) -> int:
    """Bring everything up, say what to type next, and stay until Ctrl-C unless detached."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # whoever ends us means Ctrl-C
        signal.signal(number, signal.default_int_handler)
    environment.STATE.mkdir(exist_ok=True)
    lxd = container_daemon.ensure(console)
    agent = agent_program(lxd)
    is_new = not DATA.exists()
    try:
        local_server.start(console)
        start_agent(console, agent)
        configure_pfi()
        _say_what_next(console, example.provide(console), is_new=is_new)
        if is_detached:
            console.say("Server and agent keep running; ./dev down stops them.")
            return 0
        console.say("Ctrl-C stops server and agent; containers keep running.")
        return _stay(agent)
    except KeyboardInterrupt:
        console.say()
        _stop(console, agent)
        return 0
    except Trouble:
        if not is_detached:
            _stop(console, agent)
        raise


def down(console: Console, *, is_purge: bool) -> int:
    """Stop agent and server; with `is_purge` remove the containers and all state as well."""
    lxd = container_daemon.running()
    agent = agent_program(lxd)
    if not (agent.is_running() or SERVER.is_running()):
        console.say("Neither server nor agent runs.")
    _stop(console, agent)
    if is_purge:
        with console.step("removing our containers and state") as step:
            # Without state of ours, containers of a cluster of this name are somebody else's.
            if lxd and DATA.exists():
                removed = container_daemon.remove_pathfinders_instances(lxd, CLUSTER)
                step.note = ", ".join(removed)
            shutil.rmtree(environment.STATE, ignore_errors=True)
    return 0


def agent_program(lxd: Lxd | None) -> Program:
    """The agent of this machine's node."""
    return Program(
        name="agent",
        argv=(
            *("pathfinder-agent", "--server", URL, "--cluster", CLUSTER, "--name", NODE_NAME),
            *("--join-token-file", str(SECRETS / "join-token")),
            *("--runtime", "lxd", "--socket", str(lxd.socket_path) if lxd else ""),
            *("--state-dir", str(AGENT_STATE)),
        ),
    )


def start_agent(console: Console, agent: Program) -> None:
    """Start the agent, with a join token the first time, and wait until its node is ready."""
    with console.step(f"agent of node {NODE_NAME}"):
        if not (AGENT_STATE / "identity.json").exists():
            with local_server.client() as client:
                token = client.create_join_token(node=NODE_NAME)["token"]
            local_server.write_secret("join-token", token)
        agent.start()
        local_server.wait_until("the node is ready", _node_is_ready, agent)


def configure_pfi() -> None:
    """Make this server the current context of `pfi`; what the user has set up besides stays."""
    local_server.run_program(
        *("pfi", "--context", PFI_CONTEXT, "config", "set", f"server={URL}", f"cluster={CLUSTER}"),
        *(f"token_file={SECRETS / 'admin-token'}", f"ca_file={CERTIFICATE}"),
    )


def _node_is_ready() -> bool:
    with local_server.client() as client:
        return bool(client.get(NODE, NODE_NAME)["status"] == "ready")


def _say_what_next(console: Console, addresses: dict[str, str], *, is_new: bool) -> None:
    console.say()
    for name, address in sorted(addresses.items()):
        console.say(f"  {name:<10} {address}")
    if is_new:
        console.say("\nShown this once, and kept in .dev/secrets:")
        for name in ("admin-password", "admin-token", "app-token", "cluster-password"):
            console.say(f"  {name:<17} {local_server.secret(name)}")
    programs = environment.VENV / "bin"
    is_on_path = str(programs) in os.environ.get("PATH", "").split(os.pathsep)
    web = next((address for name, address in addresses.items() if name.startswith("web")), "")
    console.say(f"\nThe web UI is {local_server.URL}/ with a certificate of its own making.")
    console.say("Sign in as admin, with the password in .dev/secrets/admin-password.")
    lines = (
        "" if is_on_path else f'export PATH="{programs}:$PATH"',
        "pfi get containers",
        "pfi exec -it hello-vm -- bash",
        "pfi scale web --replicas 5",
        f"curl http://{web}/" if web else "",
    )
    console.say(f'\nType next (pfi knows this server as its context "{PFI_CONTEXT}"):')
    console.say("".join(f"  {line}\n" for line in lines if line))


def _stay(agent: Program) -> int:
    """Until Ctrl-C, or Trouble when one of the two ends by itself."""
    while True:
        SERVER.require_running()
        agent.require_running()
        time.sleep(WATCH_AGAIN_S)


def _stop(console: Console, agent: Program) -> None:
    # The agent first: it says goodbye, and the server does not see a node vanish.
    for program in (agent, SERVER):
        if program.is_running():
            with console.step(f"stopping the {program.name}"):
                program.stop()
