"""`pfi change`: what a user may."""

import click

from pathfinder.cli.command import Group
from pathfinder.cli.session import Session, with_session


@click.group(cls=Group)
def command() -> None:
    """Change what has no file that describes it."""


@command.command("user")
@click.argument("name", metavar="USER")
@click.option(
    "--role",
    type=click.Choice(["admin", "app", "reader"]),
    help="admin: everything. app: containers and what they need. reader: look only.",
)
@click.option("--only", "clusters", multiple=True, metavar="CLUSTER", help="Only this cluster.")
@click.option("--all-clusters", is_flag=True, help="All clusters, from now on.")
@click.option("--disable/--enable", "disabled", default=None, help="Whether signing in is refused.")
@with_session
def user(
    session: Session,
    name: str,
    *,
    role: str | None,
    clusters: tuple[str, ...],
    all_clusters: bool,
    disabled: bool | None,
) -> None:
    """Change what a user may, or whether he may sign in; holds from the next click on."""
    from pathfinder.cli.errors import Misused
    from pathfinder.cli.output import print_answer

    if clusters and all_clusters:
        raise Misused("--only and --all-clusters contradict each other")
    if role is None and not clusters and not all_clusters and disabled is None:
        raise Misused("nothing is changed", hint="pfi change user --help")
    name = name.removeprefix("user/")
    answer = session.client.change_user(
        name,
        role=role,
        clusters=clusters if clusters or all_clusters else None,
        disabled=disabled,
    )
    where = ", ".join(answer["clusters"]) or "all clusters"
    state = ", disabled" if answer["disabled"] else ""
    print_answer(session, answer, f"user/{name} is {answer['role']} of {where}{state}")
