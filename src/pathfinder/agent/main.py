"""`pathfinder-agent`: reads the settings, puts the parts together, ends soon after SIGTERM."""

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from pathfinder.agent.checkpoint import CheckpointFile
from pathfinder.agent.core import AgentCore
from pathfinder.agent.facts import boot_id, cpu_count
from pathfinder.agent.identity import Identity, IdentityWrong, load_or_make, pin_of
from pathfinder.agent.inbox import Inbox
from pathfinder.agent.log import say
from pathfinder.agent.loop import Loop, Outside, follow_signals
from pathfinder.agent.measure import Meter
from pathfinder.agent.membership import Credentials, Joining, Membership
from pathfinder.agent.original import without_effect
from pathfinder.agent.outputs import Outputs
from pathfinder.agent.prober import Prober
from pathfinder.agent.server import Server, ServerEndpoint, address_of
from pathfinder.agent.settings import SETTINGS, VERSION, AgentSettings, help_text, read_settings
from pathfinder.agent.snapshots import restorer
from pathfinder.agent.streams import Sources, Streams
from pathfinder.agent.trying import Bench, listening
from pathfinder.agent.workers import STACK_BYTES, Observer, follow_changes, spawn
from pathfinder.model.errors import Malformed, PathfinderError
from pathfinder.runtimes.port import Runtime
from pathfinder.runtimes.several import SeveralRuntimes

KINDS: Final[Mapping[str, tuple[str, ...]]] = {"lxd": ("system",), "docker": ("application",)}
CHECKPOINT_FILE: Final = "checkpoint.json"
OUTPUTS: Final = "bootstraps"
SECRET_FILE_BYTES_MAX: Final = 4096
# One heap for all threads (0.6 MB), and memory that is free goes back to the kernel soon (0.2 MB).
LEAN: Final = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TOP_PAD_": "1024",
    "MALLOC_TRIM_THRESHOLD_": "1024",
    "MALLOC_MMAP_THRESHOLD_": "16384",
}
USAGE: Final = 2
BUG: Final = 70


def main() -> None:
    """The program's entry."""
    begin_afresh()
    sys.exit(run(sys.argv[1:]))


def begin_afresh() -> None:
    """Replace this process by a leaner one with the same arguments, once (0.1 s).

    The C library reads its variables when a process begins. What compiling modules took in the
    first life, up to 4 MB of the agent's 22, is given back as well.
    """
    if not LEAN.keys() <= os.environ.keys():
        os.environ.update({**LEAN, **os.environ})
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - itself


def run(arguments: list[str]) -> int:
    """Run the agent until a signal; the exit status."""
    if "--help" in arguments or "--version" in arguments:
        sys.stdout.write(help_text() if "--help" in arguments else f"{VERSION}\n")
        return 0
    try:
        settings = read_settings(arguments, os.environ, os.uname().nodename)
        os.makedirs(settings.state_dir, mode=0o700, exist_ok=True)
        return _serve(settings, runtime_of(settings))
    except PathfinderError as error:
        _complain(error.message, error.hint)
    except IdentityWrong as error:
        _complain(str(error), "")
    except OSError as error:
        _complain(f"{error.filename or ''}: {error.strerror or error}", "")
    return USAGE


def runtime_of(settings: AgentSettings) -> Runtime:
    """The container runtime that the settings name, or several behind one port."""
    runtimes: dict[str, tuple[tuple[str, ...], Runtime]] = {}
    for name, socket in settings.sockets.items():
        runtimes[name] = (KINDS[name], _docker(socket) if name == "docker" else _lxd(socket))
    if len(runtimes) > 1:
        return SeveralRuntimes(runtimes)
    ((_, only),) = runtimes.values()
    return only


# A node has what it needs in memory, and not the other: 0.3 MB each.


def _lxd(socket: str) -> Runtime:
    from pathfinder.runtimes.lxd import LxdRuntime

    return LxdRuntime(socket)


def _docker(socket: str) -> Runtime:
    from pathfinder.runtimes.docker import DockerRuntime

    return DockerRuntime(socket)


def now_ns() -> int:
    """A clock that only measures durations; it runs while the machine sleeps, as leases do."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def now_ms() -> int:
    """The same clock in milliseconds."""
    return now_ns() // 1_000_000


def _serve(settings: AgentSettings, runtime: Runtime) -> int:
    threading.excepthook = _on_bug
    threading.stack_size(STACK_BYTES)
    inbox, stopping = Inbox(), threading.Event()
    on_signal = follow_signals(inbox, stopping)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    credentials = _credentials(settings)
    identity = _identity(settings, credentials)
    address = address_of(settings.server)
    server = Server(ServerEndpoint(address, pin=identity.pin, ca_file=settings.ca_file))
    observer = Observer(
        runtime,
        Meter(runtime, now_ns, cpu_count=cpu_count()),
        server.local_address,
        every_s=settings.measure_s,
    )
    joining = Joining(
        credentials=credentials,
        state_dir=settings.state_dir,
        capacity=settings.capacity,
        labels=settings.labels,
    )
    membership = Membership(server, identity, joining, facts=observer.facts, now_ms=now_ms)
    prober = Prober(runtime, inbox, now_ms, stopping)
    outside = _outside(settings, runtime, server, membership, prober, inbox)
    path = os.path.join(settings.state_dir, CHECKPOINT_FILE)
    checkpoint_file = CheckpointFile(path=path, boot_id=boot_id())
    members = runtime.members if isinstance(runtime, SeveralRuntimes) else {"": runtime}
    core = AgentCore(
        settings.cluster,
        settings.node,
        checkpoint_file.load(),
        settings.core,
        {name: KINDS.get(name, ()) for name in members},
    )
    loop = Loop(core, inbox, outside, checkpoint_file, now_ms)
    ignored = without_effect(os.environ, [setting.name for setting in SETTINGS])
    if ignored:
        say("original_variables_without_effect", names=",".join(ignored))
    say("agent_started", cluster=identity.cluster, node=identity.node, server=settings.server)
    for name, member in members.items():
        spawn("changes", partial(follow_changes, member, inbox, stopping, name))
    spawn("observer", lambda: observer.run(inbox, stopping, lambda: loop.running))
    why = loop.run()
    say("agent_stopped", why=why, containers="stay as they are")
    return 0


def _outside(
    settings: AgentSettings,
    runtime: Runtime,
    server: Server,
    membership: Membership,
    prober: Prober,
    inbox: Inbox,
) -> Outside:
    outputs = Outputs(os.path.join(settings.state_dir, OUTPUTS))
    sources = Sources(runtime=runtime, outputs=outputs, restore=restorer(inbox))
    return Outside(
        runtime=runtime,
        server=server,
        membership=membership,
        streams=Streams(sources, server, membership, streams_max=settings.core.streams_max),
        prober=prober,
        bench=Bench(
            runtime=runtime,
            chef=settings.chef,
            keeper=outputs.open,
            now_ms=now_ms,
            listener=listening,
        ),
        outputs=outputs,
    )


def _identity(settings: AgentSettings, credentials: Credentials) -> Identity:
    pin = pin_of(credentials.join_token) if credentials.join_token else ""
    identity = load_or_make(settings.state_dir, settings.cluster, settings.node, pin)
    if identity.is_registered or credentials.join_token or credentials.cluster_password:
        return identity
    raise Malformed(
        f"node {identity.node} has not joined cluster {identity.cluster} yet",
        hint="give --join-token-file or --cluster-password-file",
    )


def _credentials(settings: AgentSettings) -> Credentials:
    return Credentials(
        join_token=_secret(settings.join_token_file, "--join-token-file"),
        cluster_password=settings.cluster_password
        or _secret(settings.cluster_password_file, "--cluster-password-file"),
    )


def _secret(path: str, flag: str) -> str:
    if not path:
        return ""
    try:
        with open(path, "rb") as file:
            text = file.read(SECRET_FILE_BYTES_MAX).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed(f"{flag} {path}: cannot be read: {error}") from None
    if not text:
        raise Malformed(f"{flag} {path}: is empty")
    return text


def _complain(message: str, hint: str) -> None:
    sys.stderr.write(f"pathfinder-agent: {message}\n" + (f"  {hint}\n" if hint else ""))


def _on_bug(failure: Any) -> None:
    """A thread met a bug: end at once. The next start looks at what is there, and repairs."""
    sys.excepthook(failure.exc_type, failure.exc_value, failure.exc_traceback)
    sys.stderr.flush()
    os._exit(BUG)


if __name__ == "__main__":
    main()
