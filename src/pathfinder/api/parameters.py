"""Parameters of paths and queries, with their bounds, as the OpenAPI document shows them."""

from typing import Annotated

from litestar.params import PathParameter, QueryParameter

from pathfinder.control.queries import ITEMS_DEFAULT, ITEMS_MAX, Window
from pathfinder.model.names import NAME_LENGTH_MAX
from pathfinder.model.selectors import requirements

NAME_PATTERN = r"^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$"
SELECTOR_LENGTH_MAX = 4_096

ClusterName = Annotated[
    str,
    PathParameter(
        max_length=NAME_LENGTH_MAX, pattern=NAME_PATTERN, description="The cluster's name."
    ),
]
ThingName = Annotated[
    str,
    PathParameter(
        max_length=NAME_LENGTH_MAX, pattern=NAME_PATTERN, description="The thing's name."
    ),
]
# What nodes have in their local stores may have been named by anybody.
ImageName = Annotated[
    str, PathParameter(min_length=1, max_length=256, description="The image's name or alias.")
]
TokenId = Annotated[
    str,
    PathParameter(max_length=NAME_LENGTH_MAX, pattern=NAME_PATTERN, description="The identifier."),
]
UserName = Annotated[
    str,
    PathParameter(max_length=NAME_LENGTH_MAX, pattern=NAME_PATTERN, description="The user's name."),
]
After = Annotated[
    str,
    QueryParameter(max_length=256, description="`next` of the page before; empty: the first page."),
]
Limit = Annotated[
    int, QueryParameter(ge=1, le=ITEMS_MAX, description="How many items a page has at most.")
]
Selector = Annotated[
    str,
    QueryParameter(
        max_length=SELECTOR_LENGTH_MAX,
        description="Only what has these labels, such as `app=web,rack in (r1,r2),!old`.",
    ),
]
OnNode = Annotated[
    str, QueryParameter(max_length=NAME_LENGTH_MAX, description="Only containers on this node.")
]
OfDeployment = Annotated[
    str, QueryParameter(max_length=NAME_LENGTH_MAX, description="Only replicas of this deployment.")
]
InPhase = Annotated[
    str, QueryParameter(max_length=NAME_LENGTH_MAX, description="Only containers in this phase.")
]
WithText = Annotated[
    str,
    QueryParameter(max_length=NAME_LENGTH_MAX, description="Only containers named like this."),
]
IfReady = Annotated[
    bool | None, QueryParameter(description="Only containers that are ready, or that are not.")
]
LIMIT_DEFAULT = ITEMS_DEFAULT


def window(after: str, limit: int, selector: str = "") -> Window:
    """The part of a list that is asked for; DefinitionWrong when the selector is none."""
    return Window(after=after, limit=limit, requirements=requirements(selector, "selector"))
