"""`pfi explain`: why a container is where it is, or nowhere."""

import click

from pathfinder.cli.command import Command
from pathfinder.cli.completing import complete_container
from pathfinder.cli.session import Session, with_session


@click.command(cls=Command)
@click.argument("name", metavar="CONTAINER", shell_complete=complete_container)
@with_session
def command(session: Session, name: str) -> None:
    """Say why a container is where it is; or why nowhere, and what would make it fit.

    Of one that is gone: who or what ended it.
    """
    from pathfinder.cli.descriptions import explanation_lines
    from pathfinder.cli.output import print_answer

    name = name.removeprefix("container/")
    explanation = session.client.explanation(name)
    if session.is_for_programs:
        print_answer(session, explanation)
        return
    print_answer(session, explanation, *explanation_lines(explanation, explanation))
