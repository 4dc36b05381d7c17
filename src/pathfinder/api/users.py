"""Routes for people who sign in. Nobody becomes one but by an administrator."""

from typing import Any, Final

from litestar import Response, delete, get, patch, post, put
from litestar.params import JSONBody

from pathfinder.api import bodies
from pathfinder.api import parameters as given
from pathfinder.api.answers import answer, encoded
from pathfinder.api.asking import SECRET_BODY, FromAsking, FromChanging
from pathfinder.control import commands, queries, views
from pathfinder.control.access import Principal
from pathfinder.control.views import Plan
from pathfinder.model.errors import Forbidden

PATH: Final = "/api/v3/users"
ONE: Final = f"{PATH}/{{name:str}}"


@get(PATH, tags=["users"])
async def list_users(
    asking: FromAsking, after: given.After = "", limit: given.Limit = given.LIMIT_DEFAULT
) -> Response[queries.UserPage]:
    """The people who may sign in to what the caller administers."""
    caller = asking.caller
    window = given.window(after, limit)
    return encoded(
        await asking.look(lambda c, _: queries.users(c, caller, window), "admin", _scope(caller))
    )


@get(ONE, tags=["users"])
async def get_user(name: given.UserName, asking: FromAsking) -> Response[views.UserView]:
    """One person."""
    caller = asking.caller
    view = await asking.look(lambda c, _: queries.one_user(c, name), "admin", _scope(caller))
    for cluster in view.clusters or ("",):
        caller.require("admin", cluster)
    return encoded(view, etag=view.revision)


@post(PATH, tags=["users"], opt=SECRET_BODY)
async def create_user(
    data: JSONBody[bodies.UserBody], changing: FromChanging
) -> Response[views.UserView | Plan]:
    """Let a person sign in, by a password of 12 characters or more."""
    changing.caller.require("admin", _scope(changing.caller))
    hashed = await changing.backend.hash_password(data.password, f"user {data.name}")
    command = commands.CreateUser(data.name, hashed, data.role, data.clusters)
    body = await changing.run(command)
    return answer(body, views.UserView, status=200 if changing.dry_run else 201)


@patch(ONE, tags=["users"])
async def change_user(
    name: given.UserName, data: JSONBody[bodies.UserChanges], changing: FromChanging
) -> Response[views.UserView | Plan]:
    """Change what a person may, or whether he may sign in, from the next request on."""
    command = commands.ChangeUser(name, data.role, data.clusters, data.disabled)
    return answer(await changing.run(command), views.UserView)


@put(f"{ONE}/password", tags=["users"], opt=SECRET_BODY)
async def set_password(
    name: given.UserName, data: JSONBody[bodies.PasswordBody], changing: FromChanging
) -> Response[views.UserView | Plan]:
    """Another password: an administrator for anybody, a person for himself. Other sign-ins end."""
    backend, caller = changing.backend, changing.caller
    limited_by = f"user {name}"
    if caller.user == name:
        hashed = await backend.look(lambda c, _: queries.password_hash_of_user(c, name))
        if not await backend.is_password(data.current_password, hashed, limited_by):
            raise Forbidden("the present password is another", hint="current_password: type it")
    else:
        caller.require("admin", _scope(caller))
    new = await backend.hash_password(data.password, limited_by)
    return answer(await changing.run(commands.SetPassword(name, new)), views.UserView)


@delete(ONE, status_code=200, tags=["users"])
async def delete_user(
    name: given.UserName, changing: FromChanging
) -> Response[views.UserView | Plan]:
    """Forget a person; the sign-ins end at once."""
    return answer(await changing.run(commands.DeleteUser(name)), views.UserView)


def _scope(caller: Principal) -> str:
    return caller.clusters[0] if caller.clusters else ""


ROUTES: Final[tuple[Any, ...]] = (
    list_users,
    get_user,
    create_user,
    change_user,
    set_password,
    delete_user,
)
