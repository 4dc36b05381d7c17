"""Remotes, as sources name or describe them."""

from typing import Any

from pathfinder.api.original import definitions
from pathfinder.api.original.asking import AppAsk
from pathfinder.api.original.envelope import Invalid
from pathfinder.api.original.parameters import Bag
from pathfinder.control.commands import Put
from pathfinder.control.objects import Cluster, Remote
from pathfinder.control.state import State


async def settle_remote(ask: AppAsk, cluster: Cluster, spec: dict[str, Any], given: Bag) -> None:
    """Resolve the remote that a source names; one that it describes is made when it is new.

    What is there already is not changed by it: that is an administrator's, since others use it.
    """
    name = spec["image"].get("remote", "")
    if not name:
        return
    document = definitions.remote_document(cluster.name, given)
    found = await ask.look(lambda c, _: remote_named(c.state, cluster.name, name))
    if found is not None:
        spec["image"]["remote"] = found.name
    elif document is not None:
        await ask.run(Put(document, new=True))
    else:
        raise Invalid("Source", ("remote", f"there is no remote {name!r} in this cluster"))


def remote_named(state: State, cluster: str, name: str) -> Remote | None:
    """A remote by its name, or by the one that it had before it was imported."""
    found = state.get(Remote, f"{cluster}/{name}")
    if found is not None:
        return found
    for remote in state.all(Remote):
        if remote.cluster == cluster and remote.extra.get("original_name") == name:
            return remote
    return None
