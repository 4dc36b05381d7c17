"""Messages of every released version still parse, and mean the same.

`tests/golden/VERSION/MESSAGE[_CASE].json`: one document each, as that version writes it. Files of a
released version are never changed. `kept_unknown` stands for the fields of a later version.
"""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import pytest

from pathfinder.wire.codec import decode, document, encode
from pathfinder.wire.messages import MESSAGES, Reply

GOLDEN: Final = Path(__file__).parents[1] / "golden"
FILES: Final = sorted(GOLDEN.glob("*/*.json"))
KIND_OF_NAME: Final[dict[str, type]] = {kind.__name__.lower(): kind for kind in MESSAGES}
# Written only where they differ from their default, which they do in no released version.
USUAL: Final = ("extra", "protocol", "heartbeat_ms")


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_message_of_a_released_version_means_the_same_when_written_again(file: Path) -> None:
    message: Any = decode(kind_of(file), file.read_bytes())

    assert json.loads(encode(message)) == json.loads(file.read_text())


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_field_that_this_version_does_not_know_is_kept(file: Path) -> None:
    said = json.loads(file.read_text())
    said["from_the_future"] = {"nested": [1, None, "x"]}

    message: Any = decode(kind_of(file), json.dumps(said).encode())

    assert message.extra["from_the_future"] == {"nested": [1, None, "x"]}
    assert document(message) == said


def test_every_message_and_every_kind_of_reply_has_a_golden_file() -> None:
    versions = {file.parent.name for file in FILES}

    for version in versions:
        names = {file.stem for file in FILES if file.parent.name == version}
        messages = {name.partition("_")[0] for name in names}
        replies = {f"reply_{kind}" for kind in ("hello", "complete", "difference", "nothing")}
        assert messages == set(KIND_OF_NAME), version
        assert replies <= names, version


def test_every_kind_of_reply_is_what_its_file_says() -> None:
    for file in GOLDEN.glob("*/reply_*.json"):
        assert decode(Reply, file.read_bytes()).kind == file.stem.partition("_")[2]


def test_every_field_of_every_message_is_in_some_golden_file() -> None:
    texts = dict.fromkeys(KIND_OF_NAME, "")
    for file in FILES:
        texts[file.stem.partition("_")[0]] += file.read_text()

    missing = [
        f"{name}.{field.name}"
        for name, kind in KIND_OF_NAME.items()
        for field in fields(kind)
        if f'"{field.name}"' not in texts[name] and field.name not in USUAL
    ]

    assert missing == []


def kind_of(file: Path) -> type[Any]:
    """Which message a golden file holds, by its name."""
    return KIND_OF_NAME[file.stem.partition("_")[0]]
