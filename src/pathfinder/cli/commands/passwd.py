"""`pfi passwd`."""

import click

from pathfinder.cli.command import Command
from pathfinder.cli.session import Session, with_session


@click.command(cls=Command)
@click.argument("name", metavar="USER")
@click.option("--password-file", metavar="FILE", help="Do not ask for it; - is standard input.")
@with_session
def command(session: Session, name: str, password_file: str | None) -> None:
    """Set the password of a user, who has to sign in again everywhere."""
    from pathfinder.cli.output import print_answer
    from pathfinder.cli.passwords import new_password
    from pathfinder.client.kinds import USER

    name = name.removeprefix("user/")
    session.client.get(USER, name)  # before anybody types in vain
    answer = session.client.set_password(name, new_password(name, password_file))
    print_answer(session, answer, f"user/{name} has another password, and is signed out everywhere")
