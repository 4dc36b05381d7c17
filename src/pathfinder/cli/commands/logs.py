"""`pfi logs`: what a container has written."""

import sys

import click

from pathfinder.cli.command import Command
from pathfinder.cli.completing import complete_container
from pathfinder.cli.session import Session, with_session


@click.command(cls=Command)
@click.argument("name", metavar="CONTAINER", shell_complete=complete_container)
@click.option("-f", "--follow", is_flag=True, help="Go on as more is written.")
@click.option("--bootstrap", is_flag=True, help="What its bootstraps have written instead.")
@click.option("--tail", type=click.IntRange(min=0), metavar="LINES", help="Only the last lines.")
@with_session
def command(
    session: Session, name: str, *, follow: bool, bootstrap: bool, tail: int | None
) -> None:
    """Show what a container has written to its console, or what its bootstraps have.

    With --bootstrap, -f ends when the present round of bootstrap has.
    """
    name = name.removeprefix("container/")
    parts = session.client.logs(name, follow=follow, tail=tail, bootstrap=bootstrap)
    for part in parts:
        sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
