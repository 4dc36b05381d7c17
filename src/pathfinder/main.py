"""The program `pathfinder`: the server's commands, `pathfinder lab` and `pathfinder simulate`."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["lab"]:
        from pathfinder.lab.main import main as lab

        return lab(given[1:])
    if given[:1] == ["simulate"]:
        from pathfinder.simulation.command import main as simulate

        return simulate(given[1:])
    from pathfinder.server.main import main as server

    return server(given)


if __name__ == "__main__":
    sys.exit(main())
