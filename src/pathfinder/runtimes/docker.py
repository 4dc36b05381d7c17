"""Containers by Docker: the port's verbs over Docker's Engine API.

The wishes become requests in `docker_requests`, the answers nouns in `docker_answers`; here is only
what happens between them: waiting, looking again, and what Docker's own words mean.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from pathfinder.model.resources import MIB
from pathfinder.runtimes.docker_answers import (
    facts_from,
    has_disk_limit,
    instance_from,
    labels_from,
    listed_from,
    says_image_missing,
    says_port_taken,
    tags_of,
    usage_from,
)
from pathfinder.runtimes.docker_requests import (
    EVENTS,
    DockerRequest,
    create_request,
    delete_request,
    list_request,
    reference_of,
    start_request,
    stats_request,
    stop_request,
    thaw_request,
)
from pathfinder.runtimes.dockerclient.client import REQUEST_S_MAX, DockerClient
from pathfinder.runtimes.dockerclient.commands import (
    NOT_BEGUN,
    NOT_FOUND,
    STDERR,
    CommandSession,
    open_command,
)
from pathfinder.runtimes.dockerclient.errors import (
    Answered,
    Conflict,
    DockerError,
    NotFound,
    OutcomeOpen,
    TransferFailed,
    Unreachable,
)
from pathfinder.runtimes.dockerclient.events import events
from pathfinder.runtimes.dockerclient.files import container_log, read_file, write_file
from pathfinder.runtimes.dockerclient.images import list_images, pull
from pathfinder.runtimes.dockerclient.paths import container_path
from pathfinder.runtimes.http import Endpoint, UnixEndpoint
from pathfinder.runtimes.port import (
    CALL_S_MAX,
    LIST_S_MAX,
    Change,
    ImageMissing,
    Instance,
    InstanceSnapshot,
    Labels,
    NameOccupied,
    NotThere,
    Offer,
    OutcomeUnknown,
    Refused,
    RuntimeDown,
    RuntimeFacts,
    RuntimeFailure,
    Session,
    Terminal,
    Usage,
    Wish,
)

RETRY_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8)  # the last one again and again
IMAGES_SHOWN_MAX: Final = 10


class DockerRuntime:
    """The port over one dockerd, for any number of threads. `where`: its socket, or an endpoint.

    Docker's containers are application containers. No verb takes longer than `call_s_max`, or than
    that and its grace.
    """

    def __init__(self, where: str | Endpoint, *, call_s_max: float = CALL_S_MAX) -> None:
        endpoint = UnixEndpoint(where) if isinstance(where, str) else where
        self._call_s_max = call_s_max
        self._client = DockerClient(endpoint, request_s_max=min(REQUEST_S_MAX, call_s_max))
        self._has_disk_limit: bool | None = None

    def facts(self) -> RuntimeFacts:
        """What the daemon is, has and can do."""
        with _reading():
            info = self._client.get("/info")
            self._has_disk_limit = has_disk_limit(info)
            return facts_from(info, list_images(self._client), _pool(info.get("DockerRootDir", "")))

    def list_instances(self, cluster: str) -> list[Instance]:
        """All of `cluster`'s instances."""
        with _reading():
            bound_s = min(LIST_S_MAX, self._call_s_max)
            documents = self._client.get(list_request(cluster).path, timeout_s=bound_s)
        instances = (listed_from(document) for document in documents)
        return [one for one in instances if one.labels is not None]

    def inspect(self, name: str) -> Instance | None:
        """One instance with its addresses; None when there is none."""
        with _reading():
            document = self._find(name)
        return instance_from(document) if document else None

    def usage(self, name: str) -> Usage:
        """Measurements of one running instance."""
        with _reading():
            document = self._need(name)
            usage = usage_from(self._client.get(stats_request(document["Id"]).path))
        if usage is None:
            raise NotThere(f"{name} does not run")
        there = instance_from(document)
        return replace(usage, addresses=there.addresses, started_ms=there.started_ms)

    def create(self, wish: Wish) -> None:
        """Make the instance, stopped; one that carries the same labels already is success."""
        _check_wish(wish)
        with _reading():
            if self._has_disk_limit is None:
                self._has_disk_limit = has_disk_limit(self._client.get("/info"))
        request = create_request(wish, has_disk_limit=self._has_disk_limit)
        with _acting():
            for gap_s in _gaps(self._call_s_max):
                try:
                    self._run(request)
                except NotFound as error:
                    self._fetch(wish, error)
                    continue
                except Conflict:
                    pass  # the name is in use, perhaps by this very wish
                except Answered as error:
                    raise self._why_not_created(wish, error) from error
                else:
                    return
                if self._is_made(wish):
                    return
                time.sleep(gap_s)
        raise OutcomeUnknown(f"{wish.name} was busy for {self._call_s_max:.0f} s")

    def start(self, name: str) -> None:
        """Start it, or let it go on when it is paused. Running already is success."""
        with _acting():
            document = self._own(name)
            status = document["State"]["Status"]
            if status == "dead":
                raise NotThere(f"{name} is half removed", hint="remove it, then create it again")
            try:
                self._run((thaw_request if status == "paused" else start_request)(document["Id"]))
            except NotFound:
                raise NotThere(f"there is no instance {name}") from None
            except Answered as error:
                raise _why_not_started(error) from error

    def stop(self, name: str, *, grace_s: float = 10.0) -> None:
        """Stop it, by force after `grace_s`. Stopped or absent is success."""
        with _acting():
            try:
                document = self._own(name)
                if document["State"]["Status"] in ("running", "paused", "restarting"):
                    self._run(stop_request(document["Id"], grace_s=grace_s), grace_s=grace_s)
            except (NotFound, NotThere):
                return

    def remove(self, name: str) -> None:
        """Remove it with its own layer, by force; named volumes stay. Absent is success."""
        with _acting():
            for gap_s in _gaps(self._call_s_max):
                try:
                    self._run(delete_request(self._own(name)["Id"]))
                except (NotFound, NotThere):
                    return
                except Conflict:
                    time.sleep(gap_s)  # its removal is under way
                else:
                    return
        raise OutcomeUnknown(f"{name} was busy for {self._call_s_max:.0f} s")

    def changes(self, stopping: Callable[[], bool]) -> Iterator[Change]:
        """Changes as they happen, until `stopping` or until Docker goes away."""
        filters = {"type": ["container"], "event": list(EVENTS)}
        with _reading():
            for event in events(self._client, filters=filters, stopping=stopping):
                if event is None:
                    yield Change(name="")
                    continue
                for key in ("name", "oldName"):
                    if name := event.attributes.get(key, "").removeprefix("/"):
                        yield Change(name=name)

    def set_note(self, name: str, note: str) -> None:
        """Refused: a container's labels never change, and Docker keeps nothing else beside it."""
        with _acting():
            self._own(name)
        raise Refused(f"Docker can keep no note of {len(note)} characters on {name}")

    def offer_copy(self, name: str, address: str) -> Offer:
        """Refused: Docker hands no container to another daemon."""
        raise _no_copies(f"{name} cannot be handed over at {address}")

    def pull_copy(self, wish: Wish, offer: Offer) -> None:
        """Refused: Docker takes no container from another daemon."""
        raise _no_copies(f"{wish.name} cannot be taken from a daemon of the kind {offer.runtime}")

    def complete_copy(self, wish: Wish) -> None:
        """Refused: there are no copies."""
        raise _no_copies(f"{wish.name} is no copy")

    def relabel(self, name: str, labels: Labels) -> None:
        """Refused: a container's labels never change."""
        raise Refused(f"Docker cannot make {name} one of generation {labels.generation}")

    def list_snapshots(self, name: str) -> list[InstanceSnapshot]:
        """None: Docker makes no snapshots of a container."""
        with _reading():
            self._own(name)
        return []

    def make_snapshot(self, name: str, snapshot: str) -> None:
        """Refused: Docker makes no snapshots of a container."""
        raise _no_copies(f"{name} cannot have the snapshot {snapshot}")

    def restore_snapshot(self, name: str, snapshot: str) -> None:
        """Refused: Docker makes no snapshots of a container."""
        raise _no_copies(f"{name} cannot go back to a snapshot {snapshot}")

    def remove_snapshot(self, name: str, snapshot: str) -> None:
        """Success: there is no snapshot of any name."""

    def read_file(self, name: str, path: str) -> bytes:
        """The content of one file."""
        with _reading():
            return read_file(self._client, self._need(name)["Id"], path).content

    def write_file(self, name: str, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Write one file as root, making its parent directories."""
        with _acting():
            write_file(self._client, self._own(name)["Id"], path, content, mode=mode)

    def open_session(self, name: str, terminal: Terminal) -> Session:
        """Run a command in a running instance of ours."""
        with _acting():
            document = self._own(name)
            if document["State"]["Status"] != "running":
                raise NotThere(f"{name} does not run")
            session = open_command(
                self._client,
                document["Id"],
                terminal.command,
                environment=terminal.environment,
                tty=terminal.tty,
                columns=terminal.columns,
                rows=terminal.rows,
            )
        return _Session(session)

    def console_log(self, name: str) -> bytes:
        """What the instance has written to its output and error output, the end of it."""
        with _reading():
            return container_log(self._client, self._need(name)["Id"])

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _run(self, request: DockerRequest, *, grace_s: float = 0.0) -> None:
        bound_s = self._call_s_max + grace_s
        self._client.request(request.method, request.path, request.body, timeout_s=bound_s)

    def _find(self, name: str) -> dict[str, Any] | None:
        """The instance's document. Docker also takes the beginning of an id for a name."""
        try:
            document: dict[str, Any] = self._client.get(container_path(name, "json"))
        except NotFound:
            return None
        return document if document["Name"] == f"/{name}" else None

    def _need(self, name: str) -> dict[str, Any]:
        document = self._find(name)
        if document is None:
            raise NotThere(f"there is no instance {name}")
        return document

    def _own(self, name: str) -> dict[str, Any]:
        """The instance's document; NotThere when there is none, NameOccupied when it is not ours.

        What follows goes by its id: another container that gets the name meanwhile is not touched.
        """
        document = self._need(name)
        if labels_from(document["Config"].get("Labels") or {}) is None:
            raise NameOccupied(f"{name} is not Pathfinder's", hint="rename or remove it by hand")
        return document

    def _is_made(self, wish: Wish) -> bool:
        """Whether what has the wish's name is this very wish; NameOccupied when it is another's."""
        try:
            document = self._own(wish.name)
        except NotThere:
            return False  # the name is taken a moment before its container is there
        if labels_from(document["Config"]["Labels"]) != wish.labels:
            raise NameOccupied(f"another container has the name {wish.name}")
        if document["State"]["Status"] in ("dead", "removing"):
            self._run(delete_request(document["Id"]))
            return False
        return True

    def _fetch(self, wish: Wish, missing: NotFound) -> None:
        """Have Docker fetch the wish's image; ImageMissing when it cannot be had."""
        if not says_image_missing(str(missing)):
            raise Refused(str(missing)) from missing
        if wish.remote is None or wish.spec.image.fingerprint:
            raise self._image_missing(wish, str(missing)) from missing
        try:
            reference = reference_of(wish.spec.image, wish.remote)
            pull(self._client, reference, timeout_s=self._call_s_max)
        except (Answered, TransferFailed) as error:
            raise self._image_missing(wish, str(error)) from error

    def _image_missing(self, wish: Wish, text: str) -> ImageMissing:
        image = wish.spec.image.text()
        return ImageMissing(f"image {image}: {text}", hint=self._images_hint(wish))

    def _why_not_created(self, wish: Wish, error: Answered) -> RuntimeFailure:
        if says_image_missing(str(error)):
            return self._image_missing(wish, str(error))
        return Refused(str(error)) if error.status < 500 else RuntimeFailure(str(error))

    def _images_hint(self, wish: Wish) -> str:
        if wish.remote is not None:
            return f"check {wish.remote.server} and that it has {wish.spec.image.text()}"
        try:
            tags = tags_of(list_images(self._client))
        except DockerError:
            return ""
        shown = ", ".join(tags[:IMAGES_SHOWN_MAX]) or "none"
        more = ", ..." if len(tags) > IMAGES_SHOWN_MAX else ""
        return f"images on this node: {shown}{more}"


class _Session:
    """A command's session in the port's words."""

    def __init__(self, session: CommandSession) -> None:
        self._session = session
        self.write = session.write
        self.resize = session.resize
        self.close = session.close
        self._is_missing = False

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """Output and error output; what could not begin says so as it does everywhere."""
        for stream, data in self._session.frames():
            if stream == STDERR and data.startswith(NOT_BEGUN):
                self._is_missing = b"no such file" in data or b"not found" in data
                yield stream, b"Command not found\n" if self._is_missing else data
            else:
                yield stream, data

    def exit_code(self) -> int:
        """Docker calls a command that is not there one that cannot be run (126)."""
        return NOT_FOUND if self._is_missing else self._session.exit_code()


def _no_copies(what: str) -> Refused:
    return Refused(
        f"{what}: Docker copies no containers",
        hint="keep what must last in a named volume, or use a system container",
    )


@contextmanager
def _reading() -> Iterator[None]:
    """Errors of requests that change nothing: without an answer, the daemon is down."""
    try:
        yield
    except (Unreachable, OutcomeOpen) as error:
        raise RuntimeDown(f"Docker does not answer: {error}") from error
    except DockerError as error:
        raise _failure(error) from error


@contextmanager
def _acting() -> Iterator[None]:
    """Errors of requests that change something: without an answer, it may have happened."""
    try:
        yield
    except Unreachable as error:
        raise RuntimeDown(f"Docker does not answer: {error}") from error
    except OutcomeOpen as error:
        raise OutcomeUnknown(str(error)) from error
    except DockerError as error:
        raise _failure(error) from error


def _failure(error: DockerError) -> RuntimeFailure:
    if isinstance(error, NotFound):
        return NotThere(str(error))
    if isinstance(error, Answered) and error.status < 500:
        return Refused(str(error))
    return RuntimeFailure(str(error))


def _why_not_started(error: Answered) -> RuntimeFailure:
    text = str(error)
    if says_port_taken(text):
        return RuntimeFailure(text, hint="end what has the port on this node, or ask for another")
    return Refused(text) if error.status < 500 else RuntimeFailure(text)


def _check_wish(wish: Wish) -> None:
    if wish.spec.kind != "application":
        raise Refused(
            "Docker runs application containers only", hint="ask for a node with another runtime"
        )
    if wish.remote is not None and wish.remote.protocol != "registry":
        raise Refused(
            f"remote {wish.remote.name} is no registry ({wish.remote.protocol})",
            hint="Docker's images come from a remote with protocol: registry",
        )


def _gaps(total_s: float) -> Iterator[float]:
    """How long to wait before each next attempt, until `total_s` have passed."""
    deadline = time.monotonic() + total_s
    yield from RETRY_S
    while time.monotonic() < deadline:
        yield RETRY_S[-1]


def _pool(root: str) -> tuple[int, int]:
    """MiB of the file system that has Docker's data, all and used; 0 when it cannot be seen."""
    try:
        disk = os.statvfs(root)
    except OSError:
        return 0, 0
    return disk.f_frsize * disk.f_blocks // MIB, disk.f_frsize * (
        disk.f_blocks - disk.f_bfree
    ) // MIB
