"""`pfi scale`: how many replicas a deployment has."""

import click

from pathfinder.cli.command import Command
from pathfinder.cli.completing import complete_kind
from pathfinder.cli.session import Session, with_session


@click.command(cls=Command)
@click.argument(
    "words", metavar="[deployment] NAME", nargs=-1, required=True, shell_complete=complete_kind
)
@click.option("--replicas", type=click.IntRange(min=0), required=True, metavar="NUMBER")
@click.option(
    "--min-available",
    type=click.IntRange(min=0),
    metavar="NUMBER",
    help="How many must stay ready during changes.",
)
@click.option("--wait", is_flag=True, help="Wait until all replicas are ready.")
@click.option("--timeout", "timeout_s", type=float, default=300.0, show_default=True)
@with_session
def command(
    session: Session,
    words: tuple[str, ...],
    *,
    replicas: int,
    min_available: int | None,
    wait: bool,
    timeout_s: float,
) -> None:
    """Change how many replicas a deployment has: pfi scale deployment web --replicas 3."""
    from pathfinder.cli.commands.apply import show_outcome, wait_until_ready
    from pathfinder.cli.kinds import thing_called
    from pathfinder.client.kinds import DEPLOYMENT

    if len(words) == 1 and "/" not in words[0]:
        words = (DEPLOYMENT.name, words[0])
    _, name = thing_called(words, (DEPLOYMENT,))
    answer = session.client.scale(name, replicas, min_available=min_available)
    progress = answer.get("blocked") or answer.get("progress")
    line = f"deployment/{name} has {replicas} replicas from now on"
    show_outcome(session, answer, f"{line}: {progress}" if progress else line)
    if wait:
        thing = {"kind": DEPLOYMENT.document, "cluster": session.cluster, "name": name}
        wait_until_ready(session, [thing], since=answer.get("revision", 0), wait_s=timeout_s)
