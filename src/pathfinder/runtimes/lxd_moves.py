"""Copies of LXD's instances for other daemons, and snapshots: the verbs over `lxd_copies`."""

from pathfinder.runtimes.lxd_answers import labels_from
from pathfinder.runtimes.lxd_copies import (
    complete_request,
    make_request,
    offer_from,
    offer_request,
    pull_request,
    relabel_request,
    restore_request,
    says_unreached,
    snapshot_path,
    snapshots_from,
    snapshots_path,
)
from pathfinder.runtimes.lxd_daemon import LxdDaemon, acting, reading
from pathfinder.runtimes.lxd_requests import COPY_KEY, LxdRequest, check_wish
from pathfinder.runtimes.lxdclient.errors import NotFound, OperationFailed
from pathfinder.runtimes.port import (
    PULL_S_MAX,
    InstanceSnapshot,
    Labels,
    NameOccupied,
    NotThere,
    Offer,
    OutcomeUnknown,
    Refused,
    RuntimeFailure,
    Wish,
)


class LxdMoves(LxdDaemon):
    """The verbs of relocation and of snapshots."""

    def offer_copy(self, name: str, address: str) -> Offer:
        """Be ready to hand the instance to another LXD that reaches this one at `address`, once."""
        with acting():
            document = self._own(name)
            server = self._client.get("/1.0")
            if not server["config"].get("core.https_address"):
                raise Refused(
                    "this LXD listens at no address, so that no other node can take a copy",
                    hint=f"on this node: lxc config set core.https_address {address}",
                )
            request = offer_request(name)
            operation = self._client.begin(request.method, request.path, request.body)
        return offer_from(document, server, operation.path, operation.metadata, address)

    def pull_copy(self, wish: Wish, offer: Offer) -> None:
        """Take what is offered as a half-made copy, or bring that copy up to date."""
        check_wish(wish)
        ground = self._ground()
        with acting():
            if self._wait_for_maker(wish.name, wait_s_max=PULL_S_MAX):
                # Of an agent that died. It may have been this very offer: LXD 5.0 crashes where
                # one is taken twice at once.
                raise OutcomeUnknown(f"an earlier copy of {wish.name} was still under way")
            is_there = self._has_half_copy(wish)
            request = pull_request(wish, offer, ground, is_there=is_there)
            try:
                self._client.run(request.method, request.path, request.body, timeout_s=PULL_S_MAX)
            except OperationFailed as error:
                if says_unreached(str(error)):
                    address = offer.details["address"]
                    hint = f"let this node reach {address} (TCP), where the other LXD listens"
                    raise RuntimeFailure(f"no way to {address}: {error}", hint=hint) from error
                raise

    def complete_copy(self, wish: Wish) -> None:
        """Let the half-made copy be what was wished."""
        with acting():
            if self._has_half_copy(wish, or_whole=True):
                self._run(complete_request(wish))
                return
        raise NotThere(f"there is no copy {wish.name}")

    def relabel(self, name: str, labels: Labels) -> None:
        """Set the keys of its configuration that hold its labels."""
        with acting():
            self._own(name)
            self._run(relabel_request(name, labels))

    def list_snapshots(self, name: str) -> list[InstanceSnapshot]:
        """The instance's snapshots, oldest first."""
        with reading():
            self._own(name)
            return snapshots_from(self._client.get(snapshots_path(name)))

    def make_snapshot(self, name: str, snapshot: str) -> None:
        """Keep the state of its disk under a name."""
        with acting():
            if any(one.name == snapshot for one in self.list_snapshots(name)):
                raise NameOccupied(f"{name} has a snapshot {snapshot} already")
            self._run(make_request(name, snapshot))

    def restore_snapshot(self, name: str, snapshot: str) -> None:
        """Bring a stopped instance back to a snapshot; LXD brings its labels back as well."""
        with acting():
            document = self._own(name)
            if document["status"] != "Stopped":
                raise Refused(f"{name} runs", hint="stop it, then restore the snapshot")
            try:
                kept = self._client.get(snapshot_path(name, snapshot))
            except NotFound:
                raise NotThere(f"{name} has no snapshot {snapshot}") from None
            labels = labels_from(document["config"])
            assert labels is not None, "own"
            self._run(restore_request(name, snapshot))
            if labels_from(kept["config"]) != labels:
                self._run(relabel_request(name, labels))

    def remove_snapshot(self, name: str, snapshot: str) -> None:
        """Remove a snapshot."""
        with acting():
            self._own(name)
            try:
                self._run(LxdRequest(method="DELETE", path=snapshot_path(name, snapshot)))
            except NotFound:
                return

    def _has_half_copy(self, wish: Wish, *, or_whole: bool = False) -> bool:
        """Whether the wish's half-made copy is there, or with `or_whole` the whole one."""
        try:
            config = self._own(wish.name)["config"]
        except NotThere:
            return False
        if labels_from(config) == wish.labels and (or_whole or COPY_KEY in config):
            return True
        raise NameOccupied(f"{wish.name} is there already, and is not this copy")
