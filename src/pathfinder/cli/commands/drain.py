"""`pfi drain`: let everything on a node go elsewhere."""

import click

from pathfinder.cli.command import Command
from pathfinder.cli.completing import complete_node
from pathfinder.cli.session import Session, with_session


@click.command(cls=Command)
@click.argument("name", metavar="NODE", shell_complete=complete_node)
@click.option("--plan", "is_plan", is_flag=True, help="Show what would go where, and do nothing.")
@click.option("--reason", default="", help="Why: it is kept with the event.")
@click.option("--wait", "is_waiting", is_flag=True, help="Wait until the node is empty.")
@click.option(
    "--timeout", "timeout_s", type=float, default=3600.0, show_default=True, metavar="SECONDS"
)
@click.option("--stop", is_flag=True, help="Let the rest stay; what is on its way arrives.")
@with_session
def command(  # noqa: PLR0913 - they are its options, all by keyword
    session: Session,
    name: str,
    *,
    is_plan: bool,
    reason: str,
    is_waiting: bool,
    timeout_s: float,
    stop: bool,
) -> None:
    """Let everything on a node go elsewhere, and nothing new come, until pfi uncordon.

    STATELESS containers are made anew on other nodes, STATEFUL ones go with their data, a few at a
    time, never below min_available. What has no other place runs on, and says what would help.
    """
    from pathfinder.cli.errors import Misused
    from pathfinder.cli.output import print_answer
    from pathfinder.cli.whatif import what_if_lines

    name = name.removeprefix("node/")
    if is_plan + stop + is_waiting > 1:
        raise Misused("--plan, --stop and --wait exclude each other")
    if is_plan:
        answer = session.client.what_if({"drain": [name]})
        print_answer(session, answer, *what_if_lines(answer))
        return
    answer = session.client.change_node(name, draining=not stop, reason=reason)
    if stop:
        print_answer(session, answer, f"node/{name} is drained no more; it stays cordoned")
        return
    count = answer["drain"]["left"]
    print_answer(session, answer, f"node/{name} is being drained: {_to_go(count)}")
    if is_waiting:
        _wait(session, name, timeout_s)


def _to_go(count: int) -> str:
    if count > 1:
        return f"{count} containers go elsewhere"
    return "1 container goes elsewhere" if count else "it has no containers"


def _wait(session: Session, name: str, timeout_s: float) -> None:
    from pathfinder.cli.waiting import DRAINED
    from pathfinder.cli.watching import Awaited, wait_for
    from pathfinder.client.kinds import NODE

    wait_for(
        session,
        [Awaited(kind=NODE, cluster=session.cluster, name=name, wanted=DRAINED)],
        since=session.client.version().get("revision", 0),
        timeout_s=timeout_s,
    )
