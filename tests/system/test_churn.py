"""Server, agent and LXD killed at random moments of a churn. Promises 1, 2, 4, 7 and 8."""

import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pathfinder.client.kinds import CONTAINER, DEPLOYMENT
from pathfinder.model.errors import Conflict, NotFound, PathfinderError
from pathfinder.runtimes.lxdclient.errors import LxdError
from tests.support.lxd import PrivateLxd
from tests.support.platform import Platform, running_platform, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.system]

# PF_TEST_FULL=1 plays the whole story (three minutes): 200 changes, five kills of each.
IS_FULL = bool(os.environ.get("PF_TEST_FULL"))
CHANGES = 200 if IS_FULL else 30
KILLS_EACH = 5 if IS_FULL else 1
SETTLE_S_MAX = 180.0
NAMES = tuple(f"d{number}" for number in range(6))
SINGLES = tuple(f"s{number}" for number in range(4))


@dataclass(slots=True)
class Churn:
    """Whoever changes things, one change after another, each repeated until it is answered."""

    platform: Platform
    luck: random.Random
    replicas: dict[str, int] = field(default_factory=dict)
    singles: set[str] = field(default_factory=set)
    done: int = 0

    def change(self) -> None:
        """One change: scale, redefine, delete, make."""
        if self.luck.random() < 0.7:
            self._deployment(self.luck.choice(NAMES))
        else:
            self._single(self.luck.choice(SINGLES))
        self.done += 1

    def _deployment(self, name: str) -> None:
        if name in self.replicas and self.luck.random() < 0.2:
            self._until_answered(lambda client: client.delete(DEPLOYMENT, name))
            del self.replicas[name]
            return
        count = self.luck.randint(0, 4)
        memory = self.luck.choice((16, 16, 16, 24))
        spec = {"image": "busybox", "network": "none", "resources": {"memory_mib": memory}}
        document = {"kind": "Deployment", "name": name, "replicas": count, "spec": spec}
        document["min_available"] = 0
        self._until_answered(lambda client: client.apply([document]))
        self.replicas[name] = count

    def _single(self, name: str) -> None:
        if name in self.singles:
            self._until_answered(lambda client: client.delete(CONTAINER, name))
            self.singles.discard(name)
            return
        spec = {"image": "busybox", "network": "none"}
        document = {"kind": "Container", "name": name, "spec": spec}
        self._until_answered(lambda client: client.apply([document]))
        self.singles.add(name)

    def _until_answered(self, ask: Callable[[Any], object]) -> None:
        def answered() -> bool:
            try:
                with self.platform.client() as client:
                    ask(client)
            except NotFound:
                return True  # a deletion whose answer was lost
            except Conflict:
                return False  # it is still on its way out
            except PathfinderError as error:
                if error.retry:
                    return False
                raise
            return True

        wait_for(answered, SETTLE_S_MAX, "the change is answered")

    def wanted(self) -> set[str]:
        """The containers that there shall be."""
        replicas = {
            f"{name}-{ordinal:02}"
            for name, count in self.replicas.items()
            for ordinal in range(1, count + 1)
        }
        return replicas | self.singles


@dataclass(slots=True)
class Watch:
    """Looks at the daemon all the time: one process id for each generation, for ever."""

    lxd: PrivateLxd
    pids: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        """Take down which process each running generation has."""
        try:
            for document in self.lxd.client.get("/1.0/instances?recursion=2"):
                pid = (document.get("state") or {}).get("pid", 0)
                generation = document["config"].get("user.pathfinder.generation", "")
                if document["status"] == "Running" and pid > 0:
                    self.pids.setdefault((document["name"], generation), set()).add(pid)
        except (LxdError, OSError):
            return  # it is being killed

    def run(self) -> None:
        """Look until told to stop."""
        while not self.stopping.wait(0.3):
            self.look()


def test_twenty_at_once_and_kills_at_random_moments_lose_double_and_restart_nothing(
    lxd: PrivateLxd, tmp_path: Path
) -> None:
    luck = random.Random(20261122)
    with running_platform(tmp_path, lxd) as platform:
        _twenty_at_once(platform)
        churn, watch = Churn(platform, luck), Watch(lxd)
        watcher = threading.Thread(target=watch.run)
        watcher.start()
        try:
            _churn_with_kills(platform, churn, luck)
            wait_for(lambda: _is_settled(platform, churn), SETTLE_S_MAX, "all is as wanted")
        finally:
            watch.stopping.set()
            watcher.join()

        assert churn.done == CHANGES
        assert set(_instances(lxd)) == churn.wanted()
        assert all(status == "Running" for status in _instances(lxd).values())
        restarted = {key: pids for key, pids in watch.pids.items() if len(pids) > 1}
        assert restarted == {}
        with platform.client() as client:
            revisions = [event["revision"] for event in client.events(limit=5000)]
        assert revisions == sorted(revisions)


def _twenty_at_once(platform: Platform) -> None:
    spec = {"image": "busybox", "network": "none", "type": "STATELESS"}
    document = {"kind": "Deployment", "name": "twenty", "replicas": 20, "spec": spec}
    with platform.client() as client:
        client.apply([document])
        wait_for(lambda: _ready_count(platform) == 20, SETTLE_S_MAX, "20 containers run")
        client.delete(DEPLOYMENT, "twenty")
    wait_for(lambda: _instances(platform.lxd) == {}, SETTLE_S_MAX, "the twenty are gone")


def _churn_with_kills(platform: Platform, churn: Churn, luck: random.Random) -> None:
    restarts = [platform.restart_server, platform.restart_agent, platform.restart_daemon]
    kills = restarts * KILLS_EACH
    luck.shuffle(kills)
    moments = sorted(luck.sample(range(5, CHANGES - 5), len(kills)))
    for number in range(CHANGES):
        if moments and number == moments[0]:
            moments.pop(0)
            killer = threading.Thread(target=kills.pop())
            killer.start()  # while the next changes go on
            churn.change()
            killer.join()
        else:
            churn.change()
    assert kills == []


def _is_settled(platform: Platform, churn: Churn) -> bool:
    try:
        containers = platform.items("container")
    except PathfinderError:
        return False
    wanted = churn.wanted()
    return set(containers) == wanted and all(
        each["ready"] and each["phase"] == "BOOTSTRAPPED" and not each["leaving"]
        for each in containers.values()
    )


def _ready_count(platform: Platform) -> int:
    return sum(each["ready"] for each in platform.items("container").values())


def _instances(lxd: PrivateLxd) -> dict[str, str]:
    return {
        document["name"]: document["status"]
        for document in lxd.client.get("/1.0/instances?recursion=1")
    }
