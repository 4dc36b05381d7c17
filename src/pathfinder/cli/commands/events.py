"""`pfi events`: what happened, why, and who asked."""

import click

from pathfinder.cli.command import Command
from pathfinder.cli.session import Session, with_session


@click.command(cls=Command)
@click.option("-f", "--follow", is_flag=True, help="Go on and show events as they happen.")
@click.option("--kind", "kind_text", metavar="KIND", help="Only things of this kind.")
@click.option("--name", help="Only things with this name.")
@click.option("--since", type=int, metavar="REVISION", help="Only what came after this revision.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many, the newest.")
@with_session
def command(
    session: Session,
    *,
    follow: bool,
    kind_text: str | None,
    name: str | None,
    since: int | None,
    limit: int | None,
) -> None:
    """Show what happened in a cluster, why, and who asked; newest last."""
    from pathfinder.cli.kinds import kind_called
    from pathfinder.cli.output import print_document, print_table
    from pathfinder.client.kinds import EVENT

    query: dict[str, object] = {
        "cluster": session.cluster,
        "kind": kind_called(kind_text).name if kind_text else None,
        "name": name,
    }
    items = session.client.events(since=since, limit=limit, **query)
    if not follow:
        if session.is_for_programs:
            print_document(session, {"items": items})
        else:
            print_table(session, EVENT, items)
        return
    from pathfinder.cli.watch import follow_events

    follow_events(session, items, query)
