"""A cluster as the API shows it: what it has, how its nodes are filled, how its balancing goes."""

from pathfinder.control.life import Life
from pathfinder.control.objects import Cluster, Container, Deployment, Node, Quota
from pathfinder.control.state import State
from pathfinder.control.views import ClusterView
from pathfinder.scheduler.fit import totals


def cluster_view(state: State, life: Life, cluster: Cluster) -> ClusterView:
    """A cluster as the API shows it."""

    def count(kind: type[Node | Deployment | Container]) -> int:
        return sum(thing.cluster == cluster.name for thing in state.all(kind))

    reserved = totals(state.fleet.columns(cluster.name).amounts)
    return ClusterView(
        name=cluster.name,
        nodes=count(Node),
        deployments=count(Deployment),
        containers=count(Container),
        has_password=bool(cluster.password_hash),
        limits=cluster.limits,
        policy=cluster.policy,
        quota_used=Quota(**dict(zip(Quota.__struct_fields__, reserved, strict=True))),
        moves_left=cluster.moves_left,
        moving=_moving(state, life, cluster.name),
        moved_in_hour=sum(name == cluster.name for _, name in life.moved),
        created_ms=cluster.created_ms,
        revision=cluster.revision,
    )


def _moving(state: State, life: Life, cluster: str) -> tuple[str, ...]:
    keys = sorted(life.balancing.get(cluster, ()))
    found = (state.get(Container, key) for key in keys)
    return tuple(each.name for each in found if each is not None and life.is_moving(each))
