"""Which answers count, how long the lease runs, and when the node speaks next.

Promises 1, 8 and 11.
"""

import pytest

from pathfinder.agent.conversation import RATE_MAX, SEQUENCE_LEAP, Checkpoint, Conversation
from pathfinder.wire.messages import Assignment, Reply, ReplyKind, Session


def wish(slot: str, generation: int = 1) -> Assignment:
    """An assignment."""
    return Assignment(slot=slot, generation=generation)


def in_session(checkpoint: Checkpoint | None = None) -> Conversation:
    """A conversation that has a session of epoch 5, and one exchange under way since moment 100."""
    conversation = Conversation("n1", checkpoint)
    first = conversation.send(50)
    hello = Reply(session=Session(epoch=5, incarnation="a", sequence=0), sent_ms=50, kind="hello")
    conversation.on_reply(60, first.sequence, hello)
    conversation.send(100)
    return conversation


def answer(
    conversation: Conversation,
    *slots: str,
    kind: ReplyKind = "complete",
    base: int = 0,
    revision: int = 7,
    released: tuple[str, ...] = (),
) -> Reply:
    """The answer to the newest exchange."""
    session = Session(
        epoch=conversation.epoch,
        incarnation=conversation.incarnation,
        sequence=conversation.sequence,
    )
    return Reply(
        session=session,
        sent_ms=0,
        kind=kind,
        lease_ms=10_000,
        base=base,
        revision=revision,
        assignments=tuple(wish(slot) for slot in slots),
        released=released,
    )


def test_lease_counts_from_sending_and_not_from_the_answer() -> None:
    conversation = in_session()

    conversation.on_reply(9_000, conversation.sequence, answer(conversation))

    assert conversation.lease_until_ms == 100 + 10_000


def test_lease_is_never_shortened() -> None:
    conversation = in_session(
        Checkpoint(epoch=1, incarnation="z", sequence=0, lease_until_ms=50_000)
    )

    conversation.on_reply(200, conversation.sequence, answer(conversation))

    assert conversation.lease_until_ms == 50_000


def test_restart_neither_extends_the_lease_nor_reuses_a_sequence() -> None:
    checkpoint = Checkpoint(epoch=3, incarnation="a", sequence=40, lease_until_ms=900)

    conversation = Conversation("n1", checkpoint)

    assert conversation.lease_until_ms == 900
    assert conversation.send(1).sequence == 40 + SEQUENCE_LEAP + 1


def test_repeated_answer_changes_nothing() -> None:
    conversation = in_session()
    sequence = conversation.sequence
    conversation.on_reply(200, sequence, answer(conversation, "web-01"))

    taken = conversation.on_reply(300, sequence, answer(conversation, "web-02"))

    assert taken is None
    assert list(conversation.wanted) == ["web-01"]


def test_answer_of_another_session_changes_nothing() -> None:
    conversation = in_session()
    stale = answer(conversation, "web-01")
    stale = Reply(
        session=Session(epoch=4, incarnation="old", sequence=conversation.sequence),
        sent_ms=0,
        kind="complete",
        lease_ms=10_000,
        assignments=stale.assignments,
    )

    conversation.on_reply(200, conversation.sequence, stale)

    assert not conversation.directed
    assert conversation.lease_until_ms == 0


def test_older_of_two_answers_is_ignored_when_it_comes_second() -> None:
    conversation = in_session()
    older, older_answer = conversation.sequence, answer(conversation, "old-01")
    conversation.send(150)
    conversation.on_reply(200, conversation.sequence, answer(conversation, "new-01"))

    conversation.on_reply(210, older, older_answer)

    assert list(conversation.wanted) == ["new-01"]


@pytest.mark.parametrize(
    ("epoch", "followed"), [(6, "b"), (5, "a"), (4, "a")], ids=["newer", "same", "older"]
)
def test_only_a_newer_leader_is_followed(epoch: int, followed: str) -> None:
    conversation = in_session()
    hello = Reply(
        session=Session(epoch=epoch, incarnation="b", sequence=0), sent_ms=100, kind="hello"
    )

    conversation.on_reply(200, conversation.sequence, hello)

    assert conversation.incarnation == followed


def test_new_session_asks_for_everything_and_goes_on_counting() -> None:
    conversation = in_session()
    conversation.on_reply(200, conversation.sequence, answer(conversation, "web-01"))
    before = conversation.send(300).sequence
    hello = Reply(session=Session(epoch=6, incarnation="b", sequence=0), sent_ms=0, kind="hello")

    conversation.on_reply(310, before, hello)

    assert conversation.seen == 0
    assert conversation.send(320).sequence == before + 1
    assert list(conversation.wanted) == ["web-01"]


def test_hello_that_has_heard_a_later_life_of_ours_moves_the_sequence_beyond_it() -> None:
    conversation = in_session()
    known = Reply(
        session=Session(epoch=5, incarnation="a", sequence=9_000), sent_ms=100, kind="hello"
    )

    conversation.on_reply(200, conversation.sequence, known)

    assert conversation.send(210).sequence == 9_001


def test_difference_changes_only_what_it_names() -> None:
    conversation = in_session()
    conversation.on_reply(200, conversation.sequence, answer(conversation, "a-01", "b-01"))
    conversation.send(300)
    difference = answer(
        conversation, "c-01", kind="difference", base=7, revision=8, released=("a-01",)
    )

    taken = conversation.on_reply(400, conversation.sequence, difference)

    assert taken is not None
    assert taken.changed == {"a-01", "c-01"}
    assert set(conversation.wanted) == {"b-01", "c-01"}
    assert conversation.seen == 8


def test_difference_that_builds_on_something_else_is_not_applied_and_everything_asked_for() -> None:
    conversation = in_session()
    conversation.on_reply(200, conversation.sequence, answer(conversation, "a-01"))
    conversation.send(300)
    difference = answer(conversation, kind="difference", base=6, revision=8, released=("a-01",))

    taken = conversation.on_reply(400, conversation.sequence, difference)

    assert taken is not None
    assert taken.unclear
    assert (conversation.seen, list(conversation.wanted)) == (0, ["a-01"])


def test_next_exchange_leaves_at_once_when_the_last_was_answered() -> None:
    conversation = in_session()

    conversation.on_reply(200, conversation.sequence, answer(conversation))

    assert conversation.send_ms(None) == 100


def test_parked_exchange_is_replaced_by_news_but_not_a_third_time() -> None:
    conversation = in_session()

    assert conversation.send_ms(150) == 150
    conversation.send(150)
    assert conversation.send_ms(160) is None


def test_overdue_answer_is_asked_for_once_more() -> None:
    conversation = in_session()

    assert conversation.send_ms(None) == 100 + 3_000 + 1_000


def test_pause_grows_while_the_server_is_gone_and_differs_between_nodes() -> None:
    pauses: dict[str, list[int]] = {}
    for node in ("n1", "n2"):
        conversation, now_ms = Conversation(node, None), 0
        for _ in range(8):
            session = conversation.send(now_ms)
            conversation.on_unreachable(now_ms, session.sequence)
            due_ms = conversation.send_ms(now_ms)
            assert due_ms is not None
            pauses.setdefault(node, []).append(due_ms - now_ms)
            now_ms = due_ms

    assert all(200 <= pause <= 5_000 for pause in pauses["n1"])
    assert pauses["n1"][0] < 500
    assert pauses["n1"][-1] > 2_000
    assert pauses["n1"] != pauses["n2"]


def test_server_that_never_parks_cannot_make_the_node_spin() -> None:
    conversation = in_session()
    for _ in range(RATE_MAX - 2):
        conversation.on_reply(100, conversation.sequence, answer(conversation))
        conversation.send(100)
    conversation.on_reply(100, conversation.sequence, answer(conversation))

    assert conversation.send_ms(100) == 1_000
