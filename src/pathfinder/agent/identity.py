"""Who this node is: its cluster, its name, the secret it made itself, and the server it trusts.

Kept in `identity.json` (mode 0600) in the state directory before it is first used, so that a
registration whose answer was lost is repeated with the same secret, and has the effect of one.
"""

import os
import re
from dataclasses import dataclass, field, replace
from typing import Final

from pathfinder.agent.files import read_document, write_document
from pathfinder.model.errors import Malformed
from pathfinder.wire import codec

FILE: Final = "identity.json"
SECRET_BYTES: Final = 32
JOIN_TOKEN: Final = re.compile(
    r"pf1\.([0-9a-f]{64}|-)\.([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{16,128})"
)


class IdentityWrong(Exception):
    """The state directory's identity cannot be used as it is; str() says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One node's identity. `pin`: the server's public key digest; "": trust certificate chains.

    `is_registered`: a server has accepted the secret at least once.
    """

    cluster: str
    node: str
    secret: str = field(repr=False)
    pin: str = ""
    is_registered: bool = False

    def authorization(self) -> str:
        """The value of the Authorization header."""
        return f"Bearer pfn.{self.cluster}.{self.node}.{self.secret}"


def pin_of(join_token: str) -> str:
    """The public key digest in a join token, "" when it has none; Malformed when it is no token."""
    token = JOIN_TOKEN.fullmatch(join_token)
    if token is None:
        raise Malformed(
            "the join token is not of the form pf1.DIGEST.ID.SECRET",
            hint="use the file's one line as `pfi create join-token` printed it",
        )
    return "" if token[1] == "-" else token[1]


def load_or_make(state_dir: str, cluster: str, node: str, pin: str) -> Identity:
    """The identity in `state_dir`, made and kept there when there is none yet.

    A `pin` that is not "" replaces the kept one: the operator has handed in a newer token.
    IdentityWrong when the directory belongs to another node or cannot be read.
    """
    path = os.path.join(state_dir, FILE)
    kept = _load(path)
    if kept is None:
        secret = os.urandom(SECRET_BYTES).hex()
        identity = Identity(cluster=cluster, node=node, secret=secret, pin=pin)
        keep(state_dir, identity)
        return identity
    if (kept.cluster, kept.node) != (cluster, node):
        raise IdentityWrong(
            f"{path} belongs to node {kept.node} of cluster {kept.cluster}, not to {node} of "
            f"{cluster}: give this node a --state-dir of its own"
        )
    if pin and pin != kept.pin:
        kept = replace(kept, pin=pin)
        keep(state_dir, kept)
    return kept


def keep(state_dir: str, identity: Identity) -> None:
    """Write the identity durably; OSError when the disk refuses."""
    write_document(os.path.join(state_dir, FILE), codec.document(identity))


def _load(path: str) -> Identity | None:
    try:
        document = read_document(path)
        return None if document is None else codec.parse(Identity, document)
    except (ValueError, Malformed) as error:
        raise IdentityWrong(
            f"{path} cannot be read ({error}): restore it, or remove it and join again"
        ) from None
