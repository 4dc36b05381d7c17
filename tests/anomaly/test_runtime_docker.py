"""The Docker runtime when things break: each request once, the daemon at any moment, all at once.

What is asserted is what the agent builds on: repeating a verb whose outcome is unknown ends in what
was wished, with one instance and never two, and nothing half-made stays.

Promises 4, 7, 8 and 11.
"""

import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from pathfinder.model.definitions import ContainerSpec, ImageSource
from pathfinder.model.resources import Resources
from pathfinder.runtimes.docker import DockerRuntime
from pathfinder.runtimes.port import Labels, OutcomeUnknown, RuntimeDown, RuntimeFailure, Wish
from tests.support.cutting_proxy import Moment, cutting_proxy
from tests.support.dockerd import PrivateDocker, private_docker, why_not
from tests.support.processes import wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]

NAME = "anomaly-01"
CLUSTER = "anomaly"
ATTEMPTS_MAX = 8


@pytest.fixture(scope="module")
def docker() -> Iterator[PrivateDocker]:
    """One of its own: what becomes of a daemon that is killed all the time harms no other test."""
    if reason := why_not():
        pytest.skip(reason)
    with private_docker() as daemon:
        yield daemon


@pytest.fixture
def daemon(docker: PrivateDocker) -> Iterator[PrivateDocker]:
    yield docker
    docker.remove_containers()


@pytest.fixture
def runtime(daemon: PrivateDocker) -> Iterator[DockerRuntime]:
    runtime = DockerRuntime(daemon.socket_path)
    yield runtime
    runtime.close()


def wish(name: str = NAME, digest: str = "d") -> Wish:
    return Wish(
        name=name,
        labels=Labels(cluster=CLUSTER, slot=name, generation=1, digest=digest),
        spec=ContainerSpec(kind="application", image=ImageSource(alias="busybox")),
    )


def insist(verb: Callable[[], None]) -> None:
    """What the agent does: again, when it is not known what came of it."""
    for _ in range(ATTEMPTS_MAX):
        try:
            verb()
        except (OutcomeUnknown, RuntimeDown):
            continue
        return
    raise AssertionError(f"not within {ATTEMPTS_MAX} attempts")


def state_of(runtime: DockerRuntime) -> str:
    instances = runtime.list_instances(CLUSTER)
    assert len(instances) <= 1, instances
    return instances[0].state if instances else "absent"


def life_through(path: str, outside: DockerRuntime) -> list[str]:
    """The states that an instance goes through when all is asked through `path`."""
    states = []
    with closing(DockerRuntime(path)) as runtime:
        for verb in (
            lambda: runtime.create(wish()),
            lambda: runtime.start(NAME),
            lambda: runtime.stop(NAME, grace_s=1),
            lambda: runtime.remove(NAME),
        ):
            insist(verb)
            states.append(state_of(outside))
    return states


@pytest.mark.parametrize("moment", ["before", "after"])
def test_each_request_may_be_lost_once(
    daemon: PrivateDocker, runtime: DockerRuntime, tmp_path: Path, moment: Moment
) -> None:
    for cut in itertools.count(1):
        path = str(tmp_path / f"{cut}.socket")
        with cutting_proxy(path, daemon.socket_path, cut=cut, moment=moment) as proxy:
            states = life_through(path, runtime)

        assert states == ["created", "running", "stopped", "absent"], f"request {cut} was lost"
        if proxy.seen < cut:
            break


@pytest.mark.parametrize("after_ms", [1, 3, 6, 9])
def test_daemon_killed_while_it_makes_an_instance(
    daemon: PrivateDocker, runtime: DockerRuntime, after_ms: int
) -> None:
    runtime.facts()

    kill_during(daemon, after_ms, lambda: runtime.create(wish()))
    insist(lambda: runtime.create(wish()))
    runtime.start(NAME)

    assert state_of(runtime) == "running"


@pytest.mark.parametrize("after_ms", [5, 40, 80, 120])
def test_daemon_killed_while_it_starts_an_instance(
    daemon: PrivateDocker, runtime: DockerRuntime, after_ms: int
) -> None:
    runtime.create(wish())

    kill_during(daemon, after_ms, lambda: runtime.start(NAME))
    insist(lambda: runtime.start(NAME))

    assert state_of(runtime) == "running"


@pytest.mark.parametrize("after_ms", [2, 10])
def test_daemon_killed_while_it_removes_an_instance(
    daemon: PrivateDocker, runtime: DockerRuntime, after_ms: int
) -> None:
    runtime.create(wish())
    runtime.start(NAME)

    kill_during(daemon, after_ms, lambda: runtime.remove(NAME))
    insist(lambda: runtime.remove(NAME))
    absent = state_of(runtime)
    runtime.create(wish())

    assert (absent, state_of(runtime)) == ("absent", "created")


def kill_during(daemon: PrivateDocker, after_ms: int, verb: Callable[[], None]) -> None:
    """Kill the daemon `after_ms` into a verb, whose outcome nobody knows then, and start it."""
    killer = threading.Timer(after_ms / 1000, daemon.kill)
    killer.start()
    try:
        with suppress(OutcomeUnknown, RuntimeDown):
            verb()
    finally:
        killer.join()
        daemon.start()


def test_running_instance_does_not_notice_that_the_daemon_is_killed(
    daemon: PrivateDocker, runtime: DockerRuntime
) -> None:
    runtime.create(wish())
    runtime.start(NAME)
    before = daemon.pid(NAME)

    with daemon.killed(), pytest.raises(RuntimeDown):
        runtime.list_instances(CLUSTER)

    assert daemon.pid(NAME) == before
    assert state_of(runtime) == "running"


def test_changes_end_when_the_daemon_is_killed(
    daemon: PrivateDocker, runtime: DockerRuntime
) -> None:
    changes = runtime.changes(lambda: False)
    next(changes)

    with daemon.killed():
        rest = list(changes)

    assert rest == []


def test_hanging_daemon_is_told_within_the_bound(daemon: PrivateDocker) -> None:
    impatient = DockerRuntime(daemon.socket_path, call_s_max=1.0)
    impatient.facts()

    with daemon.frozen():
        with pytest.raises(RuntimeDown):
            impatient.list_instances(CLUSTER)
        with pytest.raises(OutcomeUnknown):
            impatient.create(wish())
    insist(lambda: impatient.create(wish()))

    assert state_of(impatient) == "created"
    impatient.close()


def test_same_wish_from_many_threads_makes_one_instance(runtime: DockerRuntime) -> None:
    failures: list[str] = []

    def make() -> None:
        try:
            runtime.create(wish())
            runtime.start(NAME)
        except RuntimeFailure as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert state_of(runtime) == "running"


def test_stop_right_after_start_of_many(runtime: DockerRuntime) -> None:
    names = [f"many-{number:02}" for number in range(8)]
    failures: list[str] = []

    def live(name: str) -> None:
        try:
            runtime.create(wish(name))
            runtime.start(name)
            runtime.stop(name, grace_s=0)
            runtime.start(name)
            runtime.remove(name)
        except RuntimeFailure as error:
            failures.append(f"{name}: {error!r}")

    threads = [threading.Thread(target=live, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert runtime.list_instances(CLUSTER) == []


def test_instance_whose_init_ended_can_be_removed_at_once(
    daemon: PrivateDocker, runtime: DockerRuntime
) -> None:
    runtime.create(wish())
    runtime.start(NAME)

    os.kill(daemon.pid(NAME), signal.SIGKILL)
    wait_until(lambda: state_of(runtime) == "stopped", 10, "the end is told")
    runtime.remove(NAME)

    assert state_of(runtime) == "absent"


def test_without_live_restore_containers_end_with_their_daemon_and_that_was_said() -> None:
    with private_docker(live_restore=False) as daemon:
        runtime = DockerRuntime(daemon.socket_path)
        (warning,) = runtime.facts().warnings
        runtime.create(wish())
        runtime.start(NAME)

        with daemon.killed():
            pass
        ended = runtime.inspect(NAME)
        runtime.start(NAME)

        assert "live-restore" in warning
        assert ended is not None
        assert (ended.state, bool(ended.ended)) == ("stopped", True)
        assert state_of(runtime) == "running"
        runtime.close()


def test_with_live_restore_nothing_is_warned_of(runtime: DockerRuntime) -> None:
    assert runtime.facts().warnings == ()


def test_end_for_want_of_memory_is_told_as_that(runtime: DockerRuntime) -> None:
    greedy = ContainerSpec(
        kind="application",
        image=ImageSource(alias="busybox"),
        command=("sh", "-c", "x=1; while :; do x=$x$x; done"),
        resources=Resources(memory_mib=16),
    )
    runtime.create(replace(wish(), spec=greedy))
    runtime.start(NAME)

    wait_until(lambda: state_of(runtime) == "stopped", 30, "the end is told")

    ended = runtime.inspect(NAME)
    assert ended is not None
    assert ended.ended == "was killed for want of memory (exit code 137)"
