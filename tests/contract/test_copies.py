"""Copies of an instance between two daemons, and snapshots: one suite, LXD and scripted.

Promise 7: what a copy that did not end leaves is known as half made, and goes away.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from pathfinder.model.definitions import ContainerSpec, ImageSource
from pathfinder.runtimes.docker import DockerRuntime
from pathfinder.runtimes.lxd import LxdRuntime
from pathfinder.runtimes.lxdclient.commands import run_command
from pathfinder.runtimes.port import (
    Labels,
    NameOccupied,
    NotThere,
    Offer,
    Refused,
    Runtime,
    RuntimeFailure,
    Wish,
)
from pathfinder.runtimes.scripted import Offers, ScriptedRuntime
from tests.support.lxd import PrivateLxd, private_lxd
from tests.support.processes import wait_until

NAME = "web-01"
FILE = "/root/kept"
MADE = Labels(cluster="copies", slot=NAME, generation=7, digest="0123456789abcdef")
WISH = Wish(name=NAME, labels=MADE, spec=ContainerSpec(image=ImageSource(alias="busybox")))
COPY = replace(WISH, labels=replace(MADE, generation=8))


@dataclass(frozen=True)
class Pair:
    """Two daemons that do not know each other. `address`: where others reach the source."""

    source: Runtime
    target: Runtime
    address: str


@pytest.fixture(scope="module")
def second_lxd(lxd: PrivateLxd) -> Iterator[PrivateLxd]:
    assert lxd.answers()
    with private_lxd() as daemon:
        yield daemon


@pytest.fixture(
    params=["scripted", pytest.param("lxd", marks=[pytest.mark.system, pytest.mark.slow])]
)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    if request.param == "scripted":
        offers: Offers = {}
        source, target = ScriptedRuntime(offers=offers), ScriptedRuntime(offers=offers)
        yield Pair(source, target, "10.0.0.1:8443")
        return
    first: PrivateLxd = request.getfixturevalue("lxd")
    second: PrivateLxd = request.getfixturevalue("second_lxd")
    address = first.listen().removeprefix("https://")
    one, other = LxdRuntime(first.socket_path), LxdRuntime(second.socket_path)
    yield Pair(one, other, address)
    for daemon, runtime in ((first, one), (second, other)):
        daemon.remove_instances()
        runtime.close()
    first.client.request("PATCH", "/1.0", {"config": {"core.https_address": ""}})


def labels_at(runtime: Runtime) -> Labels | None:
    found = runtime.inspect(NAME)
    return found.labels if found else None


def start_source(pair: Pair, content: bytes = b"first") -> None:
    pair.source.create(WISH)
    pair.source.start(NAME)
    pair.source.write_file(NAME, FILE, content)
    pair.source.set_note(NAME, "bootstrapped")


def test_running_instance_is_copied_refreshed_and_runs_elsewhere(pair: Pair) -> None:
    start_source(pair)
    pair.target.pull_copy(COPY, pair.source.offer_copy(NAME, pair.address))
    pair.source.write_file(NAME, FILE, b"last words")
    pair.source.stop(NAME, grace_s=0)
    pair.target.pull_copy(COPY, pair.source.offer_copy(NAME, pair.address))
    pair.target.complete_copy(COPY)
    pair.target.start(NAME)

    found = pair.target.inspect(NAME)
    assert found is not None
    assert (found.state, found.labels, found.note) == ("running", COPY.labels, "bootstrapped")
    assert pair.target.read_file(NAME, FILE) == b"last words"
    assert labels_at(pair.source) == MADE


def test_copy_that_is_not_complete_cannot_start_and_is_told_as_half_made(pair: Pair) -> None:
    start_source(pair)
    pair.target.pull_copy(COPY, pair.source.offer_copy(NAME, pair.address))

    listed = pair.target.list_instances("copies")
    assert [one.labels for one in listed] == [replace(COPY.labels, digest="")]
    with pytest.raises(NotThere):
        pair.target.start(NAME)
    pair.target.remove(NAME)
    assert pair.target.inspect(NAME) is None


def test_half_made_copy_is_made_anew_where_one_is_created(pair: Pair) -> None:
    start_source(pair)
    pair.target.pull_copy(COPY, pair.source.offer_copy(NAME, pair.address))

    pair.target.create(COPY)

    pair.target.start(NAME)
    assert labels_at(pair.target) == COPY.labels
    with pytest.raises(NotThere):
        pair.target.read_file(NAME, FILE)


def test_completing_twice_is_success_and_nothing_complete_is_written_over(pair: Pair) -> None:
    start_source(pair)
    pair.target.pull_copy(COPY, pair.source.offer_copy(NAME, pair.address))
    pair.target.complete_copy(COPY)

    pair.target.complete_copy(COPY)

    with pytest.raises(NameOccupied):
        pair.target.pull_copy(COPY, pair.source.offer_copy(NAME, pair.address))


def test_snapshots_travel_and_leave_the_labels_as_they_are(pair: Pair) -> None:
    start_source(pair)
    pair.source.make_snapshot(NAME, "before")
    pair.source.write_file(NAME, FILE, b"changed")
    pair.target.pull_copy(COPY, pair.source.offer_copy(NAME, pair.address))
    pair.target.complete_copy(COPY)

    assert [one.name for one in pair.target.list_snapshots(NAME)] == ["before"]
    pair.target.restore_snapshot(NAME, "before")
    assert pair.target.read_file(NAME, FILE) == b"first"
    assert labels_at(pair.target) == COPY.labels


def test_instance_gets_other_labels(pair: Pair) -> None:
    start_source(pair)

    pair.source.relabel(NAME, COPY.labels)

    assert labels_at(pair.source) == COPY.labels
    with pytest.raises(NotThere):
        pair.target.relabel(NAME, COPY.labels)


def test_offer_is_taken_once(pair: Pair) -> None:
    start_source(pair)
    offer = pair.source.offer_copy(NAME, pair.address)
    pair.target.pull_copy(COPY, offer)

    with pytest.raises(RuntimeFailure):
        pair.target.pull_copy(COPY, offer)
    assert labels_at(pair.target) == replace(COPY.labels, digest="")


def test_secrets_of_an_offer_are_not_shown(pair: Pair) -> None:
    start_source(pair)

    offer = pair.source.offer_copy(NAME, pair.address)

    assert repr(offer) == f"Offer(runtime={offer.runtime!r})"


def test_offer_of_what_is_not_there_and_copies_of_another_kind_are_refused(pair: Pair) -> None:
    with pytest.raises(NotThere):
        pair.source.offer_copy(NAME, pair.address)
    with pytest.raises(NotThere):
        pair.target.complete_copy(COPY)
    with pytest.raises(Refused):
        pair.target.pull_copy(COPY, Offer(runtime="other", details={}))


def test_snapshot_brings_a_stopped_instance_back(pair: Pair) -> None:
    start_source(pair)
    pair.source.make_snapshot(NAME, "before")
    pair.source.write_file(NAME, FILE, b"changed")

    with pytest.raises(Refused, match="runs"):
        pair.source.restore_snapshot(NAME, "before")
    pair.source.stop(NAME, grace_s=0)
    pair.source.restore_snapshot(NAME, "before")

    assert pair.source.read_file(NAME, FILE) == b"first"
    assert labels_at(pair.source) == MADE


def test_snapshots_are_listed_oldest_first_once_each_and_removed(pair: Pair) -> None:
    start_source(pair)
    pair.source.make_snapshot(NAME, "b")
    pair.source.make_snapshot(NAME, "a")

    with pytest.raises(NameOccupied):
        pair.source.make_snapshot(NAME, "a")
    assert [one.name for one in pair.source.list_snapshots(NAME)] == ["b", "a"]
    pair.source.remove_snapshot(NAME, "b")
    pair.source.remove_snapshot(NAME, "b")
    assert [one.name for one in pair.source.list_snapshots(NAME)] == ["a"]
    pair.source.stop(NAME, grace_s=0)
    with pytest.raises(NotThere):
        pair.source.restore_snapshot(NAME, "b")


def is_busy_with_it(daemon: PrivateLxd) -> bool:
    """Whether the daemon says that it works on the instance."""
    running = daemon.client.get("/1.0/operations?recursion=1").get("running") or ()
    resources = [operation.get("resources") or {} for operation in running]
    return any(f"/1.0/instances/{NAME}" in (each.get("instances") or ()) for each in resources)


@pytest.mark.system
@pytest.mark.slow
def test_copy_that_is_under_way_is_waited_for(lxd: PrivateLxd, second_lxd: PrivateLxd) -> None:
    """As of an agent that died. LXD 5.0 crashes where one offer is taken twice at once."""
    source, target = LxdRuntime(lxd.socket_path), LxdRuntime(second_lxd.socket_path)
    source.create(WISH)
    source.start(NAME)
    run_command(lxd.client, NAME, ("dd", "if=/dev/urandom", f"of={FILE}", "bs=1M", "count=100"))
    offer = source.offer_copy(NAME, lxd.listen().removeprefix("https://"))
    first = threading.Thread(target=target.pull_copy, args=(COPY, offer))
    first.start()
    wait_until(lambda: is_busy_with_it(second_lxd) or not first.is_alive(), 30, "it has begun")

    with pytest.raises(RuntimeFailure):
        target.pull_copy(COPY, offer)
    first.join()

    assert labels_at(target) == replace(COPY.labels, digest="")
    found = source.inspect(NAME)
    assert found is not None
    assert found.state == "running"
    source.close()
    target.close()
    for daemon in (lxd, second_lxd):
        daemon.remove_instances()
    lxd.client.request("PATCH", "/1.0", {"config": {"core.https_address": ""}})


@pytest.mark.system
@pytest.mark.slow
def test_source_that_cannot_be_reached_is_named_and_leaves_nothing(
    lxd: PrivateLxd, second_lxd: PrivateLxd
) -> None:
    source, target = LxdRuntime(lxd.socket_path), LxdRuntime(second_lxd.socket_path)
    source.create(WISH)
    with pytest.raises(Refused, match="listens at no address"):
        source.offer_copy(NAME, "127.0.0.1:1")
    lxd.listen()

    with pytest.raises(RuntimeFailure, match=r"no way to 127\.0\.0\.1:1: ") as caught:
        target.pull_copy(COPY, source.offer_copy(NAME, "127.0.0.1:1"))

    assert "127.0.0.1:1" in caught.value.hint
    assert target.inspect(NAME) is None
    source.close()
    target.close()
    lxd.remove_instances()
    lxd.client.request("PATCH", "/1.0", {"config": {"core.https_address": ""}})


def test_docker_says_that_it_copies_nothing() -> None:
    docker = DockerRuntime("/nowhere")

    for ask in (
        lambda: docker.offer_copy(NAME, "10.0.0.1:8443"),
        lambda: docker.pull_copy(COPY, Offer(runtime="docker", details={})),
        lambda: docker.complete_copy(COPY),
        lambda: docker.make_snapshot(NAME, "before"),
        lambda: docker.restore_snapshot(NAME, "before"),
    ):
        with pytest.raises(Refused, match="Docker copies no containers"):
            ask()
