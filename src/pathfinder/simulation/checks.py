"""The promises of ARCHITECTURE.md, checked against the ground truth of a simulated world."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

from pathfinder.agent.effects import Call, Remove, Start, Stop
from pathfinder.control.controller import Controller
from pathfinder.control.objects import Container, Deployment
from pathfinder.control.placing import request_of
from pathfinder.control.preempting import keeps_data
from pathfinder.control.rendering import rendered
from pathfinder.control.settling import change_of
from pathfinder.control.state import Change, State
from pathfinder.model.phases import Phase
from pathfinder.runtimes.port import Instance, Labels, NotThere
from pathfinder.runtimes.scripted import ScriptedRuntime
from pathfinder.runtimes.scripted_jobs import ScriptedJobs
from pathfinder.scheduler.draft import Placement
from pathfinder.scheduler.place import place
from pathfinder.wire.messages import Assignment


class Broken(AssertionError):
    """A promise does not hold; the message says which and where."""


REPLACED_MS_MAX = 5_000
HISTORY = "/history"
Held = Mapping[str, list[Instance]]  # node -> what its daemon has


def check_room(
    node: str, running: Iterable[tuple[str, Labels]], state: State, cluster: str, capacity_mib: int
) -> None:
    """Promise 5, in ground truth: what runs on a node fits there.

    Not for a state that came back from an older backup: it does not know what newer ones take.
    """
    used = 0
    for name, labels in running:
        container = state.get(Container, f"{cluster}/{name}")
        if container is not None and _is_current(container, labels, node):
            used += container.spec.resources.memory_mib
    if used > capacity_mib:
        raise Broken(f"promise 5: {node} runs {used} MiB and has {capacity_mib}")


def check_copies(
    running: Iterable[str], state: State, cluster: str, *, is_restored: bool = False
) -> None:
    """Promise 2, in ground truth: never two of a STATEFUL container, among all that run of a name.

    STATELESS ones may be two for a while, after their node was lost. A state that came back from an
    older backup does not know which were STATELESS, or had been abandoned.
    """
    for name, count in Counter(running).items():
        if count < 2:
            continue
        container = state.get(Container, f"{cluster}/{name}")
        if container is None:
            may_be_two = is_restored
        else:
            is_unknown = container.spec.type == "STATELESS" or bool(container.leaving)
            is_abandoned = any(copy.abandoned for copy in container.leaving)
            may_be_two = is_abandoned or (is_restored and is_unknown)
        if not may_be_two:
            raise Broken(f"promise 2: {name} runs {count} times")


def _is_current(container: Container, labels: Labels, node: str) -> bool:
    return container.generation == labels.generation and container.node == node


class Data:
    """Relocation loses nothing: each run of a STATEFUL container finds what all before it wrote."""

    def __init__(self) -> None:
        self._written: dict[bytes, bytes] = {}  # by what its first run wrote: all of it
        self._run_count = 0

    def check_start(self, state: State, key: str, runtime: ScriptedRuntime) -> None:
        """An instance has been started, if it is one: it reads, and then adds a line."""
        container, name = state.get(Container, key), key.partition("/")[2]
        instance = runtime.instance(name)
        is_stateful = container is not None and container.spec.type == "STATEFUL"
        if not is_stateful or instance is None or instance.state != "running":
            return
        try:
            found = runtime.read_file(name, HISTORY)
        except NotThere:
            found = b""
        first = found.partition(b"\n")[0]
        if found and self._written[first] != found:
            raise Broken(f"relocation: {name} has {found!r}, and had {self._written[first]!r}")
        self._run_count += 1
        found += f"{self._run_count}\n".encode()
        self._written[found.partition(b"\n")[0]] = found
        runtime.write_file(name, HISTORY, found)


def check_lost(controller: Controller, now_ms: int) -> None:
    """Promise 3: nothing STATELESS waits for a lost node, unless too many were lost at once.

    An append may fail, and is then made again by the next tick.
    """
    life = controller.life
    if life.recovering:
        return
    for key in life.lost:
        lost_ms = life.node(key).lost_ms
        if lost_ms is None or now_ms - lost_ms < REPLACED_MS_MAX:
            continue
        for container in controller.state.on_node(key):
            is_there = container.node_key == key and container.wanted
            if not is_there or container.spec.type == "STATEFUL":
                continue
            if "at once" not in container.why:
                raise Broken(f"promise 3: {container.key} waits for {key}, which is lost")


def check_leases(controller: Controller, has_lease: Callable[[str], bool]) -> None:
    """Promise 2: what the leader holds for lost has no lease, whoever may have renewed it.

    has_lease: by the key of a node.
    """
    for key in controller.life.lost:
        if has_lease(key):
            raise Broken(f"promise 2: {key} is held for lost, and has a lease")


def check_call(
    state: State | None, cluster: str, node: str, call: Call, before: Instance | None
) -> None:
    """Promises 1, 4 and 7: nothing that is wanted is stopped, nothing that is not ours touched."""
    if not isinstance(call, (Start, Stop, Remove)) or before is None:
        return
    if before.labels is None:
        raise Broken(f"promise 7: {call} on {before.name}, which is not ours")
    if state is None or isinstance(call, Start) or before.state != "running":
        return
    container = state.get(Container, f"{cluster}/{before.name}")
    moves = container is not None and (
        container.is_halted or container.arriving is not None or bool(container.relocation_error)
    )
    if moves and isinstance(call, Stop):
        return  # also one that was on its way when a relocation ended: it is started again
    if container is not None and container.wanted and _is_current(container, before.labels, node):
        raise Broken(f"promise 1: {call} although {before.name} is wanted on {node}")


def check_removal(state: State, key: str, told: Assignment | None, before: Instance | None) -> None:
    """Promise 1: a restored state follows what nodes know better; nothing goes for what is older.

    told: what the node was told of it. Half-made ones may go.
    """
    container = state.get(Container, key)
    if container is None or told is None or before is None or before.labels is None:
        return
    is_wanted = container.wanted and not told.hold and told.generation == container.generation
    if is_wanted and before.labels.digest and before.labels.generation > told.generation:
        raise Broken(f"promise 1: {before} goes for generation {told.generation}, which is older")


def check_change(change: Change) -> None:
    """Promise 1: generations, rounds and phases grow."""
    for edit in change.edits:
        before, after = edit.before, edit.after
        if isinstance(before, Container) and isinstance(after, Container):
            _check_growth(before, after)
    _check_preempted(change)


def _check_preempted(change: Change) -> None:
    """Whoever makes room for another keeps its data: it moves with it, or it stays."""
    anew = {
        event.name
        for event in change.events
        if event.action == "replacing" and event.why.startswith("makes room for")
    }
    for edit in change.edits:
        was = edit.before
        if isinstance(was, Container) and was.name in anew and keeps_data(was):
            raise Broken(f"data: {edit.key} was begun anew to make room")


def _check_growth(before: Container, after: Container) -> None:
    old = (before.generation, before.round, before.phase)
    new = (after.generation, after.round, after.phase)
    if new < old:
        raise Broken(f"promise 1: {after.key} went from {old} to {new}")
    if new[0] == old[0] and after.digest != before.digest:
        raise Broken(f"promise 1: {after.key} changed within generation {old[0]}")
    if before.node and after.node != before.node and not _is_leaving(after, before):
        raise Broken(f"promise 2: {after.key} left {before.node} without a trace")


def _is_leaving(after: Container, before: Container) -> bool:
    return any(copy.node == before.node for copy in after.leaving)


def check_decision(change: Change, controller: Controller) -> None:
    """Promise 6: what the platform itself takes away leaves enough ready ones.

    As soon as it is decided: what is decided right after it, and appended with it, may be a
    person's wish, or a node that is heard again.
    """
    life = controller.life
    # Not taken away by a rollout: what its node says is not ready, or knows better after a restore.
    is_serving: dict[str, bool] = {}
    for event in change.events:
        if event.action in ("ready", "unready", "adopted"):
            is_serving[event.name] = event.action == "ready"
    taken: Counter[str] = Counter()
    for edit in change.edits:
        before, after = edit.before, edit.after
        if not isinstance(before, Container) or not before.deployment:
            continue
        served = is_serving.get(before.name, life.is_ready(before))
        if served and not (isinstance(after, Container) and life.is_ready(after)):
            taken[before.group] += 1
    for group in taken:
        deployment = controller.state.get(Deployment, group)
        if deployment is None or not deployment.wanted:
            continue
        ready = sum(life.is_ready(each) for each in controller.state.replicas(group))
        if ready < deployment.min_available:
            raise Broken(
                f"promise 6: {group} has {ready} ready, {deployment.min_available} must stay: "
                f"{change.events}"
            )


def check_jobs(where: str, jobs: ScriptedJobs) -> None:
    """One after another, each once; a step again only after it failed; nothing after the end."""
    if jobs.refused:
        raise Broken(f"bootstrap: {jobs.refused} on {where} were to begin beside {jobs.begun}")
    for before, after in pairwise(jobs.begun):
        old, new = _numbers(before.key), _numbers(after.key)
        if not before.end:
            raise Broken(f"bootstrap: {after} began on {where} while {before} ran")
        is_next_round = new[0] > old[0] and new[1:] == (1, 1)
        is_next_step = new == (old[0], old[1] + 1, 1) and before.exit_code == 0
        is_next_try = new == (old[0], old[1], old[2] + 1) and before.exit_code != 0
        if not (is_next_round or is_next_step or is_next_try):
            raise Broken(f"bootstrap: {after} began on {where} after {before}")


def check_bootstrapped(change: Change, jobs_of: Callable[[Container], ScriptedJobs | None]) -> None:
    """Only the end of its present round makes a container BOOTSTRAPPED, never that of an older."""
    for edit in change.edits:
        before, after = edit.before, edit.after
        if not isinstance(after, Container) or not after.spec.bootstrap or not after.node:
            continue
        was_so = isinstance(before, Container) and before.phase == Phase.BOOTSTRAPPED
        if after.phase != Phase.BOOTSTRAPPED or was_so:
            continue
        jobs = jobs_of(after)
        last = jobs.begun[-1] if jobs is not None and jobs.begun else None
        if last is not None and _numbers(last.key)[0] < after.round:
            raise Broken(f"bootstrap: {after.key} is told done, round {after.round}, after {last}")


def check_bootstraps(state: State, node: str, jobs: Mapping[str, ScriptedJobs | None]) -> None:
    """After the faults: the wanted round of every container has ended, as its node says."""
    for container in state.all(Container):
        steps = container.spec.bootstrap
        if container.node != node or not steps or _is_held_back(state, container):
            continue
        found = jobs.get(container.name)
        last = found.begun[-1] if found is not None and found.begun else None
        if last is None or _numbers(last.key)[0] != container.round:
            raise Broken(f"settled: {container.key} has not run round {container.round}: {last}")
        _, step, attempt = _numbers(last.key)
        is_done = step == len(steps) and last.exit_code == 0
        has_failed = attempt == steps[step - 1].tries and last.exit_code != 0
        expected = Phase.BOOTSTRAPPED if is_done else Phase.BOOTSTRAP_ERROR
        if not (is_done or has_failed) or container.phase != expected:
            raise Broken(f"settled: {container.key} is {container.phase.name} after {last}")


def _is_held_back(state: State, container: Container) -> bool:
    """It waits for a deployment that is not there, as its own deployment's `last_error` says."""
    deployment = state.get(Deployment, container.group)
    return (
        deployment is not None
        and bool(deployment.last_error)
        and not container.round
        and container.phase == Phase.PROVISIONED
    )


def _cannot_go_on(state: State, container: Container) -> bool:
    """Its deployment says in `last_error` why it cannot, and waits for a person."""
    deployment = state.get(Deployment, container.group)
    return deployment is not None and bool(deployment.last_error) and container.wanted


def _numbers(key: str) -> tuple[int, ...]:
    return tuple(map(int, key.split("-")))


def check_settled(
    state: State, held: Held, foreign: Iterable[str], wants: Mapping[str, dict[str, object] | None]
) -> None:
    """After the faults: what people want runs wherever there is room, and nothing else does."""
    _check_wishes(state, wants)
    expected = set()
    for container in state.all(Container):
        has_failed = container.phase == Phase.BOOTSTRAP_ERROR
        cannot_go_on = has_failed or _cannot_go_on(state, container)
        if cannot_go_on:
            # What a lost node had runs on there until the one that is made elsewhere is ready.
            left = [copy for copy in container.leaving if copy.abandoned]
            expected |= {(copy.node, container.name, copy.generation) for copy in left}
        elif container.leaving or not container.wanted:
            raise Broken(f"settled: {container.key} is still on its way out: {container}")
        if container.node:
            expected.add((container.node, container.name, container.generation))
            is_ready = container.phase == Phase.BOOTSTRAPPED and container.ready
            # One whose tries have all failed waits for a person.
            if not (is_ready or cannot_go_on):
                raise Broken(f"settled: {container.key} is {container.phase.name}: {container}")
        elif not container.explanation:
            raise Broken(f"settled: {container.key} is pending without a reason: {container}")
        elif isinstance(place(state.fleet, [request_of(state, container)])[0], Placement):
            raise Broken(f"settled: {container.key} is pending, and there is room: {container}")
    found = {
        (node, instance.name, instance.labels.generation)
        for node, instances in held.items()
        for instance in instances
        if instance.labels is not None
    }
    _check_reached(state, held)
    if found != expected:
        raise Broken(f"settled: missing {expected - found}, surplus {found - expected}")
    kept = {
        instance.name
        for instances in held.values()
        for instance in instances
        if instance.labels is None and instance.state == "running"
    }
    if kept != set(foreign):
        raise Broken(f"promise 7: of {set(foreign)}, which are not ours, {kept} run")


def _check_reached(state: State, held: Held) -> None:
    """Everything is told to be where it is reached, also where that has changed by itself."""
    addresses = {
        (node, instance.name): instance.addresses
        for node, instances in held.items()
        for instance in instances
    }
    for container in state.all(Container):
        there = addresses.get((container.node, container.name), ())
        if container.ready and there and container.addresses != there:
            raise Broken(f"settled: {container.key} is at {there}, not {container.addresses}")


def _check_wishes(state: State, wants: Mapping[str, dict[str, object] | None]) -> None:
    """Promise 1: every acknowledged wish is in the state, and none that was not made."""
    for name, document in wants.items():
        deployment = state.get(Deployment, f"c/{name}")
        container = state.get(Container, f"c/{name}")
        thing = deployment or container
        if document is None:
            if thing is not None:
                raise Broken(f"promise 1: {name} was deleted, and is there: {thing}")
            continue
        if thing is None:
            raise Broken(f"promise 1: {name} was accepted, and is not there")
        if deployment is not None and deployment.replicas != document["replicas"]:
            raise Broken(f"promise 1: {name} has {deployment.replicas} replicas, not {document}")
        if deployment is not None:
            replicas = state.replicas(deployment.key)
            if deployment.last_error:
                _check_trouble(state, deployment)
                continue
            all_ready = all(each.ready for each in replicas)
            ordinals = sorted(each.ordinal for each in replicas)
            # One that finds no room may hold up the others: it says so, and must not be forced.
            if all_ready and ordinals != [*range(1, deployment.replicas + 1)]:
                raise Broken(f"settled: {name} has {[each.name for each in replicas]}")
            outdated = [
                each
                for each in replicas
                if change_of(each, rendered(state, deployment, each.ordinal))[0] != "none"
            ]
            if outdated and all_ready:
                raise Broken(f"settled: {name} has replicas of an old definition")
            if all_ready:
                _check_addresses(state, replicas, document)


def _check_trouble(state: State, deployment: Deployment) -> None:
    """One that says that it cannot go on is right, and lets go of what is surplus all the same."""
    others = [state.get(Deployment, f"{deployment.cluster}/{name}") for name in deployment.refers]
    if all(other is not None and other.wanted for other in others):
        raise Broken(f"settled: {deployment.key} refers to {others}, and says {deployment}")
    replicas = state.replicas(deployment.key)
    surplus = [each for each in replicas if each.ordinal > deployment.replicas]
    # One too many stays while it is needed for `min_available`.
    floor = min(deployment.min_available, deployment.replicas)
    is_needed = sum(each.ready for each in replicas) <= floor
    if any(not (each.ready and is_needed) for each in surplus):
        raise Broken(f"settled: {deployment.key} has {[each.name for each in replicas]}")


def _check_addresses(
    state: State, replicas: Iterable[Container], document: Mapping[str, object]
) -> None:
    """What a replica was made with is its number, and the addresses that the others have now."""
    spec = document["spec"]
    assert isinstance(spec, dict)
    if "environment" not in spec:
        return
    other = spec["environment"]["OTHERS"].partition("deployment_name=")[2]
    there = state.get(Deployment, f"c/{other}")
    addresses = ",".join(
        each.address
        for each in state.replicas(f"c/{other}")
        # One too many stays while it is needed for `min_available`, and is nobody's address.
        if each.address and there is not None and each.ordinal <= there.replicas
    )
    for each in replicas:
        expected = {"NUMBER": str(each.ordinal), "OTHERS": addresses}
        if each.spec.environment != expected:
            raise Broken(f"settled: {each.key} has {each.spec.environment}, not {expected}")
