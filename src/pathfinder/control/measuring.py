"""What nodes and containers are measured to use, for balancing: of a whole cluster, or not at all.

What is measured on one node and what is reserved on another cannot be compared: the node that has
not measured yet would look fuller than it is, and be emptied for nothing.
"""

from typing import Final

import msgspec

from pathfinder.control.life import Life, NodeLife, Shift
from pathfinder.control.objects import Cluster, Container, Node
from pathfinder.control.policies import are_measured
from pathfinder.control.state import State
from pathfinder.scheduler.fit import names_of_takers

USES_MIN: Final = 4  # a minute at default settings: one burst is not a load
YOUNG_MS: Final = 600_000  # after which a node that has measured nothing is not waited for
NAMES_SHOWN_MAX: Final = 3


class Used(msgspec.Struct):
    """What nodes (by name) and containers (by key) of a cluster use; both empty: it is reserved.

    unmeasured: the nodes that take containers and whose missing measurements are the reason.
    """

    nodes: dict[str, tuple[int, int]]
    containers: dict[str, tuple[int, int]]
    unmeasured: tuple[str, ...] = ()

    def move(self, use: tuple[int, int], source: str, target: str) -> None:
        """So much is used on another node from now on."""
        self._add(source, (-use[0], -use[1]))
        self._add(target, use)

    def _add(self, node: str, use: tuple[int, int]) -> None:
        if node in self.nodes:
            cpu, memory = self.nodes[node]
            self.nodes[node] = (max(cpu + use[0], 0), max(memory + use[1], 0))

    def foresee(self, life: Life, shift: Shift) -> bool:
        """Count a move as done in measurements from before it; whether there still are any."""
        is_seen = True
        for node, sign in ((shift.source, -1), (shift.target, 1)):
            heard = life.nodes.get(f"{shift.cluster}/{node}")
            uses = heard.uses if heard is not None else ()
            before = sum(use.revision < shift.revision for use in uses)
            if before:
                is_seen = False
                cpu, memory = (sign * each * before // len(uses) for each in shift.use)
                self._add(node, (cpu, memory))
        if not is_seen:
            # What has just started there uses less than it will.
            self.containers[f"{shift.cluster}/{shift.name}"] = shift.use
        return not is_seen

    def note(self) -> str:
        """Why it is what is reserved that counts in a cluster that measures; "": it is not so."""
        if not self.unmeasured:
            return ""
        shown = ", ".join(self.unmeasured[:NAMES_SHOWN_MAX])
        more = len(self.unmeasured) - NAMES_SHOWN_MAX
        shown += f" and {more} more" if more > 0 else ""
        verb = "has" if len(self.unmeasured) == 1 else "have"
        return f"by what is reserved: {shown} {verb} not measured for long enough what is used"


def used(state: State, life: Life, cluster: str) -> Used:
    """What is measured, when every node that takes containers has measured, and else nothing.

    Nothing either in a cluster whose policy does not need it. What has been moved counts where it
    is: else the means of five minutes would have more moved than was planned.
    """
    policy = state.get(Cluster, cluster)
    if policy is None or not are_measured(policy):
        return Used({}, {})
    names = names_of_takers(state.fleet, cluster)
    unmeasured = tuple(name for name in names if not _has_measured(life, f"{cluster}/{name}"))
    if unmeasured:
        return Used({}, {}, unmeasured)
    nodes, containers = {}, {}
    for node in state.all(Node):
        heard = life.nodes.get(node.key)
        if node.cluster == cluster and heard is not None and heard.uses:
            count = len(heard.uses)
            nodes[node.name] = (
                sum(use.cpu_millis for use in heard.uses) // count,
                sum(use.memory_mib for use in heard.uses) // count,
            )
            containers.update(_used_by_containers(cluster, heard))
    found = Used(nodes, containers)
    for shift in list(life.shifts):
        is_over = _is_back(state, shift)
        if shift.cluster == cluster and (is_over or not found.foresee(life, shift)):
            life.shifts.remove(shift)
    return found


def is_about_to_measure(
    state: State, life: Life, cluster: str, measured: Used, uptime_ms: int, now_ms: int
) -> bool:
    """Whether it is worth waiting for what is still unmeasured: the server or a node is young."""
    if not measured.unmeasured:
        return False
    if uptime_ms - life.began_ms < YOUNG_MS:
        return True
    nodes = (state.get(Node, f"{cluster}/{name}") for name in measured.unmeasured)
    # One that joined before the wall clock was set back is not young until it has caught up.
    return any(node is not None and 0 <= now_ms - node.created_ms < YOUNG_MS for node in nodes)


def _is_back(state: State, shift: Shift) -> bool:
    """Whether the move did not come about, or has been taken back."""
    container = state.get(Container, f"{shift.cluster}/{shift.name}")
    if container is None:
        return True
    return container.node == shift.source and container.arriving is None


def _has_measured(life: Life, key: str) -> bool:
    heard = life.nodes.get(key)
    return heard is not None and len(heard.uses) >= USES_MIN


def _used_by_containers(cluster: str, heard: NodeLife) -> dict[str, tuple[int, int]]:
    return {
        f"{cluster}/{slot}": (max(use.cpu_millis, 0), max(use.memory_mib, 0))
        for slot, use in heard.usage_by_slot.items()
    }
