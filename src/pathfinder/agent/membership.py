"""Joining the cluster, and joining again when the server no longer knows the node's credential.

Whoever needs a credential asks `join_if_needed`; the pause after a refusal is kept here, longer
where a person has to act, and each refusal is said once and not with every attempt.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pathfinder.agent import identity as identities
from pathfinder.agent.identity import Identity
from pathfinder.agent.log import say
from pathfinder.agent.server import Server, ServerFailure, ServerRefused
from pathfinder.model.resources import NOTHING, Resources
from pathfinder.wire.messages import Facts, Registration

PAUSE_MS_MIN: Final = 1_000
PAUSE_MS_MAX: Final = 60_000
PERSON_PAUSE_MS: Final = (
    30_000  # a token that is used up or a name that is taken: somebody must act
)
NEXT_STEPS: Final = {
    401: "make a new join token (pfi create join-token) and restart the agent with its file",
    403: "make a new join token (pfi create join-token) and restart the agent with its file",
    409: "give this node another --name, or remove the other one: pfi delete node NAME",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the operator handed in to join with; one of the two, or neither when already joined."""

    join_token: str = ""
    cluster_password: str = ""

    def __repr__(self) -> str:
        return "Credentials(...)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """What a registration says, as the operator told it, and where the identity is kept."""

    credentials: Credentials
    state_dir: str
    capacity: Resources = NOTHING
    labels: Mapping[str, str] = field(default_factory=dict)


class Membership:
    """The node's standing with the server. For any number of threads; one at a time registers."""

    def __init__(
        self,
        server: Server,
        identity: Identity,
        joining: Joining,
        *,
        facts: Callable[[], Facts],
        now_ms: Callable[[], int],
    ) -> None:
        self.identity = identity
        self._server = server
        self._joining = joining
        self._facts = facts
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._is_joined = identity.is_registered
        self._retry_ms = 0
        self._pause_ms = PAUSE_MS_MIN
        self._said = ""

    def join_if_needed(self) -> None:
        """Register when that is due; ServerFailure when the node has no good credential now."""
        with self._lock:
            if self._is_joined:
                return
            if self._now_ms() < self._retry_ms:
                raise ServerRefused(401, "not_joined", self._said or "not joined yet", "")
            try:
                self._register()
            except ServerFailure as failure:
                self._on_refused(failure)
                raise

    def on_unauthorized(self) -> None:
        """The server does not know our credential: the next exchange joins again first."""
        with self._lock:
            if self._is_joined:
                self._is_joined = False
                say("credential_refused", next="joining again with the same secret")

    def _register(self) -> None:
        identity, joining = self.identity, self._joining
        self._server.register(
            Registration(
                cluster=identity.cluster,
                node=identity.node,
                secret=identity.secret,
                join_token=joining.credentials.join_token,
                cluster_password=joining.credentials.cluster_password,
                address=self._server.local_address(),
                capacity=joining.capacity.document() or None,
                labels=joining.labels,
                facts=self._facts(),
            )
        )
        self._is_joined, self._said = True, ""
        self._retry_ms, self._pause_ms = 0, PAUSE_MS_MIN
        if not identity.is_registered:
            self.identity = replace(identity, is_registered=True)
            self._keep()
        say("joined", cluster=identity.cluster, node=identity.node)

    def _keep(self) -> None:
        try:
            identities.keep(self._joining.state_dir, self.identity)
        except OSError as error:
            # The secret is kept already: the next start registers once more, with no effect.
            say("identity_not_kept", path=self._joining.state_dir, error=error)

    def _on_refused(self, failure: ServerFailure) -> None:
        needs_person = isinstance(failure, ServerRefused) and failure.status in NEXT_STEPS
        pause_ms = PERSON_PAUSE_MS if needs_person else self._pause_ms
        self._pause_ms = min(PAUSE_MS_MAX, self._pause_ms * 2)
        self._retry_ms = self._now_ms() + pause_ms
        if str(failure) == self._said:
            return
        self._said = str(failure)
        hint = ""
        if isinstance(failure, ServerRefused):
            hint = failure.hint or NEXT_STEPS.get(failure.status, "")
        say("join_refused", error=self._said, next=hint, again_in_ms=pause_ms)
