"""`pfi get`: lists."""

from typing import Any

import click

from pathfinder.cli.command import Command
from pathfinder.cli.completing import complete_kind, complete_name
from pathfinder.cli.session import Session, with_session


@click.command(cls=Command)
@click.argument("kind_text", metavar="KIND", shell_complete=complete_kind)
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=complete_name)
@click.option("-l", "--selector", help="Only what has these labels, as in app=web,rack in (a,b).")
@click.option("--node", help="Only containers on this node.")
@click.option("--deployment", help="Only containers of this deployment.")
@click.option("--phase", help="Only containers in this phase.")
@click.option("-w", "--watch", is_flag=True, help="Go on and show changes as they happen.")
@with_session
def command(
    session: Session,
    /,
    kind_text: str,
    names: tuple[str, ...],
    *,
    watch: bool,
    **filters: str | None,
) -> None:
    """List things of a kind, or show the named ones.

    Kinds: clusters (cl), nodes (no), deployments (dep), containers (co), images (im), remotes (re),
    tokens (to), users (us), events (ev).
    """
    from pathfinder.cli.errors import Misused
    from pathfinder.cli.kinds import kind_called
    from pathfinder.cli.output import print_document, print_table
    from pathfinder.client.kinds import CONTAINER, EVENT

    first, slash, name = kind_text.partition("/")
    kind = kind_called(first)
    names = (name, *names) if slash else names
    given = {key: text for key, text in filters.items() if text}
    if kind is not CONTAINER and (wrong := [key for key in given if key != "selector"]):
        raise Misused(f"--{wrong[0]} is for containers, not for {kind.plural}")
    if kind is EVENT:
        if names:
            raise Misused("events have no names", hint="pfi events --name NAME")
        items = session.client.events(cluster=session.cluster)
    elif watch:
        from pathfinder.cli.watch import watch_items

        watch_items(session, kind, names, given)
        return
    elif names:
        items = [session.client.get(kind, each) for each in names]
    else:
        items = list(session.client.items(kind, **given))
    if session.is_for_programs:
        is_one = len(names) == 1
        document: dict[str, Any] = items[0] if is_one else {"items": items}
        print_document(session, document)
    else:
        print_table(session, kind, items)
