"""`pfi explain`: why a container is where it is, or nowhere."""

import click

from pathfinder.cli.command import Command
from pathfinder.cli.completing import complete_container
from pathfinder.cli.session import Session, with_session


@click.command(cls=Command)
@click.argument("name", metavar="CONTAINER", shell_complete=complete_container)
@with_session
def command(session: Session, name: str) -> None:
    """Say why a container is where it is; or why nowhere, and what would make it fit."""
    from pathfinder.cli.descriptions import explanation_lines
    from pathfinder.cli.output import print_answer
    from pathfinder.client.kinds import CONTAINER

    name = name.removeprefix("container/")
    explanation = session.client.explanation(name)
    if session.is_for_programs:
        print_answer(session, explanation)
        return
    item = session.client.get(CONTAINER, name)
    events = session.client.events(kind=CONTAINER.name, name=name, cluster=session.cluster)
    reasons = [event.get("why", "") for event in events if event.get("action") == "scheduled"]
    because = reasons[-1] if reasons else ""
    print_answer(session, explanation, *explanation_lines(item, explanation, because))
