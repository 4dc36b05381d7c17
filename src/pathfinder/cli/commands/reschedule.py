"""`pfi reschedule`: make a container anew, where it fits best."""

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
    """Make a container anew, on the node where it fits best now. Its root disk starts afresh."""
    from pathfinder.cli.commands.apply import show_outcome
    from pathfinder.cli.kinds import thing_called
    from pathfinder.client.kinds import CONTAINER

    if len(words) == 1 and "/" not in words[0]:
        words = (CONTAINER.name, words[0])
    _, name = thing_called(words, (CONTAINER,))
    answer = session.client.reschedule(name, reason=reason)
    where = f"on {answer['node']}" if answer.get("node") else "when it has a node"
    why = f": {answer['why']}" if answer.get("why") else ""
    show_outcome(session, answer, f"container/{name} is made anew {where}{why}")
