"""`pfi label`: the labels of a node."""

import click

from pathfinder.cli.command import Command
from pathfinder.cli.completing import complete_node
from pathfinder.cli.session import Session, with_session


@click.command(cls=Command)
@click.argument("name", metavar="NODE", shell_complete=complete_node)
@click.argument("changes", metavar="KEY=VALUE|KEY-...", nargs=-1, required=True)
@with_session
def command(session: Session, name: str, changes: tuple[str, ...]) -> None:
    """Set labels of a node (rack=r1), or take them away (rack-)."""
    from pathfinder.cli.errors import Misused
    from pathfinder.cli.output import print_answer
    from pathfinder.cli.tables import label_text

    labels: dict[str, str | None] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals and not key.endswith("-"):
            raise Misused(f"{change!r} changes no label", hint="write rack=r1, or rack- to remove")
        labels[key if equals else key.removesuffix("-")] = value if equals else None
    name = name.removeprefix("node/")
    answer = session.client.change_node(name, labels=labels)
    now = label_text(answer.get("labels")) or "none"
    print_answer(session, answer, f"node/{name} has the labels: {now}")
