"""`pathfinder import`: the original's database, from a dump, into a data directory.

Works on the store itself while no server runs on it, in one append: all or nothing. Nothing starts
or stops by it, and the original's agents and apps go on with the credentials that they have.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from pathfinder.control.commands import Import
from pathfinder.control.objects import Cluster, Deployment, Node, Remote, Thing, Token
from pathfinder.server.clock import Clock
from pathfinder.server.files import DataDirectory
from pathfinder.server.initialise import Foundation
from pathfinder.server.original import translation
from pathfinder.server.original.containers import containers
from pathfinder.server.original.dump import Tables, read_dump
from pathfinder.server.original.translation import SEEDED_SECRET, Found
from pathfinder.server.trouble import Trouble
from pathfinder.store.port import Store

STEPS: Final[tuple[translation.Step, ...]] = (
    translation.clusters,
    translation.remotes,
    translation.nodes,
    translation.deployments,
    containers,
    translation.ext_apps,
)
PROBLEMS_SHOWN: Final = 20


def found_in(tables: Tables) -> Found:
    """Everything that the tables hold, in our terms."""
    found = Found()
    for step in STEPS:
        step(found, tables)
    for cluster in found.cluster_of.values():
        if _is_seeded(cluster.password_hash):
            found.notes.append(
                f"cluster {cluster.name} has the password that every original was installed with: "
                "set another once its agents have registered (pathfinder init "
                "--cluster-password-file)"
            )
    return found


def import_dump(
    dump: Path,
    data_directory: Path,
    open_store: Callable[[Path], Store],
    clock: Clock,
    *,
    dry_run: bool,
) -> Iterator[str]:
    """Take over a dump, or with `dry_run` only say what would be; lines for the person."""
    found = found_in(read_dump(dump))
    if not found.things:
        raise Trouble(f"{dump} holds no clusters: there is nothing to take over")
    yield from plan_lines(found)
    if found.problems:
        raise Trouble(
            f"{len(found.problems)} problem{'s' * (len(found.problems) > 1)}: nothing was imported",
            hint="put them right in the original, and dump again",
        )
    directory = DataDirectory(data_directory)
    if not directory.journal.exists():
        raise Trouble(
            f"there is no Pathfinder state in {directory.root}",
            hint=f"pathfinder init --data-dir {directory.root} --admin-token-file F",
        )
    store = open_store(directory.journal)
    try:
        foundation = Foundation(store, clock)
        foundation.run(Import(tuple(found.things)), dry_run=dry_run)
    finally:
        store.close()
    if dry_run:
        yield "nothing was changed: this was a dry run"
        return
    yield f"imported into {directory.root}; nothing was started or stopped"
    yield f"next: pathfinder server --data-dir {directory.root} --listen HOST:PORT"


def plan_lines(found: Found) -> Iterator[str]:
    """What an import takes over, by kind, then what the person should know."""
    of_node = Counter(
        thing.node_key for thing in found.things if hasattr(thing, "node_key") and thing.node_key
    )
    remotes: dict[str, Remote] = {}
    for thing in found.things:
        if isinstance(thing, Remote):
            remotes.setdefault(thing.name, thing)
        elif line := _line(thing, of_node):
            yield line
    for remote in remotes.values():
        yield f"remote      {remote.name}: {remote.protocol} at {remote.server}, in every cluster"
    for (cluster, status), count in sorted(found.statuses.items()):
        yield f"containers  {count} {status} in {cluster}"
    for note in found.notes:
        yield f"note: {note}"
    for problem in found.problems[:PROBLEMS_SHOWN]:
        yield f"problem: {problem}"
    if len(found.problems) > PROBLEMS_SHOWN:
        yield f"problem: {len(found.problems) - PROBLEMS_SHOWN} more like these"


def _line(thing: Thing, of_node: Counter[str]) -> str:
    match thing:
        case Cluster():
            kept = "its password is kept" if thing.password_hash else "without a password"
            return f"cluster     {thing.name}: {kept}"
        case Node():
            cordoned = ", not schedulable" if thing.cordoned else ""
            return f"node        {thing.key}: {of_node[thing.key]} containers{cordoned}"
        case Deployment():
            return f"deployment  {thing.key}: {thing.replicas} replica{'s' * (thing.replicas != 1)}"
        case Token():
            return f"ext_app     {thing.name}: its token is kept, as {thing.id}"
        case _:
            return ""


def _is_seeded(password_hash: str) -> bool:
    import bcrypt

    try:
        return bcrypt.checkpw(SEEDED_SECRET.encode(), password_hash.encode())
    except ValueError:
        return False
