"""`pfi rebalance`: move containers from full nodes to emptier ones."""

import click

from pathfinder.cli.command import Command
from pathfinder.cli.session import Session, with_session

MOVES_MAX = 1_000


@click.command(cls=Command)
@click.option("--plan", "is_plan", is_flag=True, help="Show what would move, and move nothing.")
@click.option(
    "--moves",
    type=click.IntRange(1, MOVES_MAX),
    default=20,
    show_default=True,
    help="How many containers at most.",
)
@click.option("--stop", is_flag=True, help="Begin no more moves; those under way end.")
@with_session
def command(session: Session, /, *, is_plan: bool, moves: int, stop: bool) -> None:
    """Move containers from full nodes to emptier ones, one after another.

    Each move makes more good than it costs: STATELESS containers are made anew on the other node,
    STATEFUL ones are relocated with their data, never below min_available. A policy does it all the
    time: moves_per_hour of the cluster.
    """
    from pathfinder.cli.errors import Misused
    from pathfinder.cli.output import print_answer
    from pathfinder.cli.rebalancing import rebalance_lines

    if stop and is_plan:
        raise Misused("--plan and --stop exclude each other")
    if is_plan:
        plan = session.client.plan_rebalance(moves)
        print_answer(session, plan, *rebalance_lines(plan))
        return
    answer = session.client.rebalance(0 if stop else moves)
    said = "no more moves are begun" if stop else f"moves up to {moves} containers, one by one"
    print_answer(session, answer, f"cluster/{answer['name']} {said}: pfi events -f")
