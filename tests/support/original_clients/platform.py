"""A server of this process, with a password for its cluster as the original's agents need it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from argon2 import PasswordHasher

from pathfinder.control.commands import Command, PutCluster
from pathfinder.store.memory import MemoryStore
from tests.support.original_clients.go import GoAgent, GoPfi
from tests.support.running import APP, RunningServer, prepare, running_server

PASSWORD: Final = "open sesame"
HASHED: Final = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
REMOTE: Final = {
    "kind": "Remote",
    "cluster": "default",
    "name": "barito-registry",
    "server": "https://registry.example:8443",
    "protocol": "daemon",
    "certificate": "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n",
}


@contextmanager
def original_server(*commands: Command) -> Iterator[RunningServer]:
    """Cluster `default` with PASSWORD; the tokens of `running_server`."""
    store = MemoryStore()
    prepare(store, PutCluster("default", HASHED), *commands)
    with running_server(store, is_prepared=True) as server:
        yield server


def agent(server: RunningServer, hostname: str = "n1") -> GoAgent:
    """A Go agent that has registered."""
    made = GoAgent(server.port, hostname)
    answer = made.register(PASSWORD)
    assert answer.status == 200, answer
    return made


def pfi(server: RunningServer) -> GoPfi:
    """The Go command line with the token of an app."""
    return GoPfi(server.port, token=APP)
