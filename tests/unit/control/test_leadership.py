"""What a server may promise to nodes, by what the store has said of who leads."""

from pathfinder.control.leadership import Leadership


def test_what_came_before_the_store_was_asked_may_be_answered_and_nothing_later() -> None:
    leadership = Leadership(confirmed_ms=100)

    assert leadership.covers(100)
    assert not leadership.covers(101)


def test_an_answer_that_arrives_late_takes_nothing_back() -> None:
    leadership = Leadership(confirmed_ms=100)
    leadership.confirm(300)
    leadership.confirm(200)

    assert leadership.covers(300)
