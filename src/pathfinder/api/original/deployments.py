"""Routes of deployments, as BaritoMarket uses them: many at once, all or none."""

from typing import Any, Final

from pathfinder.api.original import definitions, envelope
from pathfinder.api.original.asking import AppAsk, find_cluster
from pathfinder.api.original.envelope import Answer, Invalid
from pathfinder.api.original.objects import container_v2
from pathfinder.api.original.parameters import Bag, part, text
from pathfinder.api.original.remotes import settle_remote
from pathfinder.control.commands import Apply
from pathfinder.control.controller import Controller
from pathfinder.control.objects import Cluster, Deployment
from pathfinder.model.definitions import REPLICAS_MAX
from pathfinder.model.names import HOSTNAME

DEPLOYMENTS_MAX: Final = 500
REPLICAS_DEFAULT: Final = 1
MIN_AVAILABLE_DEFAULT: Final = 1


async def batch(ask: AppAsk) -> Answer:
    """Make or change deployments, all of them or none; what is not said stays as it is."""
    given = ask.bag.get("deployments")
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise Invalid("Deployment", ("deployments", "can't be blank"))
    if len(given) > DEPLOYMENTS_MAX:
        raise Invalid("Deployment", ("deployments", f"are more than {DEPLOYMENTS_MAX}"))
    documents = [await _document(ask, each) for each in given]
    if documents:
        await ask.run(Apply(tuple(documents)))
    return Answer(b"", 204)


async def _document(ask: AppAsk, given: Bag) -> dict[str, Any]:
    cluster_name = text(given, "cluster_name") or ask.text("cluster_name")
    cluster = await ask.look(lambda c, _: find_cluster(c.state, cluster_name))
    ask.caller.require("write", cluster.name)
    name = text(given, "name")
    if not HOSTNAME.fullmatch(name):
        raise Invalid("Deployment", ("name", "is invalid" if name else "can't be blank"))
    old = await ask.look(lambda c, _: c.state.get(Deployment, f"{cluster.name}/{name}"))
    replicas = _count(given, "desired_num_replicas", old.replicas if old else REPLICAS_DEFAULT)
    floor = old.min_available if old else MIN_AVAILABLE_DEFAULT
    floor = _count(given, "min_available_replicas", floor)
    return {
        "kind": "Deployment",
        "cluster": cluster.name,
        "name": name,
        "labels": dict(old.labels) if old else {},
        "replicas": replicas,
        # More than there are can stay ready no less than all of them can.
        "min_available": min(floor, replicas),
        "spec": await _spec(ask, cluster, given, old),
    }


def _count(given: Bag, name: str, usual: int) -> int:
    value = given.get(name, usual)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:4])
    if value is None:
        return usual
    if isinstance(value, bool) or not isinstance(value, int):
        raise Invalid("Deployment", (name, "is not a number"))
    if value < 0:
        raise Invalid("Deployment", (name, "must be greater than or equal to 0"))
    if value > REPLICAS_MAX:
        raise Invalid("Deployment", (name, f"must be less than or equal to {REPLICAS_MAX}"))
    return value


async def _spec(
    ask: AppAsk, cluster: Cluster, given: Bag, old: Deployment | None
) -> dict[str, Any]:
    definition = part(given, "definition")
    if not definition:
        if old is None:
            raise Invalid("Deployment", ("definition", "can't be blank"))
        return old.spec.document()
    spec = definitions.from_v2(definition)
    await settle_remote(ask, cluster, spec, part(part(definition, "source"), "remote"))
    return spec


async def containers(ask: AppAsk) -> Answer:
    """The replicas of a deployment; without a cluster's name, of the first that has its name."""
    name = ask.text("name")
    cluster = (await ask.scope("read")).name if ask.text("cluster_name") else ""
    ask.caller.require("read", cluster or next(iter(ask.caller.clusters), ""))

    def listed(controller: Controller, _: int) -> Answer:
        state = controller.state
        keys = sorted(
            found.key
            for found in state.all(Deployment)
            if found.name == name
            and (found.cluster == cluster if cluster else ask.caller.sees(found.cluster))
        )
        if not keys:
            raise envelope.missing("Deployment", name)
        shown = [container_v2(state, each) for each in state.replicas(keys[0])]
        return envelope.bare({"containers": shown})

    return await ask.look(listed)
