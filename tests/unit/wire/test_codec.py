"""Messages as JSON: what a stranger sends is either a message that can be stored, or refused."""

import json
from typing import Any

import pytest

from pathfinder.model.errors import Malformed
from pathfinder.wire.codec import DEPTH_MAX, INTEGER_MAX, decode, encode
from pathfinder.wire.messages import Exchange, Facts, Session

SESSION = {"epoch": 1, "incarnation": "i", "sequence": 2}


def nested(levels: int) -> list[Any]:
    """Lists in lists."""
    inner: list[Any] = []
    for _ in range(levels - 1):
        inner = [inner]
    return inner


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"sent_ms": "now"}, "Exchange.sent_ms: must be int, not str"),
    ({"sent_ms": True}, "Exchange.sent_ms: must be int, not bool"),
    ({"sent_ms": INTEGER_MAX + 1}, "Exchange.sent_ms: must fit into 64 bits"),
    ({"facts": {"cpu_millis": -INTEGER_MAX - 1}}, "Exchange.facts.cpu_millis: must fit"),
    ({"facts": {"zone": {"a": [INTEGER_MAX + 1]}}}, "Exchange.facts.zone: must fit"),
    ({"zone": nested(DEPTH_MAX + 1)}, "Exchange.zone: more than 16 levels deep"),
    ({"holding": {}}, "Exchange.holding: must be a list"),
    ({"holding": [{"slot": "a", "generation": 1, "phase": "no"}]}, "Exchange.holding[0].phase: "),
    ({"session": {"epoch": 1}}, "Exchange.session: "),
    ({"runtime_error": "\ud800"}, "Exchange: not JSON"),
    ({"\udfff": 1}, "Exchange: not JSON"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_what_could_not_be_stored_is_refused_with_its_place(
    fields: dict[str, Any], message: str
) -> None:
    data = json.dumps({"session": SESSION, "sent_ms": 1, **fields}).encode()
    with pytest.raises(Malformed) as refused:
        decode(Exchange, data)

    assert refused.value.message.startswith(message)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode(Exchange, data)


def test_text_outside_the_basic_plane_is_text_like_any_other() -> None:
    exchange = Exchange(
        session=Session(epoch=1, incarnation="i", sequence=2), sent_ms=1, runtime_error="\N{OTTER}"
    )

    assert decode(Exchange, encode(exchange)) == exchange


def test_unknown_fields_are_kept_and_written_back() -> None:
    extra = {"zone": "z1", "levels": nested(DEPTH_MAX), "most": INTEGER_MAX}
    facts = decode(Facts, json.dumps({"hostname": "h", **extra}).encode())

    assert facts == Facts(hostname="h", extra=extra)
    assert json.loads(encode(facts)) == {"hostname": "h", **extra}
