"""A runtime in memory that fails as its instances tell it: for the simulation and for tests.

It has no threads, no clock and no luck: a verb happens at once, and the same calls give the same
results. How long something takes, and when the daemon dies, is up to whoever drives it.

An instance's environment is its script. `PF_SCRIPT_CREATE`, `PF_SCRIPT_START`, `PF_SCRIPT_STOP`
and `PF_SCRIPT_REMOVE` each hold steps, one after the other, separated by commas; a step is `WHAT`,
`WHAT:N` (N times) or `WHAT:always`; after the last step the verb succeeds. Counting goes by name
and generation.

    fail              does not happen; RuntimeFailure
    refused           does not happen; Refused
    unknown           happens; OutcomeUnknown
    unknown-not-done  does not happen; OutcomeUnknown
    hang              does not happen; Hangs, for which time must be made to pass
    hang-done         happens; Hangs
    half              CREATE only: leaves a half-made instance (empty digest); OutcomeUnknown
    dies              START only: starts, and ends by itself at the next `settle`
    ok                happens: to let a later step wait for its turn

For example `PF_SCRIPT_START=fail:2,unknown`: fails twice, then starts without saying so.
Jobs (`runtimes.jobs`) are those of `scripted_jobs`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import count
from typing import Final, Literal

from pathfinder.model.definitions import ContainerSpec
from pathfinder.model.resources import NOTHING, Resources
from pathfinder.runtimes.jobs import RUNNER_PATH
from pathfinder.runtimes.port import (
    NOTE_LENGTH_MAX,
    Change,
    ImageMissing,
    Instance,
    InstanceSnapshot,
    Labels,
    NameOccupied,
    NotThere,
    Offer,
    Refused,
    RuntimeDown,
    RuntimeFacts,
    RuntimeFailure,
    Session,
    State,
    Terminal,
    Usage,
    Wish,
)
from pathfinder.runtimes.scripted_jobs import ScriptedJobs
from pathfinder.runtimes.scripted_steps import NOT_DONE, ScriptedSession, raise_for, step_at

Verb = Literal["create", "start", "stop", "remove"]
CHANGES_MAX: Final = 10_000


@dataclass(slots=True, kw_only=True)
class _Held:
    """One instance as this daemon has it."""

    labels: Labels | None
    spec: ContainerSpec | None
    state: State
    address: str
    is_dying: bool = False
    started_ms: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    jobs: ScriptedJobs = field(init=False)
    note: str = ""
    console: bytes = b""
    snapshots: dict[str, tuple[Labels, str, dict[str, bytes]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.jobs = ScriptedJobs(self.files)


Offers = dict[str, Callable[[], _Held]]


@lru_cache(maxsize=1_024)
def _usage_at(address: str, started_ms: int) -> Usage:
    return Usage(addresses=(address,) if address else (), started_ms=started_ms)


class ScriptedRuntime:
    """The port in memory. It outlives agents, as a daemon does; `is_down` makes it unreachable.

    Those that share `offers` can take copies of each other's instances.
    """

    def __init__(
        self,
        *,
        images: tuple[str, ...] = ("busybox", "debian"),
        kinds: tuple[str, ...] = ("system", "application"),
        capacity: Resources = NOTHING,
        subnet: str = "10.0.0",
        offers: Offers | None = None,
    ) -> None:
        self.is_down = False
        self.wall_ms: Callable[[], int] = lambda: 0  # 0: it does not know when what runs began
        self.images = images
        self._kinds = kinds
        self._capacity = capacity
        self._subnet = subnet
        self._offers: Offers = {} if offers is None else offers
        self._offer_numbers = count()
        self._held: dict[str, _Held] = {}
        self._begun: dict[tuple[str, int, Verb], int] = {}
        self._changes: list[str] = []
        self._changes_dropped = 0
        self._addresses_given = 0

    # What really is and happens: for whoever drives it.

    def everything(self) -> list[Instance]:
        """All instances, of any cluster and of none, also while the daemon is down."""
        return [self._instance(name) for name in sorted(self._held)]

    def instance(self, name: str) -> Instance | None:
        """One of them, also while the daemon is down; None when there is none."""
        return self._instance(name) if name in self._held else None

    def runs(self, name: str) -> bool:
        """Whether it is Pathfinder's, and runs."""
        held = self._held.get(name)
        return held is not None and held.state == "running" and held.labels is not None

    def usages(self, names: Iterable[str]) -> dict[str, Usage]:
        """What those use that run: nothing, at their addresses."""
        held = ((name, self._held.get(name)) for name in names)
        return {
            name: _usage_at(it.address, it.started_ms)
            for name, it in held
            if it is not None and it.state == "running" and it.labels is not None
        }

    def running(self) -> Iterator[tuple[str, Labels]]:
        """The names and labels of Pathfinder's that run, in no promised order."""
        for name, held in self._held.items():
            if held.state == "running" and held.labels is not None:
                yield name, held.labels

    def spec(self, name: str) -> ContainerSpec | None:
        """What the instance was made from; None for a foreign one."""
        return self._held[name].spec

    def jobs(self, name: str) -> ScriptedJobs | None:
        """What the instance has begun; None: there is no such instance."""
        held = self._held.get(name)
        return held.jobs if held is not None else None

    def settle(self) -> None:
        """What happens by itself happens now: instances whose script says so end."""
        for name in sorted(self._held):
            if self._held[name].is_dying:
                self.die(name)

    def die(self, name: str) -> None:
        """Its init ends."""
        held = self._held[name]
        held.state, held.is_dying = "stopped", False
        held.jobs.interrupt()
        self._tell(name)

    def readdress(self, name: str) -> None:
        """It gets another address, as from a DHCP server; daemons say nothing of it."""
        self._held[name].address = self._next_address()

    def vanish(self, name: str) -> None:
        """Somebody removes it by hand."""
        del self._held[name]
        self._tell(name)

    def add_foreign(self, name: str) -> None:
        """Somebody makes an instance by hand."""
        self._held[name] = _Held(labels=None, spec=None, state="running", address="")
        self._tell(name)

    # The port.

    def facts(self) -> RuntimeFacts:
        """The same always."""
        self._check_up()
        return RuntimeFacts(
            runtime="scripted",
            version="1",
            kinds=self._kinds,
            architecture="x86_64",
            capacity=self._capacity,
            images=tuple(sorted(self.images)),
            copies_at=f"{self._subnet}.1:8443",
            takes_copies=True,
        )

    def list_instances(self, cluster: str) -> list[Instance]:
        """All of `cluster`'s instances, by name."""
        self._check_up()
        held = self._held
        return [
            self._instance(name, has_addresses=False)
            for name in sorted(held)
            if (labels := held[name].labels) is not None and labels.cluster == cluster
        ]

    def inspect(self, name: str) -> Instance | None:
        """One instance; None when there is none."""
        self._check_up()
        return self._instance(name) if name in self._held else None

    def usage(self, name: str) -> Usage:
        """Measurements: what the instance reserves, all of it used."""
        held = self._running(name)
        return Usage(
            cpu_ns=0,
            memory_mib=held.spec.resources.memory_mib if held.spec else 0,
            disk_mib=0,
            processes=1,
            addresses=(held.address,) if held.address else (),
            started_ms=held.started_ms,
        )

    def create(self, wish: Wish) -> None:
        """Make the instance, stopped."""
        self._check_up()
        held = self._held.get(wish.name)
        if held is not None and not self._is_half_of(held, wish):
            if held.labels != wish.labels:
                raise NameOccupied(f"another container has the name {wish.name}")
            return
        if wish.spec.kind not in self._kinds:
            raise Refused(f"{wish.spec.kind} containers do not run here")
        image = wish.spec.image
        if wish.remote is None and (image.alias or image.fingerprint) not in self.images:
            hint = f"images on this node: {', '.join(sorted(self.images))}"
            raise ImageMissing(f"image {image.text()} is not on this node", hint=hint)
        step = self._step(wish.name, "create", wish.labels, wish.spec.environment)
        if step not in NOT_DONE:
            labels = replace(wish.labels, digest="") if step == "half" else wish.labels
            self._held[wish.name] = _Held(
                labels=labels,
                spec=wish.spec,
                state="created",
                address=self._next_address() if wish.spec.network == "default" else "",
            )
            self._tell(wish.name)
        raise_for(step, f"create {wish.name}")

    def start(self, name: str) -> None:
        """Start it."""
        self._check_up()
        held = self._own(name)
        if held.state == "running":
            return
        if held.labels is not None and not held.labels.digest:
            raise NotThere(f"{name} was never made completely")
        step = self._scripted(name, "start")
        if step not in NOT_DONE:
            held.state, held.is_dying = "running", step == "dies"
            held.started_ms = self.wall_ms()
            held.console += f"{name} is up\n".encode()
            self._tell(name)
        raise_for(step, f"start {name}")

    def stop(self, name: str, *, grace_s: float = 10.0) -> None:
        """Stop it, at once."""
        self._check_up()
        if name not in self._held or self._own(name).state in ("created", "stopped"):
            return
        step = self._scripted(name, "stop")
        if step not in NOT_DONE:
            self.die(name)
        raise_for(step, f"stop {name}")

    def remove(self, name: str) -> None:
        """Remove it."""
        self._check_up()
        if name not in self._held:
            return
        self._own(name)
        step = self._scripted(name, "remove")
        if step not in NOT_DONE:
            self.vanish(name)
        raise_for(step, f"remove {name}")

    def changes(self, stopping: Callable[[], bool]) -> Iterator[Change]:
        """Changes since this was called; ends when there are no more, as nobody waits here."""
        self._check_up()
        position = self._changes_dropped + len(self._changes)
        yield Change(name="")
        while not stopping() and not self.is_down:
            index = position - self._changes_dropped
            if index < 0:
                position = self._changes_dropped + len(self._changes)
                yield Change(name="")
            elif index < len(self._changes):
                position += 1
                yield Change(name=self._changes[index])
            else:
                return

    def set_note(self, name: str, note: str) -> None:
        """Keep it."""
        assert len(note) <= NOTE_LENGTH_MAX, len(note)
        self._check_up()
        self._own(name).note = note

    def offer_copy(self, name: str, address: str) -> Offer:
        """The instance as it is when the copy is taken, under a number that all who share know."""
        self._check_up()
        held = self._own(name)

        def take() -> _Held:
            self._check_up()
            if self._held.get(name) is not held:
                raise RuntimeFailure(f"the offer of {name} at {address} is over")
            return held

        number = f"{address}/{next(self._offer_numbers)}"
        self._offers[number] = take
        return Offer(runtime="scripted", details={"number": number})

    def pull_copy(self, wish: Wish, offer: Offer) -> None:
        """Take disk, snapshots and note."""
        self._check_up()
        if offer.runtime != "scripted":
            raise Refused(f"no copies are taken from a daemon of the kind {offer.runtime}")
        there = self._held.get(wish.name)
        if there is not None and not self._is_half_of(there, wish):
            raise NameOccupied(f"{wish.name} is there already, and is not this copy")
        take = self._offers.pop(offer.details["number"], None)
        if take is None:
            raise RuntimeFailure("the offer is over")
        source = take()
        copied = _Held(
            labels=replace(wish.labels, digest=""),
            spec=wish.spec,
            state="created",
            address=self._next_address() if wish.spec.network == "default" else "",
            files=dict(source.files),
            note=source.note,
        )
        copied.jobs = source.jobs.in_copy(copied.files)
        copied.snapshots = dict(source.snapshots)
        self._held[wish.name] = copied
        self._tell(wish.name)

    def complete_copy(self, wish: Wish) -> None:
        """Give it its whole labels."""
        self._check_up()
        held = self._own(wish.name)
        if held.labels != wish.labels and not self._is_half_of(held, wish):
            raise NameOccupied(f"{wish.name} is there already, and is not this copy")
        held.labels = wish.labels
        self._tell(wish.name)

    def relabel(self, name: str, labels: Labels) -> None:
        """Keep them."""
        self._check_up()
        self._own(name).labels = labels
        self._tell(name)

    def list_snapshots(self, name: str) -> list[InstanceSnapshot]:
        """As they were made."""
        self._check_up()
        return [InstanceSnapshot(name=one) for one in self._own(name).snapshots]

    def make_snapshot(self, name: str, snapshot: str) -> None:
        """Keep files and note."""
        self._check_up()
        held = self._own(name)
        if snapshot in held.snapshots:
            raise NameOccupied(f"{name} has a snapshot {snapshot} already")
        assert held.labels is not None, "own"
        held.snapshots[snapshot] = (held.labels, held.note, dict(held.files))

    def restore_snapshot(self, name: str, snapshot: str) -> None:
        """Bring files and note back."""
        self._check_up()
        held = self._own(name)
        if held.state not in ("created", "stopped"):
            raise Refused(f"{name} runs", hint="stop it, then restore the snapshot")
        if snapshot not in held.snapshots:
            raise NotThere(f"{name} has no snapshot {snapshot}")
        _, note, files = held.snapshots[snapshot]
        held.note = note
        held.files.clear()
        held.files.update(files)

    def remove_snapshot(self, name: str, snapshot: str) -> None:
        """Forget it."""
        self._check_up()
        self._own(name).snapshots.pop(snapshot, None)

    def read_file(self, name: str, path: str) -> bytes:
        """What `write_file` has written."""
        self._check_up()
        try:
            return self._own(name).files[path]
        except KeyError:
            raise NotThere(f"{name} has no file {path}") from None

    def write_file(self, name: str, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Keep the content."""
        self._check_up()
        self._own(name).files[path] = content

    def open_session(self, name: str, terminal: Terminal) -> Session:
        """Knows `cat`, `echo`, `true` and `false`, and the script of `jobs`."""
        held = self._running(name)
        if terminal.command[:2] == ("sh", RUNNER_PATH):
            environment = held.spec.environment if held.spec else {}
            return ScriptedSession(terminal, held.jobs.ask(terminal.command, environment))
        return ScriptedSession(terminal)

    def console_log(self, name: str) -> bytes:
        """A line for each start."""
        self._check_up()
        return self._own(name).console

    def close(self) -> None:
        """Nothing to let go of."""

    def _instance(self, name: str, *, has_addresses: bool = True) -> Instance:
        held = self._held[name]
        has_address = has_addresses and bool(held.address) and held.state == "running"
        return Instance(
            name=name,
            labels=held.labels,
            state=held.state,
            addresses=(held.address,) if has_address else (),
            started_ms=held.started_ms if held.state == "running" else 0,
            note=held.note,
        )

    def _own(self, name: str) -> _Held:
        if name not in self._held:
            raise NotThere(f"there is no instance {name}")
        if self._held[name].labels is None:
            raise NameOccupied(f"{name} is not Pathfinder's")
        return self._held[name]

    def _running(self, name: str) -> _Held:
        self._check_up()
        held = self._own(name)
        if held.state != "running":
            raise NotThere(f"{name} does not run")
        return held

    def _check_up(self) -> None:
        if self.is_down:
            raise RuntimeDown("the scripted runtime is down")

    @staticmethod
    def _is_half_of(held: _Held, wish: Wish) -> bool:
        return held.labels == replace(wish.labels, digest="")

    def _scripted(self, name: str, verb: Verb) -> str:
        held = self._own(name)
        assert held.labels is not None, "own"
        assert held.spec is not None, "own"
        return self._step(name, verb, held.labels, held.spec.environment)

    def _step(self, name: str, verb: Verb, labels: Labels, environment: Mapping[str, str]) -> str:
        key = (name, labels.generation, verb)
        number = self._begun.get(key, 0)
        self._begun[key] = number + 1
        return step_at(environment.get(f"PF_SCRIPT_{verb.upper()}", ""), number)

    def _next_address(self) -> str:
        self._addresses_given += 1
        return f"{self._subnet}.{1 + self._addresses_given % 250}"

    def _tell(self, name: str) -> None:
        self._changes.append(name)
        if len(self._changes) > CHANGES_MAX:
            half = CHANGES_MAX // 2
            del self._changes[:half]
            self._changes_dropped += half
