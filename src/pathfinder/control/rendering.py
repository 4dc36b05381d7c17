"""What each replica of a deployment is to be, from the one definition of all."""

from typing import NamedTuple

from pathfinder.control.objects import Deployment
from pathfinder.model.definitions import ContainerSpec


class Rendered(NamedTuple):
    """A replica's definition and its digests, which cost more than looking them up."""

    spec: ContainerSpec
    digest: str
    bootstrap_digest: str


def rendered(deployment: Deployment) -> Rendered:
    """The deployment's definition as its replicas have it."""
    return Rendered(deployment.spec, deployment.digest, deployment.bootstrap_digest)
