"""Identity, checkpoint and pin: small files that survive.

Promise 10.
"""

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from pathfinder.agent.checkpoint import CheckpointFile
from pathfinder.agent.conversation import Checkpoint
from pathfinder.agent.identity import FILE, IdentityWrong, keep, load_or_make, pin_of
from pathfinder.model.errors import Malformed

PIN = "ab" * 32
CHECKPOINT = Checkpoint(epoch=3, incarnation="a", sequence=77, lease_until_ms=9_000)


def test_secret_is_made_once_and_readable_for_its_owner_alone(tmp_path: Path) -> None:
    made = load_or_make(str(tmp_path), "west", "n1", PIN)

    again = load_or_make(str(tmp_path), "west", "n1", "")

    assert again == made
    assert (len(made.secret), made.pin) == (64, PIN)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_newer_token_replaces_the_pin_and_keeps_the_secret(tmp_path: Path) -> None:
    made = load_or_make(str(tmp_path), "west", "n1", PIN)

    again = load_or_make(str(tmp_path), "west", "n1", "cd" * 32)

    assert again == replace(made, pin="cd" * 32)


def test_state_directory_of_another_node_is_refused(tmp_path: Path) -> None:
    load_or_make(str(tmp_path), "west", "n1", "")

    with pytest.raises(IdentityWrong, match="belongs to node n1 of cluster west"):
        load_or_make(str(tmp_path), "west", "n2", "")


def test_broken_identity_is_refused_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")

    with pytest.raises(IdentityWrong, match="cannot be read"):
        load_or_make(str(tmp_path), "west", "n1", "")
    assert (tmp_path / FILE).read_text() == "{"


def test_secret_does_not_show_when_an_identity_is_printed(tmp_path: Path) -> None:
    made = load_or_make(str(tmp_path), "west", "n1", "")
    keep(str(tmp_path), made)

    assert made.secret not in repr(made)


def test_join_token_gives_its_pin() -> None:
    assert pin_of(f"pf1.{PIN}.t1.{'s' * 32}") == PIN
    assert pin_of(f"pf1.-.t1.{'s' * 32}") == ""


@pytest.mark.parametrize("text", ["secret", f"pf2.{PIN}.t1.{'s' * 32}", f"pf1.xyz.t1.{'s' * 32}"])
def test_what_is_no_join_token_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(Malformed, match="not of the form") as refusal:
        pin_of(text)

    assert text not in str(refusal.value)


def test_checkpoint_survives_a_restart(tmp_path: Path) -> None:
    file = CheckpointFile(path=str(tmp_path / "checkpoint.json"), boot_id="b1")

    file.save(CHECKPOINT)

    assert file.load() == CHECKPOINT


def test_another_boot_ends_the_lease_and_keeps_the_session(tmp_path: Path) -> None:
    path = str(tmp_path / "checkpoint.json")
    CheckpointFile(path=path, boot_id="b1").save(CHECKPOINT)

    loaded = CheckpointFile(path=path, boot_id="b2").load()

    assert loaded == replace(CHECKPOINT, lease_until_ms=0)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"epoch": "x"}', json.dumps({"epoch": 1})])
def test_broken_checkpoint_is_as_none(tmp_path: Path, content: str) -> None:
    file = CheckpointFile(path=str(tmp_path / "checkpoint.json"), boot_id="b1")
    (tmp_path / "checkpoint.json").write_text(content)

    assert file.load() is None


def test_missing_checkpoint_is_none(tmp_path: Path) -> None:
    assert CheckpointFile(path=str(tmp_path / "none.json"), boot_id="b1").load() is None
