"""Pathfinder itself in a lab: a server on the machine, an agent in each node, a context for pfi."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pathfinder.client.client import Client
from pathfinder.client.kinds import NODE
from pathfinder.lab import kernel, programs
from pathfinder.lab.layout import SERVER_PORT, Layout, NodeLayout
from pathfinder.lab.nodes import INSIDE, Node
from pathfinder.lab.trouble import Trouble
from pathfinder.model.errors import PathfinderError

CLUSTER: Final = "default"
WAIT_S_MAX: Final = 60.0
LOOK_S: Final = 0.05
SECRETS: Final = ("admin-token", "app-token", "cluster-password", "admin-password")


def program(name: str) -> str:
    """One of our programs, from the installation that this one runs from."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else programs.find(name)
    if found is None:
        raise Trouble(f"{name} is not installed", hint="pip install pathfinder-cm")
    return found


class Server:
    """The lab's state server, on the machine's own address in the lab."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.data = layout.directory / "server"
        self.certificate = self.data / "tls/server.crt"

    def secret_file(self, name: str) -> Path:
        """Where one of the secrets is kept."""
        return self.layout.directory / "secrets" / name

    def client(self) -> Client:
        """A connection with the administrator's token; close it after use."""
        token = self.secret_file("admin-token").read_text().strip()
        return Client(self.layout.url, token, ca_file=str(self.certificate), cluster=CLUSTER)

    def pid(self) -> int | None:
        """The number of the server that runs."""
        try:
            pid = int((self.layout.directory / "server.pid").read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            is_ours = not words or str(self.data).encode() in words  # none yet in exec itself
        except (OSError, ValueError):
            return None
        return pid if is_ours and kernel.state_of(pid) not in "ZX" else None

    def start(self) -> None:
        """Initialise and start it, unless it runs, and wait until it answers."""
        log = self.layout.directory / "server.log"
        if self.pid() is None:
            self._initialise()
            self._require_free_port()
            argv = [
                *(program("pathfinder"), "server", "--data-dir", str(self.data)),
                *("--listen", f"{self.layout.address}:{SERVER_PORT}"),
                *("--tls-cert", str(self.certificate)),
                *("--tls-key", str(self.data / "tls/server.key")),
            ]
            with log.open("ab") as output:
                started = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            (self.layout.directory / "server.pid").write_text(str(started.pid))
        wait_for(
            self._answers,
            "the server answers",
            log,
            ended=lambda: "" if self.pid() else _last_words(log),
        )

    def stop(self, *, by_force: bool = False) -> None:
        """End it; nothing when it does not run."""
        if (pid := self.pid()) is not None:
            os.kill(pid, signal.SIGKILL if by_force else signal.SIGTERM)
            kernel.wait_until(lambda: kernel.state_of(pid) in "ZX", "the server has ended")

    def _initialise(self) -> None:
        secrets = self.layout.directory / "secrets"
        secrets.mkdir(mode=0o700, exist_ok=True)
        files = [each for name in SECRETS for each in (f"--{name}-file", str(secrets / name))]
        programs.run(
            program("pathfinder"), "init", "--data-dir", self.data, "--cluster", CLUSTER,
            "--host", self.layout.address, *files,
        )  # fmt: skip

    def _require_free_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.layout.address, SERVER_PORT))
            except OSError as error:
                raise Trouble(
                    f"{self.layout.address}:{SERVER_PORT} cannot be used: {error.strerror}",
                    hint=f"pathfinder lab down --name {self.layout.record.name}, then up again",
                ) from None

    def _answers(self) -> bool:
        with self.client() as client:
            return bool(client.version())


def start_agent(server: Server, node: Node) -> None:
    """Start a node's agent, with a join token the first time."""
    layout = node.layout
    state = layout.directory / "agent"
    token_file = state / "join-token"
    if not (state / "identity.json").exists():
        with server.client() as client:
            token = client.create_join_token(node=node.name)["token"]
        token_file.touch(mode=0o600)
        token_file.write_text(f"{token}\n")
    node.start("agent", [program("pathfinder-agent"), *agent_arguments(layout, token_file, state)])


def agent_arguments(layout: NodeLayout, token_file: Path, state: Path) -> list[str]:
    """How a node's agent is told what it needs. Pure."""
    runtimes = layout.lab.record.runtimes
    arguments = ["--server", layout.lab.url, "--cluster", CLUSTER, "--name", layout.name]
    arguments += ["--join-token-file", str(token_file), "--state-dir", str(state)]
    arguments += ["--runtime", ",".join(runtimes)]
    sockets = [f"{runtime}={layout.socket(runtime)}" for runtime in runtimes]
    arguments += ["--socket", ",".join(sockets)]
    # A daemon reports the whole machine, and each node of a lab would have all of it.
    arguments += ["--capacity", layout.lab.record.capacity]
    return [*arguments, "--labels", f"rack=r{(layout.number - 1) % 3 + 1}"]


def wait_until_ready(server: Server, nodes: list[NodeLayout], *, since: float) -> None:
    """Until the server has heard these nodes after `since` (`time.monotonic`), and has them ready.

    Ready alone is not enough: a node that was cut off is so until its server misses it.
    """

    def unready() -> list[str]:
        with server.client() as client:
            heard = {node["name"]: node for node in client.items(NODE)}
        since_ms = (time.monotonic() - since) * 1000
        return [node.name for node in nodes if not _is_heard(heard.get(node.name), since_ms)]

    def ended() -> str:
        dead = [node for node in map(Node, nodes) if node.pid("agent") is None]
        return _last_words(dead[0].log("agent")) if dead else ""

    names = ", ".join(node.name for node in nodes)
    log = Node(nodes[0]).log("agent")
    wait_for(lambda: not unready(), f"the server has heard {names}", log, ended=ended)


def _is_heard(node: dict[str, Any] | None, since_ms: float) -> bool:
    if node is None or node["status"] != "ready":
        return False
    return node["heard_ms_ago"] is not None and node["heard_ms_ago"] < since_ms


def wait_for(look: Callable[[], Any], promise: str, log: Path, *, ended: Callable[[], str]) -> None:
    """Until it is so; Trouble with the last error when it never is.

    ended: the last words of a program that it depends on and that has ended; "" while it runs.
    """
    deadline, said = time.monotonic() + WAIT_S_MAX, ""
    while time.monotonic() < deadline:
        if last := ended():
            raise Trouble(f"not yet: {promise}, and its program has ended:\n{last}")
        try:
            if look():
                return
        except (PathfinderError, OSError) as error:
            said = f": {error}"
        time.sleep(LOOK_S)
    raise Trouble(f"{WAIT_S_MAX:.0f} s and not yet: {promise}{said}", hint=f"see {log}")


def _last_words(log: Path) -> str:
    return f"{log}:\n{programs.tail(log.read_text(errors='replace'))}"


def context_name(layout: Layout) -> str:
    """What pfi calls the lab."""
    return f"lab-{layout.record.name}"


def remember_context(server: Server) -> None:
    """Make the lab pfi's current context, and keep which was before."""
    layout = server.layout
    before = layout.directory / "pfi-before"
    if not before.exists():
        before.write_text(_current_context())
    programs.run(
        program("pfi"), "--context", context_name(layout), "config", "set",
        f"server={layout.url}", f"cluster={CLUSTER}",
        f"token_file={server.secret_file('admin-token')}", f"ca_file={server.certificate}",
    )  # fmt: skip


def forget_context(layout: Layout) -> None:
    """Take the lab out of what pfi remembers; the context that was before is current again."""
    before = layout.directory / "pfi-before"
    if not before.exists():
        return
    programs.succeeds(program("pfi"), "config", "forget", context_name(layout))
    if name := before.read_text().strip():
        programs.succeeds(program("pfi"), "config", "use", name)
    before.unlink()


def _current_context() -> str:
    said = programs.run(program("pfi"), "config", "show", "-o", "json")
    told = json.loads(said)
    return str(told.get("current", "")) if told.get("contexts") else ""


def helpers(layout: Layout) -> list[int]:
    """Programs of ours that still work on a lab whose `up` was killed: they outlive it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().decode(errors="replace").split("\0")
            if is_helper(words, layout):
                found.append(int(path.parent.name))
    return found


def is_helper(words: Sequence[str], layout: Layout) -> bool:
    """Whether a command line makes a part of this lab: `init` of its server, or of a node. Pure."""
    own = str(layout.directory)
    is_ours = any(Path(word).name == "pathfinder" or word == INSIDE for word in words[:3])
    return is_ours and any(word == own or word.startswith(f"{own}/") for word in words)


def remove_files(layout: Layout) -> None:
    """All that is left of a lab; Trouble when it cannot be removed."""
    if layout.directory.exists():
        try:
            shutil.rmtree(layout.directory)
        except OSError as error:
            raise Trouble(
                f"{layout.directory} cannot be removed: {error}",
                hint=f"pathfinder lab down --name {layout.record.name}",
            ) from None
