"""The kinds of things that the API has: their names, their short forms, their paths."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

ROOT: Final = "/api/v3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind. `clustered`: names are those of one cluster. `document`: its `kind:` on paper."""

    name: str
    plural: str
    short: tuple[str, ...] = ()
    clustered: bool = True
    document: str = ""

    def path(self, cluster: str, name: str | None = None, *further: str) -> str:
        """The path of the collection, of one thing in it, or of something below that thing."""
        parts = ["clusters", cluster, self.plural] if self.clustered else [self.plural]
        if name is not None:
            parts += [name, *further]
        return "/".join((ROOT, *(quote(part, safe="") for part in parts)))


CLUSTER: Final = Kind(
    name="cluster", plural="clusters", short=("cl",), clustered=False, document="Cluster"
)
NODE: Final = Kind(name="node", plural="nodes", short=("no",))
DEPLOYMENT: Final = Kind(
    name="deployment", plural="deployments", short=("deploy", "dep"), document="Deployment"
)
CONTAINER: Final = Kind(
    name="container", plural="containers", short=("co", "ct"), document="Container"
)
IMAGE: Final = Kind(name="image", plural="images", short=("im",), document="Image")
REMOTE: Final = Kind(name="remote", plural="remotes", short=("re",), document="Remote")
TOKEN: Final = Kind(name="token", plural="tokens", short=("to",), clustered=False)
USER: Final = Kind(name="user", plural="users", short=("us",), clustered=False)
EVENT: Final = Kind(name="event", plural="events", short=("ev",), clustered=False)
KINDS: Final = (CLUSTER, NODE, DEPLOYMENT, CONTAINER, IMAGE, REMOTE, TOKEN, USER, EVENT)
