"""Several daemons behind one port: who is asked, what they are together, and who is silent."""

import threading

import pytest

from pathfinder.model.definitions import ContainerSpec, ImageSource, Kind
from pathfinder.model.resources import Resources
from pathfinder.runtimes.port import (
    Change,
    Labels,
    NotThere,
    Refused,
    RuntimeDown,
    RuntimeFacts,
    Terminal,
    Wish,
)
from pathfinder.runtimes.qualified import plain_name, qualified
from pathfinder.runtimes.scripted import Offers, ScriptedRuntime
from pathfinder.runtimes.several import SeveralRuntimes, merged


@pytest.fixture
def offers() -> Offers:
    return {}


@pytest.fixture
def lxd(offers: Offers) -> ScriptedRuntime:
    capacity = Resources(cpu_millis=2000, memory_mib=64)
    return ScriptedRuntime(kinds=("system",), capacity=capacity, offers=offers)


@pytest.fixture
def docker() -> ScriptedRuntime:
    return ScriptedRuntime(kinds=("application",), images=("busybox", "nginx"))


@pytest.fixture
def both(lxd: ScriptedRuntime, docker: ScriptedRuntime) -> SeveralRuntimes:
    return SeveralRuntimes({"lxd": (("system",), lxd), "docker": (("application",), docker)})


def wish(name: str, kind: Kind) -> Wish:
    return Wish(
        name=name,
        labels=Labels(cluster="c", slot=name, generation=1, digest="d"),
        spec=ContainerSpec(kind=kind, image=ImageSource(alias="busybox")),
    )


def test_wish_goes_to_the_daemon_that_runs_its_kind(
    both: SeveralRuntimes, lxd: ScriptedRuntime, docker: ScriptedRuntime
) -> None:
    both.create(wish("web", "application"))
    both.create(wish("db", "system"))

    assert [one.name for one in lxd.everything()] == ["db"]
    assert [one.name for one in docker.everything()] == ["web"]
    assert [one.name for one in both.list_instances("c")] == ["lxd:db", "docker:web"]


def test_kind_that_no_daemon_runs_is_refused(lxd: ScriptedRuntime) -> None:
    alone = SeveralRuntimes({"lxd": (("system",), lxd)})

    with pytest.raises(Refused, match="application containers do not run here"):
        alone.create(wish("web", "application"))


def test_each_verb_asks_the_daemon_that_the_name_tells(
    both: SeveralRuntimes, docker: ScriptedRuntime
) -> None:
    both.create(wish("web", "application"))
    both.start("docker:web")
    both.write_file("docker:web", "/f", b"x")
    both.set_note("docker:web", "n")
    found = both.inspect("docker:web")

    assert found is not None
    assert (found.name, found.state, found.note) == ("docker:web", "running", "n")
    assert both.read_file("web", "/f") == b"x"
    assert both.usage("docker:web").processes == 1
    assert both.console_log("web") == b"web is up\n"
    assert list(both.open_session("web", Terminal(command=("echo", "a"))).frames())
    both.stop("docker:web", grace_s=0)
    both.remove("docker:web")
    assert docker.everything() == []


def test_plain_name_is_that_of_ours_before_that_of_others(
    both: SeveralRuntimes, lxd: ScriptedRuntime
) -> None:
    lxd.add_foreign("web")
    both.create(wish("web", "application"))

    found = both.inspect("web")

    assert found is not None
    assert found.name == "docker:web"
    assert both.inspect("nobody") is None
    with pytest.raises(NotThere):
        both.start("nobody")


def test_plain_name_that_a_silent_daemon_may_have_is_not_said_to_be_absent(
    both: SeveralRuntimes, lxd: ScriptedRuntime
) -> None:
    both.create(wish("web", "application"))
    lxd.is_down = True

    found = both.inspect("web")

    assert found is not None
    with pytest.raises(RuntimeDown):
        both.inspect("nobody")


def test_silent_daemon_is_told_by_its_last_facts(
    both: SeveralRuntimes, lxd: ScriptedRuntime, docker: ScriptedRuntime
) -> None:
    before = both.facts()
    lxd.is_down = True
    after = both.facts()
    docker.is_down = True

    assert before == after
    assert before.kinds == ("system", "application")
    assert before.images == ("busybox", "debian", "nginx")
    with pytest.raises(RuntimeDown):
        both.facts()


def test_daemon_that_has_never_answered_is_left_out(
    both: SeveralRuntimes, lxd: ScriptedRuntime
) -> None:
    lxd.is_down = True

    assert both.facts().kinds == ("application",)


def test_daemons_of_one_machine_share_it() -> None:
    lxd = RuntimeFacts(
        runtime="lxd",
        version="5.0",
        kinds=("system",),
        architecture="x86_64",
        capacity=Resources(cpu_millis=2000, memory_mib=4096, disk_mib=100),
        pool_total_mib=100,
        pool_used_mib=7,
        limits_missing={"disk": "no pool"},
    )
    docker = RuntimeFacts(
        runtime="docker",
        version="20.10",
        kinds=("application",),
        capacity=Resources(cpu_millis=2000, memory_mib=4000, disk_mib=900),
        pool_total_mib=900,
        limits_missing={"disk": "overlay2"},
    )

    together = merged([lxd, docker])

    assert (together.runtime, together.version) == ("lxd,docker", "5.0,20.10")
    assert together.capacity == Resources(cpu_millis=2000, memory_mib=4000, disk_mib=100)
    assert (together.pool_total_mib, together.pool_used_mib) == (100, 7)
    assert together.limits_missing == {"disk": "lxd: no pool; docker: overlay2"}
    assert merged([docker]) == docker


def test_changes_of_all_come_under_their_names_until_one_daemon_goes(
    both: SeveralRuntimes,
) -> None:
    stop = threading.Event()

    first = list(both.changes(stop.is_set))

    assert set(first) <= {Change(name="lxd:"), Change(name="docker:")}
    assert first


def test_changes_say_when_a_daemon_is_not_there(
    both: SeveralRuntimes, lxd: ScriptedRuntime, docker: ScriptedRuntime
) -> None:
    lxd.is_down = docker.is_down = True

    with pytest.raises(RuntimeDown):
        list(both.changes(lambda: False))


def test_name_among_several_gives_the_plain_one_back() -> None:
    assert qualified("docker", "web-01") == "docker:web-01"
    assert plain_name("docker:web-01") == plain_name("web-01") == "web-01"
    assert qualified("", "web-01") == "web-01"


def test_snapshots_and_copies_go_to_the_daemon_that_has_the_instance(
    both: SeveralRuntimes, lxd: ScriptedRuntime, offers: Offers
) -> None:
    both.create(wish("db", "system"))
    both.make_snapshot("lxd:db", "before")
    other = ScriptedRuntime(offers=offers)

    both.restore_snapshot("lxd:db", "before")
    other.pull_copy(wish("db", "system"), both.offer_copy("lxd:db", "10.0.0.1:8443"))
    both.remove("lxd:db")
    both.pull_copy(wish("db", "system"), other.offer_copy("db", "10.0.0.2:8443"))
    both.complete_copy(wish("db", "system"))

    both.start("lxd:db")
    assert [one.name for one in both.list_snapshots("lxd:db")] == ["before"]
    both.remove_snapshot("lxd:db", "before")
    assert lxd.list_snapshots("db") == []
