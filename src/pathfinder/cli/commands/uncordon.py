"""`pfi uncordon`."""

import click

from pathfinder.cli.command import Command
from pathfinder.cli.completing import complete_node
from pathfinder.cli.session import Session, with_session


@click.command(cls=Command)
@click.argument("name", metavar="NODE", shell_complete=complete_node)
@with_session
def command(session: Session, name: str) -> None:
    """Let containers come to a node again."""
    from pathfinder.cli.output import print_answer

    answer = session.client.change_node(name.removeprefix("node/"), cordoned=False)
    print_answer(
        session,
        answer,
        f"node/{name.removeprefix('node/')} is uncordoned: containers may come again",
    )
