"""When a thing is as it was waited for."""

from typing import Any

import pytest

from pathfinder.cli.errors import Misused
from pathfinder.cli.waiting import condition, progress
from pathfinder.client.kinds import CONTAINER, DEPLOYMENT, IMAGE, NODE, Kind
from tests.support.stub_api import container, deployment


def test_a_container_is_ready_when_it_says_so() -> None:
    assert progress(CONTAINER, container("web"), "ready").is_done
    assert not progress(CONTAINER, {**container("web"), "ready": False}, "ready").is_done


def test_a_deployment_is_ready_when_all_replicas_are_new_and_ready() -> None:
    begun = deployment("web", 2)

    assert not progress(DEPLOYMENT, begun, "ready").is_done
    assert not progress(DEPLOYMENT, {**begun, "ready": 2, "updated": 1}, "ready").is_done
    assert not progress(DEPLOYMENT, {**begun, "ready": 2, "current": 3}, "ready").is_done
    assert progress(DEPLOYMENT, {**begun, "ready": 2}, "ready").is_done


def test_what_waits_says_why_and_what_would_help() -> None:
    explanation = {"text": "no node fits", "remedies": ["add a node"]}
    waiting = {
        **container("web"), "phase": "PENDING", "ready": False, "node": "",
        "explanation": explanation,
    }  # fmt: skip

    now = progress(CONTAINER, waiting, "ready")

    assert (now.text, now.hint) == ("PENDING: no node fits", "add a node")


def test_a_node_is_drained_when_it_is_empty_and_says_what_stays_until_then() -> None:
    stays = {"name": "db", "why": "it fits on no other node", "hint": "add a node"}
    drain = {
        "containers": 5, "left": 3, "moving": 2, "stays": [stays], "ends_in_ms": None,
        "ended_ms": 0,
    }  # fmt: skip
    assert condition("drained", NODE) == "drained"
    now = progress(NODE, {"name": "n1", "drain": drain}, "drained")

    assert (now.is_done, now.hint) == (False, "db: add a node")
    assert now.text == "3 of 5 left, 2 on their way; db stays: it fits on no other node"
    going = {**drain, "stays": [], "ends_in_ms": 90_000}
    assert progress(NODE, {"name": "n1", "drain": going}, "drained").text.endswith(
        "for about 1m30s"
    )
    assert progress(NODE, {"name": "n1", "drain": {**drain, "ended_ms": 1}}, "drained").is_done
    assert progress(NODE, {"name": "n1", "drain": None}, "drained").hint == "pfi drain n1"


def test_what_is_gone_was_waited_for_only_by_those_who_wanted_it_gone() -> None:
    assert progress(CONTAINER, None, "deleted").is_done
    assert not progress(CONTAINER, None, "ready").is_done
    assert not progress(CONTAINER, container("web"), "deleted").is_done


def test_a_phase_is_waited_for_by_its_name() -> None:
    wanted = condition("phase=bootstrapped", CONTAINER)

    assert wanted == "phase=BOOTSTRAPPED"
    assert progress(CONTAINER, container("web"), wanted).is_done


@pytest.mark.parametrize(
    ("text", "kind", "hint"),
    [
        ("phase=BOOTSTRAPD", CONTAINER, "did you mean BOOTSTRAPPED?"),
        ("phase=PENDING", NODE, "containers have"),
        ("ready", IMAGE, ""),
        ("redy", CONTAINER, "write ready, deleted, moved, drained or phase=NAME"),
    ],
)
def test_what_can_never_be_is_refused_at_once(text: str, kind: Kind, hint: str) -> None:
    with pytest.raises(Misused) as caught:
        condition(text, kind)
    assert caught.value.hint == hint


def test_a_node_is_ready_by_its_status() -> None:
    node: dict[str, Any] = {"status": "suspect"}

    assert not progress(NODE, node, "ready").is_done
    assert progress(NODE, {"status": "ready"}, "ready").is_done
