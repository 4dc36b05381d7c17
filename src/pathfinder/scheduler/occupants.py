"""A container as somebody who may have to leave its node, and what is there again without it."""

from dataclasses import dataclass

from pathfinder.model.resources import Resources
from pathfinder.scheduler.fit import RESOURCE_OF_CODE
from pathfinder.scheduler.fleet import claims, numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupant:
    """A container on a node. name "": it is on its way out already."""

    name: str
    priority: int
    need: Resources
    group: str = ""
    stateful: bool = False
    ports: tuple[str, ...] = ()
    is_available: bool = True

    def frees(self, code: str) -> int:
        """How much of what is short is there again when it has gone."""
        if code in RESOURCE_OF_CODE:
            return numbers(self.need)[RESOURCE_OF_CODE[code]]
        if code == "stateful_max":
            return int(self.stateful)
        if code == "containers_max":
            return 1
        return dict(claims(self.need, self.ports)).get(code, 0)
