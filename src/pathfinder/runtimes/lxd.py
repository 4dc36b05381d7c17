"""Containers by LXD: the port's verbs over LXD's REST API.

The wishes become requests in `lxd_requests`, the answers nouns in `lxd_answers`; here is only what
happens between them: waiting, looking again, and what LXD's own words mean.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from pathfinder.runtimes.http import Endpoint, UnixEndpoint
from pathfinder.runtimes.lxd_answers import (
    change_from,
    facts_from,
    ground_from,
    instance_from,
    is_half_made,
    labels_from,
    says_busy,
    says_image_missing,
    says_name_in_use,
    says_refused,
    usage_from,
)
from pathfinder.runtimes.lxd_copies import (
    complete_request,
    make_request,
    offer_from,
    offer_request,
    pull_request,
    restore_request,
    says_unreached,
    snapshot_path,
    snapshots_from,
    snapshots_path,
)
from pathfinder.runtimes.lxd_requests import (
    COPY_KEY,
    Ground,
    LxdRequest,
    check_wish,
    create_request,
    delete_request,
    note_request,
    start_request,
    stop_request,
    thaw_request,
)
from pathfinder.runtimes.lxdclient.client import REQUEST_S_MAX, LxdClient, Operation
from pathfinder.runtimes.lxdclient.commands import open_command
from pathfinder.runtimes.lxdclient.errors import (
    Answered,
    LxdError,
    NotFound,
    OperationFailed,
    OutcomeOpen,
    Unreachable,
)
from pathfinder.runtimes.lxdclient.events import events
from pathfinder.runtimes.lxdclient.files import console_log, read_file, write_file
from pathfinder.runtimes.lxdclient.images import list_images
from pathfinder.runtimes.lxdclient.paths import instance_path
from pathfinder.runtimes.port import (
    CALL_S_MAX,
    LIST_S_MAX,
    NOTE_LENGTH_MAX,
    PULL_S_MAX,
    Change,
    ImageMissing,
    Instance,
    InstanceSnapshot,
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

# The last one again and again. LXD is busy for half a second with an instance whose init has ended:
# looking often that long lets a killed one run again soon.
RETRY_S: Final = (*[0.04] * 16, 0.1, 0.2, 0.4, 0.8)
ALIASES_SHOWN_MAX: Final = 10


class LxdRuntime:
    """The port over one LXD daemon, for any number of threads. `where`: its socket, or an endpoint.

    LXD's instances are system containers; their command is their image's init. No verb takes longer
    than `call_s_max`, or than that and its grace.
    """

    def __init__(self, where: str | Endpoint, *, call_s_max: float = CALL_S_MAX) -> None:
        endpoint = UnixEndpoint(where) if isinstance(where, str) else where
        self._call_s_max = call_s_max
        self._client = LxdClient(endpoint, request_s_max=min(REQUEST_S_MAX, call_s_max))
        self._ground: Ground | None = None

    def facts(self) -> RuntimeFacts:
        """What the daemon is, has and can do; also learns anew what the default profile gives."""
        with _reading():
            client = self._client
            self._ground = ground = _read_ground(client)
            pool = ground.root_device.get("pool")
            return facts_from(
                client.get("/1.0"),
                client.get("/1.0/resources"),
                client.get(f"/1.0/storage-pools/{pool}/resources") if pool else {},
                _aliases(client),
                ground,
            )

    def list_instances(self, cluster: str) -> list[Instance]:
        """All of `cluster`'s instances. Their state and addresses are not asked for: 16 ms each."""
        with _reading():
            bound_s = min(LIST_S_MAX, self._call_s_max)
            documents = self._client.get("/1.0/instances?recursion=1", timeout_s=bound_s)
        instances = (instance_from(document) for document in documents)
        return [
            one for one in instances if one.labels is not None and one.labels.cluster == cluster
        ]

    def inspect(self, name: str) -> Instance | None:
        """One instance with its addresses; None when there is none."""
        with _reading():
            try:
                return instance_from(self._client.get(instance_path(name, recursion="1")))
            except NotFound:
                return None

    def usage(self, name: str) -> Usage:
        """Measurements of one running instance."""
        with _reading():
            state = self._client.get(instance_path(name, "state"))
        if state["status"] != "Running":
            raise NotThere(f"{name} does not run")
        return usage_from(state)

    def create(self, wish: Wish) -> None:
        """Make the instance, stopped; one that carries the same labels already is success."""
        check_wish(wish)
        with _reading():
            if self._ground is None:
                self._ground = _read_ground(self._client)
        with _acting():
            for gap_s in _gaps(self._call_s_max):
                try:
                    self._run(create_request(wish, self._ground))
                except (Answered, OperationFailed) as error:
                    if not says_name_in_use(str(error)) and not says_busy(str(error)):
                        raise self._why_not_created(wish, error) from error
                else:
                    return
                if self._is_made(wish):
                    return
                time.sleep(gap_s)
        raise OutcomeUnknown(f"{wish.name} was busy for {self._call_s_max:.0f} s")

    def start(self, name: str) -> None:
        """Start it, or let it go on when it is frozen. Running already is success."""
        with _acting():
            document = self._own(name)
            if document["status"] == "Frozen":
                self._act(name, thaw_request(name), "Running")
            elif document["status"] != "Running":
                if is_half_made(document):
                    raise NotThere(
                        f"{name} was never made completely", hint="remove it, then create it again"
                    )
                self._act(name, start_request(name), "Running")

    def stop(self, name: str, *, grace_s: float = 10.0) -> None:
        """Stop it, by force after `grace_s`. Stopped or absent is success."""
        with _acting():
            try:
                document = self._own(name)
                if document["status"] == "Stopped":
                    return
                if grace_s > 0 and document["status"] == "Running":
                    self._ask_to_stop(name, grace_s)
                self._act(name, stop_request(name, grace_s=0), "Stopped")
            except (NotFound, NotThere):
                return

    def remove(self, name: str) -> None:
        """Remove it with its root disk, stopping it by force. Absent is success."""
        with _acting():
            for gap_s in _gaps(self._call_s_max):
                try:
                    if self._own(name)["status"] != "Stopped":
                        self._act(name, stop_request(name, grace_s=0), "Stopped")
                    self._run(delete_request(name))
                except (NotFound, NotThere):
                    return
                except (Answered, OperationFailed) as error:
                    if not says_busy(str(error)) and "running" not in str(error):
                        raise
                else:
                    return
                time.sleep(gap_s)
        raise OutcomeUnknown(f"{name} was busy for {self._call_s_max:.0f} s")

    def changes(self, stopping: Callable[[], bool]) -> Iterator[Change]:
        """Changes as they happen, until `stopping` or until LXD goes away."""
        with _reading():
            for event in events(self._client, kinds=("lifecycle",), stopping=stopping):
                if event is None:
                    yield Change(name="")
                elif (change := change_from(event.metadata)) is not None:
                    yield change

    def set_note(self, name: str, note: str) -> None:
        """Leave a text on one of our instances, as a key of its configuration."""
        assert len(note) <= NOTE_LENGTH_MAX, len(note)
        with _acting():
            self._own(name)
            self._run(note_request(name, note))

    def offer_copy(self, name: str, address: str) -> Offer:
        """Be ready to hand the instance to another LXD that reaches this one at `address`, once."""
        with _acting():
            document = self._own(name)
            server = self._client.get("/1.0")
            if not server["config"].get("core.https_address"):
                raise Refused(
                    "this LXD listens at no address, so that no other node can take a copy",
                    hint=f"on this node: lxc config set core.https_address {address}",
                )
            request = offer_request(name)
            operation = self._client.begin(request.method, request.path, request.body)
        return offer_from(document, server, operation.path, operation.metadata, address)

    def pull_copy(self, wish: Wish, offer: Offer) -> None:
        """Take what is offered as a half-made copy, or bring that copy up to date."""
        check_wish(wish)
        with _reading():
            if self._ground is None:
                self._ground = _read_ground(self._client)
        with _acting():
            is_there = self._has_half_copy(wish)
            request = pull_request(wish, offer, self._ground, is_there=is_there)
            try:
                self._client.run(request.method, request.path, request.body, timeout_s=PULL_S_MAX)
            except OperationFailed as error:
                if says_unreached(str(error)):
                    address = offer.details["address"]
                    hint = f"let this node reach {address} (TCP), where the other LXD listens"
                    raise RuntimeFailure(f"no way to {address}: {error}", hint=hint) from error
                raise

    def complete_copy(self, wish: Wish) -> None:
        """Let the half-made copy be what was wished."""
        with _acting():
            if self._has_half_copy(wish, or_whole=True):
                self._run(complete_request(wish))
                return
        raise NotThere(f"there is no copy {wish.name}")

    def list_snapshots(self, name: str) -> list[InstanceSnapshot]:
        """The instance's snapshots, oldest first."""
        with _reading():
            self._own(name)
            return snapshots_from(self._client.get(snapshots_path(name)))

    def make_snapshot(self, name: str, snapshot: str) -> None:
        """Keep the state of its disk under a name."""
        with _acting():
            if any(one.name == snapshot for one in self.list_snapshots(name)):
                raise NameOccupied(f"{name} has a snapshot {snapshot} already")
            self._run(make_request(name, snapshot))

    def restore_snapshot(self, name: str, snapshot: str) -> None:
        """Bring a stopped instance back to a snapshot, its configuration and labels as well."""
        with _acting():
            document = self._own(name)
            if document["status"] != "Stopped":
                raise Refused(f"{name} runs", hint="stop it, then restore the snapshot")
            kept = self._client.get(snapshot_path(name, snapshot))
            if labels_from(kept["config"]) != labels_from(document["config"]):
                raise Refused(f"snapshot {snapshot} is of another generation of {name}")
            self._run(restore_request(name, snapshot))

    def remove_snapshot(self, name: str, snapshot: str) -> None:
        """Remove a snapshot."""
        with _acting():
            self._own(name)
            try:
                self._run(LxdRequest(method="DELETE", path=snapshot_path(name, snapshot)))
            except NotFound:
                return

    def read_file(self, name: str, path: str) -> bytes:
        """The content of one file."""
        with _reading():
            return read_file(self._client, name, path).content

    def write_file(self, name: str, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Write one file as root, making its parent directories."""
        with _acting():
            self._own(name)
            write_file(self._client, name, path, content, mode=mode)

    def open_session(self, name: str, terminal: Terminal) -> Session:
        """Run a command in a running instance of ours."""
        with _acting():
            if self._own(name)["status"] != "Running":
                raise NotThere(f"{name} does not run")
            return open_command(
                self._client,
                name,
                terminal.command,
                environment=terminal.environment,
                tty=terminal.tty,
                columns=terminal.columns,
                rows=terminal.rows,
            )

    def console_log(self, name: str) -> bytes:
        """What the instance has written to its console since its last start."""
        with _reading():
            return console_log(self._client, name)

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

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

    def _act(self, name: str, request: LxdRequest, wanted: str) -> None:
        """Ask for a state until it is there; what LXD calls a failure may have brought it about."""
        for gap_s in _gaps(self._call_s_max):
            try:
                self._run(request)
            except NotFound:
                raise
            except (Answered, OperationFailed) as error:
                status = self._own(name)["status"]
                if status == wanted:
                    return
                if not says_busy(str(error)):
                    raise
            else:
                return
            time.sleep(gap_s)
        raise OutcomeUnknown(f"{name} was busy for {self._call_s_max:.0f} s")

    def _ask_to_stop(self, name: str, grace_s: float) -> None:
        try:
            self._run(stop_request(name, grace_s=grace_s), grace_s=grace_s)
        except NotFound:
            raise
        except (Answered, OperationFailed):
            return  # it did not stop in time, or is stopped already: force finds out

    def _is_made(self, wish: Wish) -> bool:
        """Whether what has the wish's name is this very wish; NameOccupied when it is another's.

        Waits for whoever is making it, and removes what nobody will ever finish.
        """
        try:
            document = self._own(wish.name)
        except NotThere:
            return False
        if labels_from(document["config"]) != wish.labels:
            raise NameOccupied(f"another container has the name {wish.name}")
        if is_half_made(document) and not self._wait_for_maker(wish.name):
            # Looked at again, as its maker may have finished between the two looks.
            if is_half_made(self._own(wish.name)):
                self._run(delete_request(wish.name))
            return False
        return not is_half_made(document)

    def _has_half_copy(self, wish: Wish, *, or_whole: bool = False) -> bool:
        """Whether the wish's half-made copy is there, or with `or_whole` the whole one."""
        try:
            config = self._own(wish.name)["config"]
        except NotThere:
            return False
        if labels_from(config) == wish.labels and (or_whole or COPY_KEY in config):
            return True
        raise NameOccupied(f"{wish.name} is there already, and is not this copy")

    def _wait_for_maker(self, name: str) -> bool:
        """Whether LXD is making `name` just now; returns when that has ended."""
        running = self._client.get("/1.0/operations?recursion=1").get("running") or ()
        for document in running:
            resources = document.get("resources") or {}
            if instance_path(name) in (resources.get("instances") or ()):
                operation = Operation(f"/1.0/operations/{document['id']}", {})
                try:
                    self._client.wait(operation, timeout_s=self._call_s_max)
                except OperationFailed:
                    pass  # LXD removes what it could not make
                return True
        return False

    def _why_not_created(self, wish: Wish, error: LxdError) -> RuntimeFailure:
        text = str(error)
        if says_image_missing(text):
            image = wish.spec.image.text()
            return ImageMissing(f"image {image}: {text}", hint=self._images_hint(wish))
        status = error.status if isinstance(error, Answered) else 0
        if 400 <= status < 500 or says_refused(text):
            return Refused(text)
        return RuntimeFailure(text)

    def _images_hint(self, wish: Wish) -> str:
        if wish.remote is not None:
            return f"check {wish.remote.server} and that it has {wish.spec.image.text()}"
        try:
            aliases = _aliases(self._client)
        except LxdError:
            return ""
        shown = ", ".join(aliases[:ALIASES_SHOWN_MAX]) or "none"
        more = ", ..." if len(aliases) > ALIASES_SHOWN_MAX else ""
        return f"images on this node: {shown}{more}"


@contextmanager
def _reading() -> Iterator[None]:
    """Errors of requests that change nothing: without an answer, the daemon is down."""
    try:
        yield
    except (Unreachable, OutcomeOpen) as error:
        raise RuntimeDown(f"LXD does not answer: {error}") from error
    except LxdError as error:
        raise _failure(error) from error


@contextmanager
def _acting() -> Iterator[None]:
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


def _gaps(total_s: float) -> Iterator[float]:
    """How long to wait before each next attempt, until `total_s` have passed."""
    deadline = time.monotonic() + total_s
    yield from RETRY_S
    while time.monotonic() < deadline:
        yield RETRY_S[-1]


def _aliases(client: LxdClient) -> tuple[str, ...]:
    return tuple(sorted(alias for image in list_images(client) for alias in image.aliases))


def _read_ground(client: LxdClient) -> Ground:
    pools = {pool["name"]: pool["driver"] for pool in client.get("/1.0/storage-pools?recursion=1")}
    return ground_from(client.get("/1.0/profiles/default"), pools)
