"""Passwords of clusters and users: argon2id, two at a time, slower than guessing would like."""

import asyncio
import hmac
import secrets
from collections.abc import Callable
from typing import Final, TypeVar

from pathfinder.model.errors import TooBusy
from pathfinder.server.clock import Clock

T = TypeVar("T")
MEMORY_KIB: Final = 19_456  # OWASP's recommendation for argon2id: m=19 MiB, t=2, p=1
PASSES: Final = 2
AT_ONCE_MAX: Final = 2
WAITING_MAX: Final = 32
ATTEMPTS_MAX: Final = 10  # per peer and minute
MINUTE_MS: Final = 60_000
PEERS_MAX: Final = 10_000
RIGHT_MAX: Final = 1_000  # passwords that were right and are not checked again
BCRYPT: Final = ("$2a$", "$2b$", "$2y$")  # passwords that an import has taken over
BCRYPT_BYTES_MAX: Final = 72
# Of a password that nobody has: a name that does not exist is refused after the same work.
NOBODYS_HASH: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$MKbFnbPCLTcVlkDiruCR2w"
    "$jMyg1sPNjOkPgTjv88Rq77QlQg+2vCcqRIgTw3OHHmQ"
)


class Passwords:
    """Hashing and checking, each in a thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slots = asyncio.Semaphore(AT_ONCE_MAX)
        self._waiting = 0
        self._attempts: dict[str, list[int]] = {}
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, None] = {}
        self._under_way: dict[bytes, asyncio.Future[bool]] = {}

    async def digest(self, password: str, peer: str) -> str:
        """The text that is stored of a password; TooBusy."""
        from argon2 import PasswordHasher

        hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1)
        return await self._work(lambda: hasher.hash(password), peer)

    async def matches(self, password: str, password_hash: str, peer: str) -> bool:
        """Whether it is the password; TooBusy. Without a hash: no, after as much work.

        Fifty nodes that come at once with the same one are one check, and a right one is remembered
        (under a key that ends with the process) and not counted against who knows it.
        """
        mark = hmac.digest(self._key, f"{password_hash}\n{password}".encode(), "sha256")
        if mark in self._right:
            return True
        if mark in self._under_way:
            return await asyncio.shield(self._under_way[mark])
        checking = asyncio.ensure_future(
            self._work(lambda: _is_password(password, password_hash), peer)
        )
        self._under_way[mark] = checking
        try:
            is_right = await asyncio.shield(checking)
        finally:
            del self._under_way[mark]
        if is_right:
            self._forgive(peer)
            while len(self._right) >= RIGHT_MAX:
                del self._right[next(iter(self._right))]
            self._right[mark] = None
        return is_right

    async def _work(self, work: Callable[[], T], peer: str) -> T:
        self._count(peer)
        if self._waiting >= WAITING_MAX:
            raise TooBusy(f"{WAITING_MAX} passwords are being checked already")
        self._waiting += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1

    def _forgive(self, peer: str) -> None:
        """Take back the newest attempt: it was no guess."""
        attempts = self._attempts.get(peer)
        if attempts:
            attempts.pop()
        if not attempts:
            self._attempts.pop(peer, None)

    def _count(self, peer: str) -> None:
        now_ms = self._clock.now().uptime_ms
        if len(self._attempts) >= PEERS_MAX:
            self._attempts = {
                key: times
                for key, times in self._attempts.items()
                if now_ms - times[-1] < MINUTE_MS
            }
        recent = [at for at in self._attempts.get(peer, ()) if now_ms - at < MINUTE_MS]
        if len(recent) >= ATTEMPTS_MAX:
            raise TooBusy(
                f"more than {ATTEMPTS_MAX} passwords in a minute from {peer}",
                hint="wait a minute",
            )
        self._attempts[peer] = [*recent, now_ms]


def _is_password(password: str, password_hash: str) -> bool:
    if password_hash.startswith(BCRYPT):
        return _is_imported(password, password_hash)
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerifyMismatchError

    try:
        return PasswordHasher().verify(password_hash or NOBODYS_HASH, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


def _is_imported(password: str, password_hash: str) -> bool:
    import bcrypt

    # Longer ones were cut by the library that made the hash.
    secret = password.encode()[:BCRYPT_BYTES_MAX]
    try:
        return bcrypt.checkpw(secret, password_hash.encode())
    except ValueError:
        return False
