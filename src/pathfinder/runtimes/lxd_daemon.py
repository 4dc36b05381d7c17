"""One LXD daemon as all verbs see it: its client, what is ours on it, and what its errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pathfinder.runtimes.http import Endpoint, UnixEndpoint
from pathfinder.runtimes.lxd_answers import ground_from, labels_from
from pathfinder.runtimes.lxd_requests import Ground, LxdRequest
from pathfinder.runtimes.lxdclient.client import REQUEST_S_MAX, LxdClient, Operation
from pathfinder.runtimes.lxdclient.errors import (
    Answered,
    LxdError,
    NotFound,
    OperationFailed,
    OutcomeOpen,
    Unreachable,
)
from pathfinder.runtimes.lxdclient.paths import instance_path
from pathfinder.runtimes.port import (
    CALL_S_MAX,
    NameOccupied,
    NotThere,
    OutcomeUnknown,
    Refused,
    RuntimeDown,
    RuntimeFailure,
)


class LxdDaemon:
    """What the verbs stand on."""

    def __init__(self, where: str | Endpoint, *, call_s_max: float = CALL_S_MAX) -> None:
        endpoint = UnixEndpoint(where) if isinstance(where, str) else where
        self._call_s_max = call_s_max
        self._client = LxdClient(endpoint, request_s_max=min(REQUEST_S_MAX, call_s_max))
        self._known_ground: Ground | None = None

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _ground(self, *, anew: bool = False) -> Ground:
        """What the default profile gives, learned once and when facts are asked for."""
        if self._known_ground is None or anew:
            with reading():
                self._known_ground = _read_ground(self._client)
        return self._known_ground

    def _run(self, request: LxdRequest, *, grace_s: float = 0.0) -> None:
        bound_s = self._call_s_max + grace_s
        self._client.run(request.method, request.path, request.body or None, timeout_s=bound_s)

    def _own(self, name: str) -> dict[str, Any]:
        """The instance's document; NotThere when there is none, NameOccupied when it is not ours.

        Costs 2 ms before each verb that changes something, so that nothing foreign is ever touched.
        """
        try:
            document: dict[str, Any] = self._client.get(instance_path(name))
        except NotFound:
            raise NotThere(f"there is no instance {name}") from None
        if labels_from(document["config"]) is None:
            raise NameOccupied(f"{name} is not Pathfinder's", hint="rename or remove it by hand")
        return document

    def _wait_for_maker(self, name: str, *, wait_s_max: float) -> bool:
        """Whether LXD is making `name` just now; returns when that has ended."""
        running = self._client.get("/1.0/operations?recursion=1").get("running") or ()
        for document in running:
            resources = document.get("resources") or {}
            if instance_path(name) in (resources.get("instances") or ()):
                operation = Operation(f"/1.0/operations/{document['id']}", {})
                try:
                    self._client.wait(operation, timeout_s=wait_s_max)
                except OperationFailed:
                    pass  # LXD removes what it could not make
                return True
        return False


@contextmanager
def reading() -> Iterator[None]:
    """Errors of requests that change nothing: without an answer, the daemon is down."""
    try:
        yield
    except (Unreachable, OutcomeOpen) as error:
        raise RuntimeDown(f"LXD does not answer: {error}") from error
    except LxdError as error:
        raise _failure(error) from error


@contextmanager
def acting() -> Iterator[None]:
    """Errors of requests that change something: without an answer, it may have happened."""
    try:
        yield
    except Unreachable as error:
        raise RuntimeDown(f"LXD does not answer: {error}") from error
    except OutcomeOpen as error:
        raise OutcomeUnknown(str(error)) from error
    except LxdError as error:
        raise _failure(error) from error


def _failure(error: LxdError) -> RuntimeFailure:
    if isinstance(error, NotFound):
        return NotThere(str(error))
    if isinstance(error, Answered) and error.status < 500:
        return Refused(str(error))
    return RuntimeFailure(str(error))


def _read_ground(client: LxdClient) -> Ground:
    pools = {pool["name"]: pool["driver"] for pool in client.get("/1.0/storage-pools?recursion=1")}
    return ground_from(client.get("/1.0/profiles/default"), pools)
