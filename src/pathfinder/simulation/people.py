"""People of a simulated world: they ask, ask again when unanswered, and change their minds.

Each person owns one deployment or container and has one request under way, repeated until it is
answered: so at the end it is certain what everybody wants.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pathfinder.control.access import Principal
from pathfinder.control.commands import (
    CancelRelocation,
    Command,
    Delete,
    Put,
    Rebootstrap,
    Relocate,
    Request,
    Reschedule,
    Scale,
)
from pathfinder.model.errors import PathfinderError
from pathfinder.simulation.timeline import Timeline

Ask = Callable[[Request, Callable[[bytes | PathfinderError], None]], None]
AGAIN_MS = 3_000
# Another name than the platform's own: what that does by itself keeps what must stay ready.
PERSON = Principal(name="a person", role="admin")


def _addresses_of(name: str) -> str:
    return f"$pf-meta:deployment_ip_addresses?deployment_name={name}"


@dataclass(slots=True)
class Person:
    """Owner of one thing. `wants`: its last document that was accepted; None: nothing.

    refers: the deployments whose addresses its definitions may need. priorities: the luck by which
    they have one, or None.
    """

    name: str
    is_deployment: bool
    timeline: Timeline
    ask: Ask
    refers: tuple[str, ...] = ()
    priorities: Random | None = None
    replicas_max: int = 4
    wants: dict[str, Any] | None = None
    busy: bool = False
    asked: int = 0
    acknowledged: int = 0
    refusals: list[str] = field(default_factory=list)

    def change_mind(self) -> None:
        """Ask for something else, unless the last request is still unanswered."""
        if self.busy:
            return
        luck = self.timeline.luck
        if self.wants is None or luck.random() < 0.45:
            self._put()
        elif self.is_deployment and luck.random() < 0.5:
            self._scale()
        elif luck.random() < 0.4:
            self._relocate()
        elif luck.random() < 0.5:
            self._reschedule()
        elif luck.random() < 0.5 and self.wants["spec"].get("bootstrap"):
            self._rebootstrap()
        else:
            command = Delete(
                kind="deployment" if self.is_deployment else "container",
                cluster="c",
                name=self.name,
            )
            self._ask(command, None)

    def forget(self) -> None:
        """The server was restored from a backup: what was asked before does not count."""
        self.busy = False
        self.asked += 1

    def _put(self) -> None:
        luck = self.timeline.luck
        spec: dict[str, Any] = {
            "type": luck.choice(("STATEFUL", "STATELESS")),
            "image": luck.choice(("busybox", "debian")),
            "resources": {"memory_mib": luck.choice((100, 200, 300)), "cpu_millis": 100},
            "network": "none",
        }
        if luck.random() < 0.2:
            spec["constraints"] = [luck.choice(("rack = r1", "rack != r1"))]
        if luck.random() < 0.4:
            spec["bootstrap"] = [
                {"type": "shell", "script": luck.choice(("a", "b")), "tries": luck.randint(1, 3)}
                for _ in range(luck.randint(1, 2))
            ]
        document: dict[str, Any] = {
            "kind": "Container",
            "cluster": "c",
            "name": self.name,
            "spec": spec,
        }
        if self.is_deployment:
            spec |= self._calls()
            replicas = luck.randint(0, self.replicas_max)
            document = document | {
                "kind": "Deployment",
                "replicas": replicas,
                "min_available": luck.randint(0, max(replicas - 1, 0)),
            }
        if self.priorities is not None:
            document["priority"] = self.priorities.choice((0, 0, 1, 5))
        self._ask(Put(document=document), document)

    def _calls(self) -> dict[str, Any]:
        """Some need the addresses of others: in environments never in a circle, for good reason."""
        luck = self.timeline.luck
        spec: dict[str, Any] = {"network": luck.choice(("none", "default", "default"))}
        if self.refers and luck.random() < 0.5:
            other = luck.choice(self.refers)
            spec["environment"] = {
                "NUMBER": "$pf-meta:container_id",
                "OTHERS": _addresses_of(other),
            }
        if self.refers and luck.random() < 0.5:
            attributes = {"others": _addresses_of(luck.choice((*self.refers, self.name)))}
            spec["bootstrap"] = [{"type": "chef-solo", "tries": 2, "attributes": attributes}]
        return spec

    def _scale(self) -> None:
        assert self.wants is not None
        replicas = self.timeline.luck.randint(0, self.replicas_max + 1)
        floor = min(self.wants["min_available"], max(replicas - 1, 0))
        wants = {**self.wants, "replicas": replicas, "min_available": floor}
        self._ask(Scale(cluster="c", name=self.name, replicas=replicas), wants)

    def _relocate(self) -> None:
        name = f"{self.name}-01" if self.is_deployment else self.name
        if self.timeline.luck.random() < 0.15:
            self._ask(CancelRelocation(cluster="c", name=name), self.wants)
        else:
            self._ask(Relocate(cluster="c", name=name), self.wants)

    def _reschedule(self) -> None:
        name = f"{self.name}-01" if self.is_deployment else self.name
        self._ask(Reschedule(cluster="c", name=name), self.wants)

    def _rebootstrap(self) -> None:
        name = f"{self.name}-01" if self.is_deployment else self.name
        self._ask(Rebootstrap(cluster="c", name=name), self.wants)

    def _ask(self, command: Command, wants: dict[str, Any] | None) -> None:
        self.busy = True
        self.asked += 1
        key = f"{self.name}-{self.asked}"
        request = Request(
            principal=PERSON, command=command, idempotency_key=key, request_digest=key
        )

        def answered(answer: bytes | PathfinderError) -> None:
            if not self.busy or key != f"{self.name}-{self.asked}":
                return
            self.busy = False
            if isinstance(answer, PathfinderError):
                self.refusals.append(answer.code)
            else:
                self.acknowledged += 1
                self.wants = wants

        def send() -> None:
            if self.busy and key == f"{self.name}-{self.asked}":
                self.ask(request, answered)
                self.timeline.after(AGAIN_MS, send)

        send()
