"""`pfi cordon`."""

import click

from pathfinder.cli.command import Command
from pathfinder.cli.completing import complete_node
from pathfinder.cli.session import Session, with_session


@click.command(cls=Command)
@click.argument("name", metavar="NODE", shell_complete=complete_node)
@with_session
def command(session: Session, name: str) -> None:
    """Let no new containers come to a node; those that are there stay."""
    from pathfinder.cli.output import print_answer

    answer = session.client.change_node(name.removeprefix("node/"), cordoned=True)
    print_answer(
        session, answer, f"node/{name.removeprefix('node/')} is cordoned: no new containers come"
    )
