"""`python -m pathfinder.cli` is `pfi`."""

from pathfinder.cli.main import main

main()
