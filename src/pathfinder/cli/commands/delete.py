"""`pfi delete`."""

import click

from pathfinder.cli.command import Command
from pathfinder.cli.completing import complete_kind
from pathfinder.cli.session import Session, with_session


@click.command(cls=Command)
@click.argument(
    "words", metavar="KIND NAME...", nargs=-1, required=True, shell_complete=complete_kind
)
@click.option(
    "--force",
    is_flag=True,
    help="For a node: I confirm that it is dead; what ran there may start elsewhere.",
)
@click.option("--dry-run", is_flag=True, help="Show what would happen, and do nothing.")
@click.option("--wait", is_flag=True, help="Wait until nothing is left of it.")
@click.option("--timeout", "timeout_s", type=float, default=120.0, show_default=True)
@with_session
def command(
    session: Session,
    words: tuple[str, ...],
    *,
    force: bool,
    dry_run: bool,
    wait: bool,
    timeout_s: float,
) -> None:
    """Delete things, with what they hold: pfi delete container web, pfi delete deployment/web."""
    from pathfinder.cli.commands.apply import show_outcome
    from pathfinder.cli.kinds import thing_called
    from pathfinder.client.kinds import CONTAINER, DEPLOYMENT, EVENT, KINDS

    among = tuple(kind for kind in KINDS if kind is not EVENT)
    if "/" in words[0]:
        things = [thing_called((word,), among) for word in words]
    else:
        things = [thing_called((words[0], word), among) for word in words[1:] or ("",)]
    revision = 0
    for kind, name in things:
        answer = session.client.delete(kind, name, force=force, dry_run=dry_run)
        revision = answer.get("revision", revision)
        is_leaving = kind in (CONTAINER, DEPLOYMENT) and answer.get("phase") != "DELETED"
        word = "is being deleted" if is_leaving else "deleted"
        where = f" on {answer['node']}" if is_leaving and answer.get("node") else ""
        show_outcome(session, answer, f"{kind.name}/{name} {word}{where}")
    if wait and not dry_run:
        from pathfinder.cli.waiting import DELETED
        from pathfinder.cli.watching import Awaited, wait_for

        gone = [
            Awaited(kind=kind, cluster=session.cluster, name=name, wanted=DELETED)
            for kind, name in things
        ]
        wait_for(session, gone, since=revision, timeout_s=timeout_s)
