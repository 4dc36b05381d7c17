"""`pfi version`: of itself and of the server."""

import click

from pathfinder.cli.command import Command
from pathfinder.cli.session import Session, with_session


@click.command(cls=Command)
@click.option("--client", "is_client_only", is_flag=True, help="Do not ask the server.")
@with_session
def command(session: Session, *, is_client_only: bool) -> None:
    """Show the versions of pfi and of the server."""
    from pathfinder.cli.output import print_answer

    own = client_version()
    if is_client_only:
        print_answer(session, {"client": own}, f"pfi     {own}")
        return
    server = session.client.version()
    print_answer(
        session,
        {"client": own, "server": server},
        f"pfi     {own}",
        f"server  {server.get('version', '?')} at {session.client.server}, API {server.get('api')}",
    )


def client_version() -> str:
    """The version of this installation."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pathfinder-cm")
    except PackageNotFoundError:
        return "not installed"
