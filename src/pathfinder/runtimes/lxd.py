"""Containers by LXD: the port's verbs over LXD's REST API.

The wishes become requests in `lxd_requests`, the answers nouns in `lxd_answers`; here is only what
happens between them: waiting, looking again, and what LXD's own words mean.
"""

import time
from collections.abc import Callable, Iterator
from typing import Final

from pathfinder.runtimes.lxd_answers import (
    change_from,
    facts_from,
    instance_from,
    is_half_made,
    labels_from,
    says_busy,
    says_image_missing,
    says_name_in_use,
    says_refused,
    usage_from,
)
from pathfinder.runtimes.lxd_daemon import acting, reading
from pathfinder.runtimes.lxd_moves import LxdMoves
from pathfinder.runtimes.lxd_requests import (
    LxdRequest,
    check_wish,
    create_request,
    delete_request,
    note_request,
    start_request,
    stop_request,
    thaw_request,
)
from pathfinder.runtimes.lxdclient.client import LxdClient
from pathfinder.runtimes.lxdclient.commands import open_command
from pathfinder.runtimes.lxdclient.errors import (
    Answered,
    LxdError,
    NotFound,
    OperationFailed,
)
from pathfinder.runtimes.lxdclient.events import events
from pathfinder.runtimes.lxdclient.files import console_log, read_file, write_file
from pathfinder.runtimes.lxdclient.images import list_images
from pathfinder.runtimes.lxdclient.paths import instance_path
from pathfinder.runtimes.port import (
    LIST_S_MAX,
    NOTE_LENGTH_MAX,
    Change,
    ImageMissing,
    Instance,
    NameOccupied,
    NotThere,
    OutcomeUnknown,
    Refused,
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


class LxdRuntime(LxdMoves):
    """The port over one LXD daemon, for any number of threads. `where`: its socket, or an endpoint.

    LXD's instances are system containers; their command is their image's init. No verb takes longer
    than `call_s_max`, or than that and its grace.
    """

    def facts(self) -> RuntimeFacts:
        """What the daemon is, has and can do; also learns anew what the default profile gives."""
        with reading():
            client = self._client
            ground = self._ground(anew=True)
            pool = ground.root_device.get("pool")
            return facts_from(
                client.get("/1.0"),
                client.get("/1.0/resources"),
                client.get(f"/1.0/storage-pools/{pool}/resources") if pool else {},
                aliases(client),
                ground,
            )

    def list_instances(self, cluster: str) -> list[Instance]:
        """All of `cluster`'s instances. Their state and addresses are not asked for: 16 ms each."""
        with reading():
            bound_s = min(LIST_S_MAX, self._call_s_max)
            documents = self._client.get("/1.0/instances?recursion=1", timeout_s=bound_s)
        instances = (instance_from(document) for document in documents)
        return [
            one for one in instances if one.labels is not None and one.labels.cluster == cluster
        ]

    def inspect(self, name: str) -> Instance | None:
        """One instance with its addresses; None when there is none."""
        with reading():
            try:
                return instance_from(self._client.get(instance_path(name, recursion="1")))
            except NotFound:
                return None

    def usage(self, name: str) -> Usage:
        """Measurements of one running instance."""
        with reading():
            state = self._client.get(instance_path(name, "state"))
        if state["status"] != "Running":
            raise NotThere(f"{name} does not run")
        return usage_from(state)

    def create(self, wish: Wish) -> None:
        """Make the instance, stopped; one that carries the same labels already is success."""
        check_wish(wish)
        ground = self._ground()
        with acting():
            for gap_s in _gaps(self._call_s_max):
                try:
                    self._run(create_request(wish, ground))
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
        with acting():
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
        with acting():
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
        with acting():
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
        with reading():
            for event in events(self._client, kinds=("lifecycle",), stopping=stopping):
                if event is None:
                    yield Change(name="")
                elif (change := change_from(event.metadata)) is not None:
                    yield change

    def set_note(self, name: str, note: str) -> None:
        """Leave a text on one of our instances, as a key of its configuration."""
        assert len(note) <= NOTE_LENGTH_MAX, len(note)
        with acting():
            self._own(name)
            self._run(note_request(name, note))

    def read_file(self, name: str, path: str) -> bytes:
        """The content of one file."""
        with reading():
            return read_file(self._client, name, path).content

    def write_file(self, name: str, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Write one file as root, making its parent directories."""
        with acting():
            self._own(name)
            write_file(self._client, name, path, content, mode=mode)

    def open_session(self, name: str, terminal: Terminal) -> Session:
        """Run a command in a running instance of ours."""
        with acting():
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
        with reading():
            return console_log(self._client, name)

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
        if is_half_made(document) and not self._wait_for_maker(
            wish.name, wait_s_max=self._call_s_max
        ):
            # Looked at again, as its maker may have finished between the two looks.
            if is_half_made(self._own(wish.name)):
                self._run(delete_request(wish.name))
            return False
        return not is_half_made(document)

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
            names = aliases(self._client)
        except LxdError:
            return ""
        shown = ", ".join(names[:ALIASES_SHOWN_MAX]) or "none"
        more = ", ..." if len(names) > ALIASES_SHOWN_MAX else ""
        return f"images on this node: {shown}{more}"


def _gaps(total_s: float) -> Iterator[float]:
    """How long to wait before each next attempt, until `total_s` have passed."""
    deadline = time.monotonic() + total_s
    yield from RETRY_S
    while time.monotonic() < deadline:
        yield RETRY_S[-1]


def aliases(client: LxdClient) -> tuple[str, ...]:
    """The names of the images in the local store."""
    return tuple(sorted(alias for image in list_images(client) for alias in image.aliases))
