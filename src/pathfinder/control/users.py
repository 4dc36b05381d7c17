"""Commands about people who sign in, and about their sign-ins."""

from typing import Final

from msgspec.structs import replace

from pathfinder.control import commands
from pathfinder.control.access import HINT_OF_SIGN_IN, Principal
from pathfinder.control.objects import Cluster, Token, User
from pathfinder.control.transaction import Transaction
from pathfinder.model import names
from pathfinder.model.errors import Conflict, NameTaken, TooMuch, Unauthorized

USERS_MAX: Final = 1_000
SIGN_INS_MAX: Final = 20  # of one user; the oldest gives way


def create_user(tx: Transaction, principal: Principal, command: commands.CreateUser) -> User:
    """Let a person sign in; nobody can make one who may more than himself."""
    _administer(principal, command.clusters)
    _need_clusters(tx, command.clusters)
    if tx.state.get(User, names.name(command.name, "name")) is not None:
        raise NameTaken(
            f"there is a user {command.name!r} already", hint=f"pfi passwd {command.name}"
        )
    if tx.state.count(User) >= USERS_MAX:
        raise TooMuch(f"at most {USERS_MAX} users")
    tx.event("created", kind="user", name=command.name, why=command.role)
    return tx.put(
        User(
            name=command.name,
            password_hash=command.password_hash,
            role=command.role,
            clusters=command.clusters,
            password_ms=tx.now_ms,
            created_by=principal.name,
        )
    )


def change_user(tx: Transaction, principal: Principal, command: commands.ChangeUser) -> User:
    """Change what a person may, from the next request on."""
    old = tx.need(User, command.name)
    _administer(principal, old.clusters)
    clusters = old.clusters if command.clusters is None else command.clusters
    _administer(principal, clusters)
    _need_clusters(tx, command.clusters or ())
    new = replace(
        old,
        role=command.role or old.role,
        clusters=clusters,
        disabled=old.disabled if command.disabled is None else command.disabled,
    )
    if new == old:
        return old
    if (new.role, new.clusters) != (old.role, old.clusters):
        where = ", ".join(new.clusters) or "all clusters"
        tx.event("changed", kind="user", name=new.name, why=f"{new.role} of {where}")
    if new.disabled != old.disabled:
        tx.event("disabled" if new.disabled else "enabled", kind="user", name=new.name)
    if new.disabled:
        _end_sign_ins(tx, new.name)
    return tx.put(new)


def set_password(tx: Transaction, principal: Principal, command: commands.SetPassword) -> User:
    """Another password, by an administrator or by the person; other sign-ins end."""
    user = tx.need(User, command.name)
    if principal.user != user.name:
        _administer(principal, user.clusters)
    tx.event("password_changed", kind="user", name=user.name)
    _end_sign_ins(tx, user.name, but=principal.token)
    return tx.put(replace(user, password_hash=command.password_hash, password_ms=tx.now_ms))


def delete_user(tx: Transaction, principal: Principal, command: commands.DeleteUser) -> User:
    """Forget a person."""
    user = tx.need(User, command.name)
    _administer(principal, user.clusters)
    _end_sign_ins(tx, user.name)
    tx.drop(user)
    tx.event("deleted", kind="user", name=user.name)
    return user


def sign_in(tx: Transaction, principal: Principal, command: commands.SignIn) -> Token:
    """Remember a sign-in. Those that are over are forgotten, and the oldest when there are many."""
    user = tx.state.get(User, principal.user)
    if user is None or user.disabled or user.password_hash != command.password_hash:
        # Changed since the shell has checked the password.
        raise Unauthorized("name and password do not belong together", hint=HINT_OF_SIGN_IN)
    over = [token for token in tx.state.all(Token) if _is_over(token, tx.now_ms)]
    for token in over:
        tx.drop(token)
    mine = sorted(_sign_ins(tx, user.name), key=lambda token: token.created_ms)
    for token in mine[: max(0, len(mine) + 1 - SIGN_INS_MAX)]:
        tx.drop(token)
        why = f"the oldest of {SIGN_INS_MAX} sign-ins gives way"
        tx.event("signed_out", kind="user", name=user.name, why=why)
    tx.event("signed_in", kind="user", name=user.name, why=f"from {command.peer}")
    return tx.put(
        Token(
            id=command.id,
            role="sign-in",
            secret_digest=command.secret_digest,
            user=user.name,
            expires_ms=tx.now_ms + min(command.idle_ms, command.whole_ms),
            ends_ms=tx.now_ms + command.whole_ms,
            idle_ms=command.idle_ms,
            created_by=user.name,
        )
    )


def renew_sign_in(tx: Transaction, principal: Principal, command: commands.RenewSignIn) -> Token:
    """A sign-in is used, and lasts on. No event: people would not look for it."""
    token = _own(tx, principal, command.id)
    expires_ms = min(token.ends_ms, tx.now_ms + token.idle_ms)
    if expires_ms <= token.expires_ms:
        return token
    return tx.put(replace(token, expires_ms=expires_ms))


def sign_out(tx: Transaction, principal: Principal, command: commands.SignOut) -> Token:
    """End one's own sign-in, from the next request on."""
    token = _own(tx, principal, command.id)
    tx.drop(token)
    tx.event("signed_out", kind="user", name=token.user)
    return token


def close_cluster(tx: Transaction, cluster: str) -> None:
    """A cluster goes: who was for it must not be for another that is made under its name."""
    for user in list(tx.state.all(User)):
        if user.clusters == (cluster,):
            # Without any cluster the person would be for all of them.
            why = f"cluster {cluster} is deleted, and there is no other"
            tx.event("disabled", kind="user", name=user.name, why=why)
            _end_sign_ins(tx, user.name)
            tx.put(replace(user, disabled=True))
        elif cluster in user.clusters:
            left = tuple(name for name in user.clusters if name != cluster)
            tx.put(replace(user, clusters=left))


def _administer(principal: Principal, clusters: tuple[str, ...]) -> None:
    principal.require("admin", clusters[0] if len(clusters) == 1 else "")


def _need_clusters(tx: Transaction, clusters: tuple[str, ...]) -> None:
    for cluster in clusters:
        tx.need(Cluster, cluster)


def _own(tx: Transaction, principal: Principal, identifier: str) -> Token:
    token = tx.state.get(Token, identifier)
    if token is None or token.role != "sign-in":
        raise Conflict("this is not a sign-in", hint="a token is revoked: pfi delete token ID")
    if token.user != principal.user:
        raise Unauthorized("this sign-in is somebody else's")
    return token


def _sign_ins(tx: Transaction, user: str) -> list[Token]:
    return [token for token in tx.state.all(Token) if token.user == user]


def _end_sign_ins(tx: Transaction, user: str, *, but: str = "") -> None:
    for token in _sign_ins(tx, user):
        if token.id != but:
            tx.drop(token)


def _is_over(token: Token, now_ms: int) -> bool:
    return token.role == "sign-in" and now_ms > token.expires_ms
