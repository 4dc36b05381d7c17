"""Passwords of clusters: ours, imported ones, and many nodes that come at once."""

import asyncio

import bcrypt
import pytest
from argon2 import PasswordHasher

from pathfinder.model.errors import TooBusy
from pathfinder.server.clock import MachineClock
from pathfinder.server.passwords import ATTEMPTS_MAX, Passwords

OURS = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("right")
IMPORTED = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode().replace("$2b$", "$2a$")
LONG = "x" * 100
IMPORTED_LONG = bcrypt.hashpw(LONG.encode()[:72], bcrypt.gensalt(4)).decode()


def is_right(password: str, hashed: str) -> bool:
    return asyncio.run(Passwords(MachineClock()).matches(password, hashed, "peer"))


@pytest.mark.parametrize("hashed", [OURS, IMPORTED], ids=["ours", "imported"])
def test_password_of_either_form_is_checked(hashed: str) -> None:
    assert is_right("right", hashed)
    assert not is_right("wrong", hashed)


def test_long_password_counts_as_far_as_the_original_looked() -> None:
    assert is_right(LONG, IMPORTED_LONG)
    assert not is_right("y" + LONG, IMPORTED_LONG)


@pytest.mark.parametrize("hashed", ["", "$2a$", "$2a$04$short", "nonsense"])
def test_hash_that_is_none_matches_nothing(hashed: str) -> None:
    assert not is_right("right", hashed)


def test_right_password_is_not_counted_against_who_knows_it() -> None:
    async def many() -> list[bool]:
        passwords = Passwords(MachineClock())
        at_once = await asyncio.gather(
            *(passwords.matches("right", OURS, "peer") for _ in range(5 * ATTEMPTS_MAX))
        )
        later = [await passwords.matches("right", OURS, "peer") for _ in range(ATTEMPTS_MAX)]
        return [*at_once, *later]

    assert all(asyncio.run(many()))


def test_peer_that_knows_many_passwords_is_not_held_to_guess() -> None:
    """Behind a proxy the agents of all clusters come from one address."""
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    pairs = [(f"right-{number}", hasher.hash(f"right-{number}")) for number in range(12)]

    async def all_of_them() -> list[bool]:
        passwords = Passwords(MachineClock())
        return [await passwords.matches(password, hashed, "peer") for password, hashed in pairs]

    assert len(pairs) > ATTEMPTS_MAX
    assert all(asyncio.run(all_of_them()))


def test_guesses_have_a_bound() -> None:
    """Promise 11."""

    async def guess() -> None:
        passwords = Passwords(MachineClock())
        for number in range(ATTEMPTS_MAX + 1):
            await passwords.matches(f"wrong-{number}", OURS, "peer")

    with pytest.raises(TooBusy):
        asyncio.run(guess())


def test_one_wrong_guess_repeated_is_still_counted() -> None:
    async def guess() -> None:
        passwords = Passwords(MachineClock())
        for _ in range(ATTEMPTS_MAX + 1):
            await passwords.matches("wrong", OURS, "peer")

    with pytest.raises(TooBusy):
        asyncio.run(guess())
