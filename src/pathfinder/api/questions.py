"""Routes for what would be: what-if questions, balancing, and the state as a file to plan on."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, Final

from litestar import Response, get, post
from litestar.params import JSONBody, QueryParameter
from litestar.response import Stream

from pathfinder.api import bodies
from pathfinder.api import parameters as given
from pathfinder.api.answers import answer, encoded
from pathfinder.api.asking import FromAsking, FromChanging
from pathfinder.control import (
    commands,
    exporting,
    measuring,
    queries,
    rebalancing,
    views,
    whatif,
)
from pathfinder.control.controller import Controller

CLUSTER: Final = "/api/v3/clusters/{cluster:str}"
AtMs = Annotated[
    int,
    QueryParameter(
        gt=-1,
        le=1 << 53,
        description="On the state as it was then, in milliseconds since 1970; 0: as it is.",
    ),
]
MOVES_DEFAULT: Final = 20
Moves = Annotated[
    int,
    QueryParameter(gt=0, le=rebalancing.MOVES_MAX, description="How many moves at most."),
]


@post(f"{CLUSTER}/what-if", status_code=200, tags=["apply"])
async def ask_what_if(
    cluster: given.ClusterName,
    asking: FromAsking,
    data: JSONBody[whatif.Question],
    at_ms: AtMs = 0,
) -> Response[whatif.WhatIf]:
    """What the cluster would come to. Answered on a copy of the state; nothing is changed."""
    if at_ms:
        asking.caller.require("read", cluster)
        twin = await asking.backend.state_at(at_ms)
    else:
        twin = await asking.look(lambda c, _: queries.twin(c), cluster=cluster)
    asker = (asking.caller, asking.backend.wall_ms())
    work = partial(whatif.answer, twin.state, twin.statuses, cluster, data, asker)
    return encoded(await asking.backend.ponder(work))


@get(f"{CLUSTER}/rebalance", tags=["clusters"])
async def plan_rebalance(
    cluster: given.ClusterName, asking: FromAsking, moves: Moves = MOVES_DEFAULT
) -> Response[rebalancing.RebalancePlan]:
    """What would be moved to balance the nodes, one after another, and what it comes to."""

    def looked(controller: Controller, _: int) -> tuple[queries.Twin, measuring.Used]:
        measured = measuring.used(controller.state, controller.life, cluster)
        return queries.twin(controller), measured

    twin, measured = await asking.look(looked, cluster=cluster)
    asked = (moves, measured, asking.backend.wall_ms())
    work = partial(rebalancing.preview, twin.state, twin.statuses, cluster, asked)
    return encoded(await asking.backend.ponder(work))


@post(f"{CLUSTER}/rebalance", status_code=200, tags=["clusters"])
async def rebalance(
    cluster: given.ClusterName, data: JSONBody[bodies.RebalanceBody], changing: FromChanging
) -> Response[views.ClusterView]:
    """Begin to move containers to balance the nodes, one by one; 0 moves: begin no more."""
    command = commands.Rebalance(cluster, data.moves)
    return answer(await changing.run(command), views.ClusterView)


@get("/api/v3/state", tags=["apply"], media_type="application/octet-stream")
async def export_state(asking: FromAsking) -> Stream:
    """The state as a file, without secrets, to plan on elsewhere: `pfi plan --state FILE`."""
    twin = await asking.look(lambda c, _: queries.twin(c), "admin")
    pieces = exporting.exported(twin, asking.backend.wall_ms())

    async def content() -> AsyncIterator[bytes]:
        while piece := await asyncio.to_thread(next, pieces, b""):
            yield piece

    return Stream(content(), media_type="application/octet-stream")


ROUTES: Final[tuple[Any, ...]] = (ask_what_if, plan_rebalance, rebalance, export_state)
