"""One container to another node: with its data where it has any, else made anew there."""

from typing import Final, Literal

from msgspec.structs import replace

from pathfinder.control.objects import Container
from pathfinder.control.transaction import Transaction
from pathfinder.control.workloads import begin_anew
from pathfinder.model.phases import Phase

Way = Literal["relocate", "remake"]
NEVER_RAN: Final = (Phase.SCHEDULED, Phase.PROVISION_ERROR)


def way_of(container: Container) -> Way:
    """How it goes elsewhere; what has never run has nothing to take along."""
    has_data = container.spec.type == "STATEFUL" and container.phase not in NEVER_RAN
    return "relocate" if has_data else "remake"


def remake(tx: Transaction, container: Container, target: str, why: str) -> None:
    """Make it anew, for a node on which its place is kept until the old one has gone."""
    anew = begin_anew(tx, container, container.spec, why=why)
    tx.put(replace(tx.state.get(Container, container.key) or anew, nominated=target))
