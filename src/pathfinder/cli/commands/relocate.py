"""`pfi relocate`: move a container with its data to another node."""

import click

from pathfinder.cli.command import Command
from pathfinder.cli.completing import complete_container
from pathfinder.cli.session import Session, with_session


@click.command(cls=Command)
@click.argument("container", shell_complete=complete_container)
@click.argument("node", default="")
@click.option("--cancel", is_flag=True, help="Leave it where it is, when it is being moved.")
@click.option("--wait", "is_waiting", is_flag=True, help="Wait until it has moved.")
@click.option(
    "--timeout", "timeout_s", type=float, default=3600.0, show_default=True, metavar="SECONDS"
)
@click.option("--reason", default="", help="Why: it is kept with the event.")
@with_session
def command(  # noqa: PLR0913 - they are its options, all by keyword
    session: Session,
    container: str,
    node: str,
    *,
    cancel: bool,
    is_waiting: bool,
    timeout_s: float,
    reason: str,
) -> None:
    """Move a container with its data to NODE, or to the node where it fits best.

    It runs while its data is copied, and stops only for what has changed meanwhile. Whatever goes
    wrong, it runs on where it was, and says why.
    """
    from pathfinder.cli.commands.apply import show_outcome
    from pathfinder.cli.errors import Misused
    from pathfinder.cli.kinds import thing_called
    from pathfinder.client.kinds import CONTAINER

    words = (container,) if "/" in container else (CONTAINER.name, container)
    _, name = thing_called(words, (CONTAINER,))
    if cancel and (node or is_waiting):
        raise Misused("--cancel goes with the name of the container alone")
    if cancel:
        answer = session.client.cancel_relocation(name)
        show_outcome(session, answer, f"container/{name} stays on {answer['node']}")
        return
    answer = session.client.relocate(name, node, reason=reason)
    target = (answer.get("relocation") or {}).get("node") or node
    show_outcome(session, answer, f"container/{name} moves from {answer['node']} to {target}")
    if is_waiting:
        _wait(session, name, target, timeout_s)


def _wait(session: Session, name: str, target: str, timeout_s: float) -> None:
    from pathfinder.cli.errors import NotMoved
    from pathfinder.cli.waiting import MOVED
    from pathfinder.cli.watching import Awaited, wait_for
    from pathfinder.client.kinds import CONTAINER

    wait_for(
        session,
        [Awaited(kind=CONTAINER, cluster=session.cluster, name=name, wanted=MOVED)],
        since=session.client.version().get("revision", 0),
        timeout_s=timeout_s,
    )
    after = session.client.get(CONTAINER, name)
    if after["node"] != target:
        raise NotMoved(
            after["relocation_error"] or f"container {name!r} has not moved to {target}",
            hint=after["hint"] or f"pfi describe container {name}",
        )
