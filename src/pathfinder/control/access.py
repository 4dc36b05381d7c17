"""Who asks, and what they may. Only digests of secrets are compared, in constant time."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final, Literal

from pathfinder.control.objects import Node, Token, User
from pathfinder.control.state import State
from pathfinder.model.errors import Forbidden, Unauthorized

Verb = Literal["read", "write", "exec", "admin"]
VERBS_OF_ROLE: dict[str, frozenset[str]] = {
    "admin": frozenset({"read", "write", "exec", "admin"}),
    "app": frozenset({"read", "write", "exec"}),
    "reader": frozenset({"read"}),
}
HINT_OF_SIGN_IN = "sign in again"
# A sign-in in use is renewed when so much of its idle time has passed: not at every request.
RENEWED_AFTER = 1 / 16
HINT = "give a token: pfi --token-file FILE, PFI_TOKEN, or pfi config set token=@FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks. `clusters` empty: all of them. `node` is set for a node's own credential.

    name: for people, and not unique. token: the credential's identifier, which is. user: the person
    who has signed in; `is_renewal_due`: the sign-in is to be told that it is used.
    """

    name: str
    role: str
    clusters: tuple[str, ...] = ()
    node: str = ""
    token: str = ""
    user: str = ""
    is_renewal_due: bool = False

    def require(self, verb: Verb, cluster: str = "") -> None:
        """Forbidden unless the role has the verb and the scope the cluster."""
        if verb not in VERBS_OF_ROLE.get(self.role, ()):
            enough = next(role for role in reversed(VERBS_OF_ROLE) if verb in VERBS_OF_ROLE[role])
            raise Forbidden(
                f"{self.name} has the role {self.role}, which may not {verb} here",
                hint=f"an administrator changes that: pfi change user {self.user} --role {enough}"
                if self.user
                else f"an administrator makes one: pfi create token NAME --role {enough}",
            )
        if self.clusters and cluster not in self.clusters:
            raise Forbidden(
                f"{self.name} is for the clusters {', '.join(self.clusters)}"
                + (f", not {cluster}" if cluster else ", and this concerns all"),
                hint="use a token for all clusters, or name one of these: pfi --cluster NAME",
            )

    def sees(self, cluster: str) -> bool:
        """Whether lists show this principal things of `cluster`."""
        return not self.clusters or cluster in self.clusters


SYSTEM = Principal(name="pathfinder", role="admin")


def digest(secret: str) -> str:
    """What is stored of a secret: SHA-256 in hex. Such secrets are random and long, not chosen."""
    # Whatever a stranger sends has a digest: JSON can carry half a surrogate pair.
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


SHA512: Final = "sha512:"  # digests that an import has taken over from the original


def is_secret(stored: str, secret: str) -> bool:
    """Whether a digest that is stored, of either form, is that of a secret."""
    return any(same(stored, digest) for digest in digests(secret))


def digests(secret: str) -> tuple[str, str]:
    """The forms in which a secret may be stored: ours, and that of what was imported."""
    raw = secret.encode(errors="surrogatepass")
    return digest(secret), SHA512 + hashlib.sha512(raw).hexdigest()


def imported_id(stored: str) -> str:
    """The identifier of a token that is known by an imported digest alone."""
    return f"original-{stored.removeprefix(SHA512)[:24]}"


def same(left: str, right: str) -> bool:
    """Whether two digests are equal, in time that does not depend on where they differ."""
    return hmac.compare_digest(left, right)


def authenticate(state: State, credential: str, now_ms: int) -> Principal:
    """The principal of a credential text; Unauthorized without saying which part was wrong."""
    kind, _, rest = credential.partition(".")
    if kind == "pft":
        identifier, _, secret = rest.partition(".")
        token = state.get(Token, identifier)
        is_for_api = token is not None and token.role not in ("join", "sign-in")
        if token and is_for_api and same(token.secret_digest, digest(secret)):
            return _holder(token, now_ms)
    if kind == "pfs":
        identifier, _, secret = rest.partition(".")
        token = state.get(Token, identifier)
        if token and token.role == "sign-in" and same(token.secret_digest, digest(secret)):
            return _signed_in(state, token, now_ms)
        raise Unauthorized("this sign-in has ended", hint=HINT_OF_SIGN_IN)
    if kind == "pfn":
        # From the right: a cluster's name may contain dots, a node's and a secret may not.
        cluster, name, secret = ["", "", *rest.rsplit(".", 2)][-3:]
        node = state.get(Node, f"{cluster}/{name}")
        if node and node.protocol == "exchange" and same(node.secret_digest, digest(secret)):
            return Principal(name=f"node {name}", role="node", clusters=(cluster,), node=node.key)
    if kind not in ("pft", "pfn") and credential:
        stored = digests(credential)[1]
        token = state.get(Token, imported_id(stored))
        if token and same(token.secret_digest, stored):
            return _holder(token, now_ms)
    raise Unauthorized(
        "this credential is not known" if credential else "no credential was given", hint=HINT
    )


def _signed_in(state: State, token: Token, now_ms: int) -> Principal:
    user = state.get(User, token.user)
    if user is None or user.disabled or now_ms > token.expires_ms:
        raise Unauthorized("this sign-in has ended", hint=HINT_OF_SIGN_IN)
    used_up_ms = now_ms - (token.expires_ms - token.idle_ms)
    return Principal(
        name=user.name,
        role=user.role,
        clusters=user.clusters,
        token=token.id,
        user=user.name,
        is_renewal_due=token.expires_ms < token.ends_ms
        and used_up_ms > token.idle_ms * RENEWED_AFTER,
    )


def _holder(token: Token, now_ms: int) -> Principal:
    if token.expires_ms and now_ms > token.expires_ms:
        raise Unauthorized(f"the token {token.name or token.id} has expired", hint=HINT)
    return Principal(
        name=token.name or token.id,
        role=token.role,
        clusters=token.clusters,
        token=token.id,
    )


def polling_node(state: State, cluster: str, token: str) -> Principal:
    """The node of a cluster whose agent has this token; Unauthorized, also without the cluster."""
    for stored in digests(token) if token else ():
        key = state.polling_nodes.get(stored, "")
        node = state.get(Node, key) if key else None
        if node is not None and node.cluster == cluster:
            return Principal(
                name=f"node {node.name}", role="node", clusters=(cluster,), node=node.key
            )
    raise Unauthorized("this credential is not known")
