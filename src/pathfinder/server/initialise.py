"""`pathfinder init`: a data directory that a server can start on; again is the same.

Works on the store itself, by the same commands as the API: nothing is made that could not be
explained by the journal.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pathfinder.control.access import SYSTEM, digest, same
from pathfinder.control.codec import encode_record, load_snapshot, replay
from pathfinder.control.commands import (
    ChangeUser,
    Command,
    CreateToken,
    CreateUser,
    PutCluster,
    Request,
    SetPassword,
)
from pathfinder.control.controller import Controller
from pathfinder.control.objects import Cluster, Role, Token, User
from pathfinder.control.state import State
from pathfinder.model.errors import PathfinderError
from pathfinder.server.certificates import make_certificate
from pathfinder.server.clock import Clock
from pathfinder.server.files import DataDirectory, read_secret, write_private
from pathfinder.server.passwords import MEMORY_KIB, PASSES
from pathfinder.server.trouble import Trouble
from pathfinder.store.port import RECORD_BYTES_MAX, Store

ADMINISTRATOR: Final = "admin"
PASSWORD_LENGTH_MIN: Final = 12
LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What shall be true afterwards. A file that exists is read, one that does not is made."""

    data_directory: Path
    cluster: str
    cluster_password_file: Path | None
    admin_token_file: Path | None
    app_token_file: Path | None
    admin_password_file: Path | None = None
    hosts: tuple[str, ...] = ()  # names and addresses of this server, for its certificate


class Foundation:
    """A store that is led for a moment, without a server."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """StoreFailure when it cannot be led; Occupied when a server runs on it."""
        self._store = store
        self._clock = clock
        tenure = store.lead()
        state, after_seq = State(), 0
        if tenure.snapshot is not None:
            state, after_seq = load_snapshot(tenure.snapshot.chunks), tenure.snapshot.seq
        for record in store.read(after_seq):
            replay(state, record.body)
        self._epoch = tenure.epoch
        self._controller = Controller(
            state,
            epoch=tenure.epoch,
            incarnation=secrets.token_hex(8),
            uptime_ms=clock.now().uptime_ms,
        )

    @property
    def state(self) -> State:
        """What there is."""
        return self._controller.state

    def run(self, command: Command, *, dry_run: bool = False) -> None:
        """Decide a command and make it durable; Trouble."""
        moment = self._clock.now()
        try:
            outcome = self._controller.execute(Request(SYSTEM, command, dry_run=dry_run), moment)
        except PathfinderError as error:
            raise Trouble(error.message, hint=error.hint) from None
        if outcome.change is not None:
            record = encode_record([outcome.change])
            if len(record) > RECORD_BYTES_MAX:
                raise Trouble(f"this is more than {RECORD_BYTES_MAX >> 20} MiB at once")
            self._store.append(self._epoch, moment.wall_ms, record)


def initialise(wishes: Wishes, open_store: Callable[[Path], Store], clock: Clock) -> list[str]:
    """Make the wishes true; what to tell the person, secrets only for a terminal."""
    directory = DataDirectory(wishes.data_directory)
    try:
        directory.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Trouble(f"cannot make {directory.root}: {error.strerror}") from None
    said = []
    store = open_store(directory.journal)
    try:
        foundation = Foundation(store, clock)
        said += _cluster(foundation, wishes)
        for role, path in (("admin", wishes.admin_token_file), ("app", wishes.app_token_file)):
            said += _token(foundation, "admin" if role == "admin" else "app", path)
        said += _administrator(foundation, wishes.admin_password_file)
    finally:
        store.close()
    if make_certificate(directory, wishes.hosts):
        hosts = ", ".join(("localhost", "this host's name", *wishes.hosts))
        said.append(f"made {directory.certificate} (825 days, for {hosts})")
    return said


def _cluster(foundation: Foundation, wishes: Wishes) -> list[str]:
    foundation.run(PutCluster(wishes.cluster))
    path = wishes.cluster_password_file
    if path is None:
        return []
    said = []
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24) + "\n")
        said.append(f"made {path}")
    password = read_secret(path)
    cluster = foundation.state.get(Cluster, wishes.cluster)
    assert cluster is not None
    if not _is_password(password, cluster.password_hash):
        foundation.run(PutCluster(wishes.cluster, hashed(password)))
    return said


def _token(foundation: Foundation, role: Role, path: Path | None) -> list[str]:
    if path is None:
        if role != "admin" or any(t.role == "admin" for t in foundation.state.all(Token)):
            return []
        # The first administrator must get in: without a file, by what is shown once.
        text = f"pft.{secrets.token_hex(8)}.{secrets.token_hex(32)}"
        _make_token(foundation, role, text)
        return [f"admin token, shown this once: {text}"]
    said = []
    if not path.exists():
        write_private(path, f"pft.{secrets.token_hex(8)}.{secrets.token_hex(32)}\n")
        said.append(f"made {path}")
    _make_token(foundation, role, read_secret(path))
    return said


def _make_token(foundation: Foundation, role: Role, text: str) -> None:
    kind, _, rest = text.partition(".")
    identifier, _, secret = rest.partition(".")
    if kind != "pft" or not identifier.isalnum() or len(secret) < 32:
        raise Trouble(
            f"the file for the {role} token does not hold one",
            hint="a token reads pft.ID.SECRET; remove the file to have one made",
        )
    there = foundation.state.get(Token, identifier)
    if there is None:
        foundation.run(
            CreateToken(id=identifier, role=role, secret_digest=digest(secret), name=f"{role}-init")
        )
    elif there.role != role or not same(there.secret_digest, digest(secret)):
        raise Trouble(
            f"there is another token {identifier!r} with another secret or role",
            hint="remove the file to have a new one made",
        )


def _administrator(foundation: Foundation, path: Path | None) -> list[str]:
    """The user `admin`, with the password in the file; without one, shown once when there is none.

    With the file this is also the way back in for who has forgotten the password.
    """
    there = foundation.state.get(User, ADMINISTRATOR)
    if path is None:
        if any(user.role == "admin" for user in foundation.state.all(User)):
            return []
        password = made_password()
        said = [f"user {ADMINISTRATOR}, password shown this once: {password}"]
    else:
        said = []
        if not path.exists():
            write_private(path, f"{made_password()}\n")
            said.append(f"made {path}")
        password = read_secret(path)
        if len(password) < PASSWORD_LENGTH_MIN:
            raise Trouble(
                f"the password in {path} is too short",
                hint=f"{PASSWORD_LENGTH_MIN} characters or more; remove the file to have one made",
            )
    if there is None:
        foundation.run(CreateUser(ADMINISTRATOR, hashed(password), "admin"))
    elif not _is_password(password, there.password_hash):
        foundation.run(SetPassword(ADMINISTRATOR, hashed(password)))
    # No change when it is so already.
    foundation.run(ChangeUser(ADMINISTRATOR, role="admin", clusters=(), disabled=False))
    return said


def made_password() -> str:
    """Twenty letters and digits that are not mistaken for one another, in groups: 99 bits."""
    groups = ("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(5))
    return "-".join(groups)


def hashed(password: str) -> str:
    """What is stored of a password."""
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1).hash(password)


def _is_password(password: str, hashed: str) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerifyMismatchError

    try:
        return PasswordHasher().verify(hashed, password)
    except (VerifyMismatchError, InvalidHashError):
        return False
