"""The conscious without I/O: commands, exchanges and the clock's ticks in; changes out.

The shell (or the simulation) appends each change to the journal before it lets anybody know of it,
and takes it back with `State.revert` when the append fails.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from pathfinder.control import (
    answered,
    draining,
    handlers,
    losing,
    marks,
    nodes,
    plans,
    policies,
    polling,
    quiet,
    rebalancing,
    replies,
    reports,
    restored,
)
from pathfinder.control.access import Principal
from pathfinder.control.commands import (
    Apply,
    Mark,
    MarkAddress,
    Measure,
    Moment,
    Poll,
    Polling,
    PutCluster,
    Register,
    RegisterPolling,
    Request,
)
from pathfinder.control.life import OUTWAIT_MS, Life, NodeLife, NodeStatus
from pathfinder.control.objects import Cluster, Deployment, Node, Thing
from pathfinder.control.placing import next_in_turn, view_for_scheduler
from pathfinder.control.rendering import has_waited
from pathfinder.control.settling import settle
from pathfinder.control.state import Change, State
from pathfinder.control.transaction import Transaction
from pathfinder.model import errors
from pathfinder.model.errors import (
    NotFound,
    PathfinderError,
    RevisionStale,
    Unauthorized,
)
from pathfinder.scheduler.fleet import NodeView
from pathfinder.wire.messages import Exchange, Reply, StreamRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command did and answers, once `change` is durable (None: nothing is to be stored).

    `body` is JSON. `refusal`: the command was refused, and under its idempotency key always will
    be: a late repetition must not succeed when the first was told that it had not.
    """

    body: bytes
    change: Change | None = None
    refusal: PathfinderError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What an exchange did. `believed` False: it was stale or of another session.

    lead_at_least: not 0 when the node has proved that this state came back from an old backup: the
    shell leads again under at least this epoch, and recovers.
    """

    believed: bool
    reply: Reply | None = None
    change: Change | None = None
    lead_at_least: int = 0


# Of most exchanges: frozen, so that one stands for all.
NO_NEWS: Final = Heard(believed=True)


class Controller:
    """State and life of the platform, and everything that may happen to them."""

    def __init__(self, state: State, *, epoch: int, incarnation: str, uptime_ms: int) -> None:
        self.state = state
        self.life = Life(
            epoch=epoch,
            incarnation=incarnation,
            began_ms=uptime_ms,
            base_revision=state.revision,
        )
        for node in state.all(Node):
            self.life.nodes[node.key] = polling.life_of(node)
            self.life.restored = self.life.restored or node.unverified
            self._see(node)
        unheard = any(not node.was_complete for node in self.life.nodes.values())
        self.life.recovering = unheard or self.life.restored
        self._is_behind = True
        self._has_room = False  # measured memory has come under a limit: what waits may fit
        # To be read only: a tick before this has nothing to do, unless something changes.
        self.quiet_until_ms = 0

    def execute(self, request: Request, moment: Moment) -> Outcome:
        """Decide and apply one command; PathfinderError leaves everything as it was."""
        known = answered.before(self.state, request)
        if known is not None:
            refusal = errors.revived(known.reply) if known.refused else None
            return Outcome(body=known.reply, refusal=refusal)
        tx = self._transaction(moment, request.principal.name)
        try:
            self._check_revision(tx, request)
            body = self._decide(tx, request, moment)
            if request.idempotency_key and not request.dry_run:
                answered.remember(tx, self.life, request, body)
        except PathfinderError as error:
            self._take_back(tx)
            if not request.idempotency_key or request.dry_run or error.retry:
                raise
            body = msgspec.json.encode(error.document())
            answered.remember(tx, self.life, request, body, refused=True)
            return Outcome(body=body, change=self._commit(tx), refusal=error)
        except BaseException:
            # Also for a bug: one command that meets it leaves no half of itself behind.
            self._take_back(tx)
            raise
        if request.dry_run:
            self._take_back(tx)
            return Outcome(body=body)
        return Outcome(body=body, change=self._commit(tx))

    def hear(self, node_key: str, request: Exchange, moment: Moment) -> Heard:
        """Take a node's exchange: its lease, its report. `reply` only when it is not believed."""
        node, life = self.state.get(Node, node_key), self.life
        if node is None:
            raise Unauthorized("this node has been forgotten", hint="pathfinder-agent joins again")
        if not reports.is_current(life, request):
            reply = replies.hello(life, request)
            if not restored.proves_restore(life, request):
                return Heard(believed=False, reply=reply)
            change = self.doubt_all(moment)
            epoch = request.session.epoch
            # Under an epoch that is not above all that nodes know, they would not follow us.
            at_least = epoch + 1 if epoch >= life.epoch else 0
            return Heard(believed=False, reply=reply, change=change, lead_at_least=at_least)
        heard = life.node(node_key)
        if request.session.sequence <= heard.sequence:
            # Late, repeated, or of an agent that has lost its checkpoint: it may go on from here.
            reply = replies.hello(life, request, sequence=heard.sequence)
            return Heard(believed=False, reply=reply)
        heard.sequence, heard.heard_ms = request.session.sequence, moment.uptime_ms
        if request.measurements is not None:
            heard.measurements = request.measurements
            heard.usage_by_slot = {use.slot: use for use in request.measurements.containers}
            self._watch_use(node)
        change = None
        back = heard.status != "ready"
        if back or reports.changes_something(self.state, self.life, node, heard, request):
            if epoch := restored.future_epoch(self.state, life, request):
                reply, change = replies.hello(life, request), self.doubt_all(moment)
                return Heard(believed=False, reply=reply, change=change, lead_at_least=epoch + 1)
            if heard.is_unsettled:
                heard.followed.clear()
            heard.is_unsettled = False
            heard.was_complete = heard.was_complete or request.complete
            change = self._report(node, request, moment, back=back)
        heard.seen, heard.complete = request.seen, request.complete
        heard.silent_kinds = frozenset(request.silent_kinds)
        heard.holding = request.holding
        return NO_NEWS if change is None else Heard(believed=True, change=change)

    def is_without_news(self, node_key: str, request: Exchange) -> bool:
        """Whether `hear` would take this exchange without a change: a heartbeat and no more."""
        node, heard = self.state.get(Node, node_key), self.life.nodes.get(node_key)
        return (
            node is not None
            and heard is not None
            and heard.status == "ready"
            and reports.is_current(self.life, request)
            and request.session.sequence > heard.sequence
            and not reports.changes_something(self.state, self.life, node, heard, request)
        )

    def answer(
        self, node_key: str, request: Exchange, streams: tuple[StreamRequest, ...] = ()
    ) -> Reply | None:
        """The reply to an exchange that was believed, or None: park it until there is news."""
        node = self.state.get(Node, node_key)
        if node is None:
            return replies.nothing(request)
        return replies.answer(
            self.state, self.life, self.life.node(node_key), node, request, streams
        )

    def nothing(self, request: Exchange) -> Reply:
        """The reply at the heartbeat, or to an exchange that a newer one has replaced."""
        return replies.nothing(request)

    def tick(self, moment: Moment, *, is_full: bool = False) -> Change | None:
        """What the passing of time brings: silent nodes, the end of recovery, old answers.

        is_full: also when it is known that there is nothing to do.
        """
        if self.quiet_until_ms and not is_full:
            if moment.uptime_ms >= self.quiet_until_ms:
                # Nothing has changed since: what was heard has put it off, perhaps.
                self.life.now_ms = moment.uptime_ms
                self.quiet_until_ms = quiet.until_ms(self.state, self.life, moment.wall_ms)
            if moment.uptime_ms < self.quiet_until_ms:
                return None
        tx = self._transaction(moment, "pathfinder")
        try:
            change = self._tick(tx, moment)
        except BaseException:
            self._take_back(tx)
            raise
        if change is None:
            self.quiet_until_ms = quiet.until_ms(self.state, self.life, moment.wall_ms)
        return change

    def _tick(self, tx: Transaction, moment: Moment) -> Change | None:
        if self._is_behind:
            self._catch_up(tx)
        self._watch_nodes(tx, moment)
        self._recover(tx, moment)
        self._tend_waiting(tx)
        losing.give_up_lost(tx, self.life, moment.uptime_ms)
        draining.go_on(tx, self.life)
        rebalancing.go_on(tx, self.life, moment.uptime_ms)
        answered.forget_old(tx, self.life)
        return self._commit_settled(tx)

    def _tend_waiting(self, tx: Transaction) -> None:
        """What waits for a measurement, its turn, or has waited for addresses, goes on."""
        tx.place_all = tx.place_all or self._has_room
        self._has_room = False
        next_in_turn(tx, self.life)
        for key in self.state.held:
            deployment = self.state.get(Deployment, key)
            assert deployment is not None
            if has_waited(self.life, deployment):
                tx.deployments.add(key)

    def revert(self, change: Change) -> None:
        """Take back the newest change: it did not become durable.

        What was learned with it (a node's report, a node's silence) is not forgotten: the next tick
        and the next report of each node draw the consequences again.
        """
        self.state.revert(change)
        answered.revert(self.life, change)
        self._is_behind = True
        self.quiet_until_ms = 0
        self.life.offers.clear()  # they come again with the next exchanges
        for life in self.life.nodes.values():
            life.is_unsettled = True
            life.news = min(life.news, self.state.revision)
        # Also what was just doubted, or believed again.
        self.life.restored = any(node.unverified for node in self.state.all(Node))
        self.life.recovering = self.life.recovering or self.life.restored
        for key in change.nodes | change.things.get(Node.KIND, {}).keys():
            node = self.state.get(Node, key)
            if node is not None:
                self._see(node)
        self._see_all_of(change.things.get(Cluster.KIND, {}).values())

    def _take_back(self, tx: Transaction) -> None:
        """Undo a command's edits, and show the scheduler the nodes again as they were."""
        nodes_before, clusters = tx.changes_of(Node), tx.changes_of(Cluster)
        tx.take_back()
        for before, _ in nodes_before:
            if before is not None:
                self._see(before)
        self._see_all_of(clusters)

    def _catch_up(self, tx: Transaction) -> None:
        """Follow up everything.

        It is not known what an earlier process, or a reverted change, had still to follow up.
        """
        self._is_behind = False
        tx.place_all = True
        tx.deployments.update(self.state.things[Deployment.KIND])

    def _transaction(self, moment: Moment, who: str) -> Transaction:
        self.life.now_ms = moment.uptime_ms
        self.quiet_until_ms = 0
        return Transaction(self.state, now_ms=moment.wall_ms, who=who, epoch=self.life.epoch)

    def _decide(self, tx: Transaction, request: Request, moment: Moment) -> bytes:
        command, principal, life = request.command, request.principal, self.life
        asked: tuple[Thing, ...]
        if isinstance(command, Apply):
            asked = handlers.apply(tx, principal, command)
            return self._plan(tx, asked, dry_run=request.dry_run)
        if isinstance(command, Register):
            thing: Thing = nodes.register(tx, command)
        elif isinstance(command, Polling):
            thing = self._decide_polling(tx, principal, command, moment)
        elif isinstance(command, PutCluster):
            principal.require("admin", command.name)
            thing = handlers.put_cluster(tx, command.name, command.password_hash)
        else:
            thing = handlers.HANDLERS[type(command)](tx, principal, command)
        if request.dry_run:
            return self._plan(tx, (thing,), dry_run=True)
        self._settle(tx)
        return msgspec.json.encode(handlers.view_of(tx, life, thing, moment.uptime_ms))

    def _decide_polling(
        self, tx: Transaction, principal: Principal, command: Polling, moment: Moment
    ) -> Thing:
        if isinstance(command, RegisterPolling):
            return polling.register(tx, self.life, command, moment.uptime_ms)
        polling.itself(principal, command.node)
        match command:
            case Poll():
                node = tx.need(Node, command.node)
                self.hear_poll(node.key, moment)
                if self.life.node(node.key).status != "ready":
                    self._set_status(tx, node, "ready", moment)
                return node
            case Measure():
                node = polling.measure(tx, self.life, command)
                self._watch_use(node)
                return node
            case Mark() | MarkAddress():
                return marks.take(tx, self.life, command)

    def hear_poll(self, node_key: str, moment: Moment) -> bool:
        """A polling node was heard; whether that is news, which a `Poll` has to say."""
        heard = self.life.nodes.get(node_key)
        if heard is None:
            return False
        heard.heard_ms = moment.uptime_ms
        return heard.status != "ready"

    def _plan(self, tx: Transaction, asked: tuple[Thing, ...], *, dry_run: bool) -> bytes:
        waited_before = self.life.turns.waiting()
        self._settle(tx)
        # What a plan shows is all that follows, also what is left to the next ticks. One that
        # leaves nothing more to them has nothing to follow.
        while dry_run and tx.turns and tx.turns.waiting() - waited_before:
            tx.turns.refill()
            next_in_turn(tx, self.life)
            settle(tx, self.life)
        return msgspec.json.encode(plans.plan(tx, self.life, asked=asked, dry_run=dry_run))

    def _settle(self, tx: Transaction) -> None:
        """Follow up what was touched; nodes that changed are shown to the scheduler first."""
        for before, after in tx.changes_of(Node):
            if after is not None:
                if before is None:
                    # A node of this name that was deleted had a life of its own.
                    self.life.nodes[after.key] = polling.life_of(after)
                self._see(after)
        tx.place_all = self._see_all_of(tx.changes_of(Cluster)) or tx.place_all
        settle(tx, self.life)

    def _watch_use(self, node: Node) -> None:
        """New measurements: a node may take more than before, or less."""
        cluster, heard = self.state.get(Cluster, node.cluster), self.life.node(node.key)
        before = self.state.fleet.view(node.key)
        if cluster is None or before is None or not policies.are_measured(cluster):
            return
        policies.note_use(heard, self.state.revision)
        after = self._see(node)
        is_under = bool(before.why_full) and not after.why_full
        self._has_room |= is_under | policies.lends_more(heard, after)
        self.quiet_until_ms = 0

    def _see_all_of(self, edits: Iterable[tuple[Thing | None, Thing | None]]) -> bool:
        """Show the scheduler the nodes of clusters whose limits differ; whether there are any."""
        names = {
            after.name
            for before, after in edits
            if isinstance(after, Cluster)
            and isinstance(before, Cluster)
            and (before.limits, before.policy) != (after.limits, after.policy)
        }
        for node in list(self.state.all(Node)) if names else ():
            if node.cluster in names:
                self._see(node)
        return bool(names)

    def _see(self, node: Node) -> NodeView:
        view = view_for_scheduler(self.state, node, self.life)
        self.state.fleet.set_node(node.key, view)
        return view

    def _commit_settled(self, tx: Transaction) -> Change | None:
        self._settle(tx)
        return self._commit(tx)

    def _commit(self, tx: Transaction) -> Change | None:
        change = tx.finish()
        self.life.turns = tx.turns or self.life.turns
        if change is not None:
            for key in change.nodes:
                self.life.node(key).news = change.revision
            for key in tx.tell_all:
                # What it holds already may mean something else from now on.
                self.life.node(key).complete_at = None
                self.life.node(key).is_unsettled = True
        return change

    def _report(
        self, node: Node, request: Exchange, moment: Moment, *, back: bool
    ) -> Change | None:
        tx = self._transaction(moment, f"node {node.name}")
        if back:
            self._set_status(tx, node, "ready", moment)
        try:
            reports.take(tx, self.life, node, request)
            self._recover(tx, moment)
            return self._commit_settled(tx)
        except BaseException:
            self._take_back(tx)
            raise

    def doubt_all(self, moment: Moment) -> Change | None:
        """This state came back from an older backup; None when that is known already.

        Nothing is placed until all nodes have said what they hold.
        """
        if self.life.restored:
            return None
        tx = self._transaction(moment, "pathfinder")
        restored.doubt_all(tx, self.life)
        return self._commit(tx)

    def _watch_nodes(self, tx: Transaction, moment: Moment) -> None:
        for key, life in list(self.life.nodes.items()):
            node = self.state.get(Node, key)
            if node is None:
                # Here and not in its deletion, which could have been a dry run, or be reverted.
                del self.life.nodes[key]
                self.life.lost.discard(key)
                continue
            status = self.life.status_at(key, moment.uptime_ms)
            if status != life.status:
                self._set_status(tx, node, status, moment)

    def _set_status(self, tx: Transaction, node: Node, status: NodeStatus, moment: Moment) -> None:
        life: NodeLife = self.life.node(node.key)
        before = life.status
        life.status = status
        if status == "lost":
            self.life.lost.add(node.key)
            life.lost_ms = moment.uptime_ms
        else:
            self.life.lost.discard(node.key)
            life.lost_ms = life.given_up_ms = None
        self._see(node)
        if status == "lost" or before == "lost" or (before == "new" and status == "ready"):
            tx.happened(status, node)
            for container in self.state.on_node(node.key):
                if container.deployment:
                    tx.deployments.add(container.group)
        tx.place_all = tx.place_all or status == "ready"

    def _recover(self, tx: Transaction, moment: Moment) -> None:
        """Recovery ends when every node has said what it holds, or has certainly lost its lease.

        For a state that was restored from an older backup, every node must have said it, if need
        be in an earlier life of the server.
        """
        life = self.life
        if not life.recovering:
            return
        has_outwaited = moment.uptime_ms - life.began_ms > OUTWAIT_MS
        if not has_outwaited and not all(node.was_complete for node in life.nodes.values()):
            return
        if any(node.unverified for node in self.state.all(Node)):
            return
        life.recovering = life.restored = False
        self._catch_up(tx)

    def _check_revision(self, tx: Transaction, request: Request) -> None:
        if request.if_match is None:
            return
        thing = handlers.if_match(tx, request.command)
        if thing is None:
            raise NotFound("there is nothing whose revision could match")
        if thing.revision != request.if_match:
            raise RevisionStale(
                f"it is at revision {thing.revision}, not {request.if_match}",
                hint="look at it again, and repeat the change on what is there now",
                revision=thing.revision,
            )
