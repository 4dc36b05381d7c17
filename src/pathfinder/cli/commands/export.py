"""`pfi export`: the state as a file."""

from pathlib import Path

import click

from pathfinder.cli.command import Command
from pathfinder.cli.session import Session, with_session


@click.command(cls=Command)
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@with_session
def command(session: Session, /, path: Path) -> None:
    """Write the state to a file, to plan on it elsewhere: pfi plan --state FILE.

    All clusters, nodes, deployments and containers, as they are at one moment. No credential is in
    it, but definitions are, with their environment: keep it as you keep those.
    """
    from pathfinder.cli.files import written_whole
    from pathfinder.cli.output import print_answer

    size = written_whole(path, session.client.export())
    answer = {"file": str(path), "bytes": size}
    print_answer(session, answer, f"{path}: {size / (1 << 20):.1f} MiB; pfi plan --state {path}")
