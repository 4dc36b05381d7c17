"""Mistakes sown into the production code, one at a time: each breaks a rule of the protocol.

They measure the simulation itself: a mutant that no seed notices shows that a check is missing, or
that a rule is not needed. Rules of the agent that several layers hold (what is not ours, looking
after an unknown outcome) are measured by its own tests. `sow` changes a copy of the sources;
nothing is patched at run time.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """`old` stands exactly once in `file` (below src/pathfinder) and becomes `new`.

    seed: one that has noticed it; it plays another world after each change of the code.
    """

    name: str
    seed: int
    file: str
    old: str
    new: str

    def sow(self, root: Path) -> None:
        """Change the copy below `root`."""
        path = root / "pathfinder" / self.file
        text = path.read_text()
        assert text.count(self.old) == 1, f"{self.name}: {text.count(self.old)} places in {path}"
        path.write_text(text.replace(self.old, self.new))


MUTANTS = (
    Mutant(
        name="a_deposed_leader_goes_on_renewing_leases",
        seed=32,
        file="control/leadership.py",
        old="return self.confirmed_ms >= heard_ms",
        new="return True",
    ),
    Mutant(
        name="absence_is_believed_of_a_node_whose_daemon_is_down",
        seed=9,
        file="control/reports.py",
        old="if not request.tells_all_of(copy.kind):",
        new="if False:",
    ),
    Mutant(
        name="absence_is_believed_of_a_node_that_has_not_seen_the_removal",
        seed=203,
        file="control/reports.py",
        old="if copy.node != node.name or request.seen < copy.revision:",
        new="if copy.node != node.name:",
    ),
    Mutant(
        name="what_is_on_its_way_out_is_not_waited_for",
        seed=2,
        file="control/objects.py",
        old='return self.spec.type == "STATELESS" and all(copy.abandoned for copy in self.leaving)',
        new="return True",
    ),
    Mutant(
        name="a_lost_node_is_never_given_up",
        seed=27,
        file="control/controller.py",
        old="        losing.give_up_lost(tx, self.life, moment.uptime_ms)\n",
        new="",
    ),
    Mutant(
        name="an_abandoned_copy_is_kept_for_ever",
        seed=36,
        file="control/replies.py",
        old="        and not container.ready\n",
        new="",
    ),
    Mutant(
        name="a_starting_server_does_not_wait_for_its_nodes",
        seed=19,
        file="control/controller.py",
        old="self.life.recovering = unheard or self.life.restored",
        new="self.life.recovering = False",
    ),
    Mutant(
        name="a_restored_server_does_not_notice",
        seed=17,
        file="control/restored.py",
        old="    return session.epoch > life.epoch or same_epoch or "
        "comes_from_the_future(life, request)",
        new="    return False and same_epoch",
    ),
    Mutant(
        name="a_newer_generation_on_a_node_is_not_adopted",
        seed=58,
        file="control/reports.py",
        old="            adopt(tx, node, holding)\n",
        new="            pass\n",
    ),
    Mutant(
        name="what_nobody_assigned_is_not_counted",
        seed=621,
        file="control/reports.py",
        old="    if not surplus:\n        return\n",
        new="    return\n",
    ),
    Mutant(
        name="a_late_repetition_of_a_refused_request_succeeds",
        seed=1,
        file="control/controller.py",
        old="if not request.idempotency_key or request.dry_run or error.retry:",
        new="if True:",
    ),
    Mutant(
        name="an_answer_under_a_key_is_forgotten",
        seed=1,
        file="control/answered.py",
        old="    if not request.idempotency_key or request.dry_run:\n        return None\n",
        new="    return None\n",
    ),
    Mutant(
        name="generations_do_not_carry_the_epoch",
        seed=170,
        file="control/workloads.py",
        old="return tx.epoch << 32 | tx.revision",
        new="return tx.revision",
    ),
    Mutant(
        name="a_difference_is_sent_without_a_base",
        seed=0,
        file="control/replies.py",
        old="if told is not None and request.seen >= told:",
        new="if True:",
    ),
    Mutant(
        name="released_slots_are_not_told",
        seed=0,
        file="control/replies.py",
        old="        released=tuple(released),\n",
        new="",
    ),
    Mutant(
        name="a_full_disk_leaves_undurable_changes_in_the_state",
        seed=2,
        file="simulation/server.py",
        old="                controller.revert(change)\n",
        new="                pass\n",
    ),
    Mutant(
        name="a_rollout_takes_all_at_once",
        seed=2,
        file="reconcile/deployments.py",
        old="    floor = min(deployment.min_available, deployment.replica_count)\n",
        new="    floor = 0\n",
    ),
    Mutant(
        name="a_rollout_bootstraps_all_at_once",
        seed=3,
        file="reconcile/deployments.py",
        old="return self.ready and not self.leaving and not self.replacing",
        new='return self.ready and not self.leaving and self.change != "rebootstrap"',
    ),
    Mutant(
        name="a_drain_takes_more_than_must_stay",
        seed=161,
        file="control/draining.py",
        old="    if spare(state, life, deployment.key) <= 0:\n",
        new="    if False:\n",
    ),
    Mutant(
        name="a_new_address_is_not_told_to_those_who_need_it",
        seed=48,
        file="control/settling.py",
        old="    tx.deployments |= _referrers(tx, tx.deployments)\n",
        new="",
    ),
    Mutant(
        name="a_rendering_is_remembered_for_ever",
        seed=0,
        file="control/rendering.py",
        old="if known is None or known[0] != made_from:",
        new="if known is None:",
    ),
    Mutant(
        name="an_error_is_remembered_for_ever",
        seed=1,
        file="control/settling.py",
        old="    error = trouble(tx.state, deployment)\n",
        new="    error = deployment.last_error or trouble(tx.state, deployment)\n",
    ),
    Mutant(
        name="the_agent_acts_before_the_server_has_spoken",
        seed=60,
        file="agent/permits.py",
        old="may_act=conversation.directed and daemons.of(slot.name).is_complete,",
        new="may_act=daemons.of(slot.name).is_complete,",
    ),
    Mutant(
        name="a_round_takes_the_tries_of_an_earlier_one_for_its_own",
        seed=0,
        file="agent/notes.py",
        old='return f"{self.round}-{self.step}-{self.attempt}"',
        new='return f"1-{self.step}-{self.attempt}"',
    ),
    Mutant(
        name="a_new_round_begins_while_the_old_one_may_still_run",
        seed=429,
        file="agent/bootstrapping.py",
        old="        return note, None, 0  # another round is wanted, but this one may still run\n",
        new="        pass\n",
    ),
    Mutant(
        name="the_next_step_of_a_bootstrap_follows_a_failed_one",
        seed=1,
        file="agent/notes.py",
        old='if end.how == "ended" and end.exit_code == 0:',
        new='if end.how == "ended":',
    ),
    Mutant(
        name="the_end_of_an_older_round_is_taken_for_that_of_the_newest",
        seed=3,
        file="control/reports.py",
        old="    state = held.bootstrap if container.round and held.round == container.round else",
        new="    state = held.bootstrap if container.round else",
    ),
    Mutant(
        name="a_try_that_was_interrupted_does_not_count",
        seed=12,
        file="agent/notes.py",
        old="        attempt=note.attempt + 1,\n",
        new="        attempt=note.attempt + (end.how != 'interrupted'),\n",
    ),
    Mutant(
        name="a_container_that_moves_is_not_kept_stopped",
        seed=14,
        file="control/replies.py",
        old="    if container.is_halted:\n",
        new="    if False:\n",
    ),
    Mutant(
        name="the_target_starts_with_what_was_copied_while_it_ran",
        seed=14,
        file="control/relocating.py",
        old='    if copy.stage == "finishing":\n        tx.happened("arriving"',
        new='    if copy.stage:\n        tx.happened("arriving"',
    ),
    Mutant(
        name="the_agent_starts_what_is_to_stay_stopped",
        seed=24,
        file="agent/slots.py",
        old='    if slot.part != "halt" and is_down and permit.may_make:\n',
        new="    if is_down and permit.may_make:\n",
    ),
    Mutant(
        name="an_earlier_copy_is_taken_for_the_last",
        seed=163,
        file="control/relocating.py",
        old="    if held is None or held.copy_number != copy.number:\n",
        new="    if held is None:\n",
    ),
    Mutant(
        name="what_the_old_node_has_is_forgotten_after_a_move",
        seed=13,
        file="control/relocating.py",
        old="    if source_has_it:\n",
        new="    if False:\n",
    ),
    Mutant(
        name="a_deposed_leader_goes_on_writing",
        seed=2,
        file="store/memory.py",
        old="        self._check_leader(epoch)\n        failure, self._failure",
        new="        failure, self._failure",
    ),
    Mutant(
        name="a_wall_clock_that_jumps_makes_answers_old",
        seed=150,
        file="control/answered.py",
        old=" and kept_ms >= ANSWERED_MS_MIN",
        new="",
    ),
    Mutant(
        name="what_is_stateful_makes_room_without_its_data",
        seed=3,
        file="control/preempting.py",
        old="        if not keeps_data(victim):\n",
        new="        if True:\n",
    ),
    Mutant(
        name="an_address_that_changed_by_itself_is_not_told",
        seed=109,
        file="agent/looking.py",
        old="if slot.runs_since_ms is None or usage.addresses is None:",
        new="if True:",
    ),
)
