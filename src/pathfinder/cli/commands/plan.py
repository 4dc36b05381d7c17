"""`pfi plan`: what apply would do."""

import click

from pathfinder.cli.command import Command
from pathfinder.cli.session import Session, with_session


@click.command(cls=Command)
@click.option(
    "-f",
    "--file",
    "paths",
    metavar="FILE",
    multiple=True,
    required=True,
    help="File, directory, or - for standard input. Several times: all together.",
)
@with_session
def command(session: Session, paths: tuple[str, ...]) -> None:
    """Show what apply would do, and where each container would go, and do nothing."""
    from pathfinder.cli.commands.apply import apply

    apply(session, paths, dry_run=True)
