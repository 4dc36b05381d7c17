"""`pfi describe`: everything about one thing."""

import click

from pathfinder.cli.command import Command
from pathfinder.cli.completing import complete_kind
from pathfinder.cli.session import Session, with_session

EVENTS_SHOWN = 15


@click.command(cls=Command)
@click.argument("words", metavar="KIND NAME", nargs=-1, required=True, shell_complete=complete_kind)
@with_session
def command(session: Session, words: tuple[str, ...]) -> None:
    """Show everything about one thing: its fields, why it is as it is, and what happened to it."""
    from pathfinder.cli.descriptions import description
    from pathfinder.cli.kinds import thing_called
    from pathfinder.cli.output import print_document, say
    from pathfinder.client.kinds import CONTAINER, DEPLOYMENT, EVENT, KINDS, NODE

    kind, name = thing_called(words, tuple(kind for kind in KINDS if kind is not EVENT))
    item = session.client.get(kind, name)
    containers = None
    if kind is DEPLOYMENT:
        containers = list(session.client.items(CONTAINER, deployment=name))
    elif kind is NODE:
        containers = list(session.client.items(CONTAINER, node=name))
    cluster = session.cluster if kind.clustered else None
    events = session.client.events(kind=kind.name, name=name, cluster=cluster)[-EVENTS_SHOWN:]
    if session.is_for_programs:
        print_document(session, {**item, "events": events})
    else:
        say(session, *description(item, containers, events, session.now_ms()))
