"""`pfi rebootstrap`: bootstrap a container again where it runs."""

import click

from pathfinder.cli.command import Command
from pathfinder.cli.completing import complete_container
from pathfinder.cli.session import Session, with_session


@click.command(cls=Command)
@click.argument(
    "words", metavar="[container] NAME", nargs=-1, required=True, shell_complete=complete_container
)
@click.option("--reason", default="", help="Why: it is kept with the event.")
@with_session
def command(session: Session, words: tuple[str, ...], *, reason: str) -> None:
    """Bootstrap a container again where it runs, by its own steps. Its disk stays as it is."""
    from pathfinder.cli.commands.apply import show_outcome
    from pathfinder.cli.kinds import thing_called
    from pathfinder.client.kinds import CONTAINER

    if len(words) == 1 and "/" not in words[0]:
        words = (CONTAINER.name, words[0])
    _, name = thing_called(words, (CONTAINER,))
    answer = session.client.rebootstrap(name, reason=reason)
    where = f"on {answer['node']}" if answer.get("node") else "when it has a node"
    show_outcome(session, answer, f"container/{name} is bootstrapped again {where}")
