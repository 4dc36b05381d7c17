"""Things that another Pathfinder had, put into the state as they were: nothing starts or stops."""

from typing import TypeVar

from msgspec.structs import replace

from pathfinder.control import commands
from pathfinder.control.access import Principal
from pathfinder.control.objects import Cluster, Container, Thing
from pathfinder.control.transaction import Transaction
from pathfinder.control.workloads import generation
from pathfinder.model.errors import NameTaken

T = TypeVar("T", bound=Thing)


def put_all(tx: Transaction, principal: Principal, command: commands.Import) -> Thing:
    """Put all of them, or none; a cluster that is there already has to be empty of such things.

    Nothing follows from it in this transaction: what is to be placed or rolled out is so when the
    server starts, by the same rules as ever.
    """
    principal.require("admin")
    for thing in command.things:
        old = tx.state.get(type(thing), thing.key)
        if isinstance(thing, Cluster) and isinstance(old, Cluster):
            tx.put(_together(old, thing))
            continue
        if old is not None:
            raise NameTaken(
                f"there is a {thing.KIND} {thing.key!r} already: nothing was imported",
                hint="import into a new data directory, or into clusters that have nothing yet",
            )
        tx.put(_numbered(tx, thing))
        name = thing.key.rpartition("/")[2]
        tx.event(
            "imported",
            kind=thing.KIND,
            name=getattr(thing, "name", name) or name,
            cluster=getattr(thing, "cluster", ""),
            node=getattr(thing, "node", "") if isinstance(thing, Container) else "",
        )
    return command.things[0]


def _together(old: Cluster, new: Cluster) -> Cluster:
    """A cluster that `init` has made takes over the imported one's password."""
    return replace(old, password_hash=new.password_hash, extra={**old.extra, **new.extra})


def _numbered(tx: Transaction, thing: T) -> T:
    """A container with numbers of this state: those of its generations are older than any other."""
    if not isinstance(thing, Container):
        return thing
    leaving = tuple(replace(copy, revision=tx.revision) for copy in thing.leaving)
    return replace(
        thing,
        generation=generation(tx),
        round=generation(tx),
        assigned=tx.revision if thing.node else 0,
        leaving=leaving,
    )
