"""The LXD runtime when things break: each request once, the daemon at any moment, all at once.

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
from pathlib import Path

import pytest

from pathfinder.model.definitions import ContainerSpec, ImageSource
from pathfinder.runtimes.lxd import LxdRuntime
from pathfinder.runtimes.port import Labels, OutcomeUnknown, RuntimeDown, RuntimeFailure, Wish
from tests.support.cutting_proxy import Moment, cutting_proxy
from tests.support.lxd import PrivateLxd, private_lxd, why_not
from tests.support.processes import wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]

NAME = "anomaly-01"
CLUSTER = "anomaly"
ATTEMPTS_MAX = 8


@pytest.fixture(scope="module")
def lxd() -> Iterator[PrivateLxd]:
    """One of its own: what becomes of a daemon that is killed all the time harms no other test."""
    if reason := why_not():
        pytest.skip(reason)
    with private_lxd() as daemon:
        yield daemon


@pytest.fixture
def daemon(lxd: PrivateLxd) -> Iterator[PrivateLxd]:
    yield lxd
    lxd.remove_instances()


@pytest.fixture
def runtime(daemon: PrivateLxd) -> Iterator[LxdRuntime]:
    runtime = LxdRuntime(daemon.socket_path)
    yield runtime
    runtime.close()


def wish(name: str = NAME, digest: str = "d") -> Wish:
    return Wish(
        name=name,
        labels=Labels(cluster=CLUSTER, slot=name, generation=1, digest=digest),
        spec=ContainerSpec(image=ImageSource(alias="busybox")),
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


def state_of(runtime: LxdRuntime) -> str:
    instances = runtime.list_instances(CLUSTER)
    assert len(instances) <= 1, instances
    return instances[0].state if instances else "absent"


def life_through(path: str, outside: LxdRuntime) -> list[str]:
    """The states that an instance goes through when all is asked through `path`."""
    states = []
    with closing(LxdRuntime(path)) as runtime:
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
    daemon: PrivateLxd, runtime: LxdRuntime, tmp_path: Path, moment: Moment
) -> None:
    for cut in itertools.count(1):
        path = str(tmp_path / f"{cut}.socket")
        with cutting_proxy(path, daemon.socket_path, cut=cut, moment=moment) as proxy:
            states = life_through(path, runtime)

        assert states == ["created", "running", "stopped", "absent"], f"request {cut} was lost"
        if proxy.seen < cut:
            break


@pytest.mark.parametrize("after_ms", [5, 30, 60, 90])
def test_daemon_killed_while_it_makes_an_instance(
    daemon: PrivateLxd, runtime: LxdRuntime, after_ms: int
) -> None:
    runtime.facts()

    kill_during(daemon, after_ms, lambda: runtime.create(wish()))
    insist(lambda: runtime.create(wish()))
    runtime.start(NAME)

    assert state_of(runtime) == "running"


@pytest.mark.parametrize("after_ms", [60, 180, 220])
def test_daemon_killed_while_it_starts_an_instance(
    daemon: PrivateLxd, runtime: LxdRuntime, after_ms: int
) -> None:
    runtime.create(wish())

    kill_during(daemon, after_ms, lambda: runtime.start(NAME))
    insist(lambda: runtime.start(NAME))

    assert state_of(runtime) == "running"


@pytest.mark.parametrize("after_ms", [15, 660])
def test_daemon_killed_while_it_removes_an_instance(
    daemon: PrivateLxd, runtime: LxdRuntime, after_ms: int
) -> None:
    runtime.create(wish())
    runtime.start(NAME)

    kill_during(daemon, after_ms, lambda: runtime.remove(NAME))
    insist(lambda: runtime.remove(NAME))
    absent = state_of(runtime)
    runtime.create(wish())

    assert (absent, state_of(runtime)) == ("absent", "created")


def kill_during(daemon: PrivateLxd, after_ms: int, verb: Callable[[], None]) -> None:
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
    daemon: PrivateLxd, runtime: LxdRuntime
) -> None:
    runtime.create(wish())
    runtime.start(NAME)
    before = daemon.client.get(f"/1.0/instances/{NAME}/state")["pid"]

    with daemon.killed(), pytest.raises(RuntimeDown):
        runtime.list_instances(CLUSTER)

    assert daemon.client.get(f"/1.0/instances/{NAME}/state")["pid"] == before
    assert state_of(runtime) == "running"


def test_changes_end_when_the_daemon_is_killed(daemon: PrivateLxd, runtime: LxdRuntime) -> None:
    changes = runtime.changes(lambda: False)
    next(changes)

    with daemon.killed():
        rest = list(changes)

    assert rest == []


def test_hanging_daemon_is_told_within_the_bound(daemon: PrivateLxd) -> None:
    impatient = LxdRuntime(daemon.socket_path, call_s_max=1.0)
    impatient.facts()

    with daemon.frozen():
        with pytest.raises(RuntimeDown):
            impatient.list_instances(CLUSTER)
        with pytest.raises(OutcomeUnknown):
            impatient.create(wish())
    insist(lambda: impatient.create(wish()))

    assert state_of(impatient) == "created"
    impatient.close()


def test_same_wish_from_many_threads_makes_one_instance(runtime: LxdRuntime) -> None:
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


def test_stop_right_after_start_of_many(runtime: LxdRuntime) -> None:
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
    daemon: PrivateLxd, runtime: LxdRuntime
) -> None:
    # LXD tells the end at once, but is busy with it for another half second.
    runtime.create(wish())
    runtime.start(NAME)

    os.kill(daemon.client.get(f"/1.0/instances/{NAME}/state")["pid"], signal.SIGKILL)
    wait_until(lambda: state_of(runtime) == "stopped", 10, "the end is told")
    runtime.remove(NAME)

    assert state_of(runtime) == "absent"
