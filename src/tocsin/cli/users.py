"""`tocsin users`: who may log in to the dashboard."""

import json
import sys
import time
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from tocsin.cli.options import ConfigOption, DataOption, JsonOption, read_config
from tocsin.model.errors import TocsinError
from tocsin.model.people import ROLES, Role, UserChange
from tocsin.runtime.newuser import add_user
from tocsin.store.sqlite import join_store, read_store
from tocsin.web.access.names import check_name
from tocsin.web.access.passwords import check_password, first_password, hash_password

WHO = "command line"

users_app = typer.Typer(name="users", help="Who may log in to the dashboard.", no_args_is_help=True)

RoleOption = Annotated[str, typer.Option(metavar="|".join(ROLES), help="What it may do.")]
NameArgument = Annotated[str, typer.Argument(help="The user's name.")]


@users_app.command("add")
def add(
    name: NameArgument,
    *,
    role: RoleOption = "viewer",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Add a user and print a first password, to be changed at the first login.

    Example: tocsin users add alice --role responder
    """
    check_name(name)
    wanted = role_of(role)
    password = first_password()
    with join_store(read_config(config, data).store_path) as store:
        add_user(store, name, wanted, password, time.time(), must_change=True)
        store.people.note(WHO, "user added", f"{name} as {wanted}", time.time())
    print(f"{name} may log in as {wanted}. First password, to be changed then: {password}")


@users_app.command("list")
def list_users(
    *, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """List the users.

    Example: tocsin users list
    """
    with read_store(read_config(config, data).store_path) as store:
        users = store.people.users()
    if as_json:
        for user in users:
            shown = msgspec.to_builtins(user)
            del shown["password"]
            print(json.dumps(shown))
        return
    if not users:
        print("There is no user yet: `tocsin users add NAME --role admin` makes one.")
        return
    table = Table("name", "role", "since", "state", box=None, pad_edge=False, header_style="dim")
    for user in users:
        state = "disabled" if user.disabled else "has to choose a password"
        since = datetime.fromtimestamp(user.created, UTC)
        shown = state if user.disabled or user.must_change else "may log in"
        table.add_row(user.name, user.role, f"{since:%Y-%m-%d}", shown)
    Console(highlight=False, markup=False).print(table)


@users_app.command("passwd")
def passwd(
    name: NameArgument,
    *,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Take the password from standard input.")
    ] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Give a user another password and end its sessions.

    Without --stdin a first password is printed, to be changed at the next login.

    Example: tocsin users passwd alice
    """
    password = sys.stdin.readline().rstrip("\n") if stdin else first_password()
    check_password(name, password)
    change = UserChange(password=hash_password(password), must_change=not stdin)
    with join_store(read_config(config, data).store_path) as store:
        store.people.change_user(name, change)
        store.people.note(WHO, "user changed", f"{name}: password reset", time.time())
    if stdin:
        print(f"The password of {name} is changed.")
    else:
        print(f"First password of {name}, to be changed at the login: {password}")


@users_app.command("disable")
def disable(
    name: NameArgument,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Let the user in again.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Let a user in no more: its sessions and tokens stop counting at once.

    Example: tocsin users disable alice
    """
    with join_store(read_config(config, data).store_path) as store:
        store.people.change_user(name, UserChange(disabled=not undo))
        word = "enabled" if undo else "disabled"
        store.people.note(WHO, "user changed", f"{name}: {word}", time.time())
    print(f"{name} is {word}.")


def role_of(text: str) -> Role:
    """Return the role of that name.

    Raises:
        TocsinError: there is none.
    """
    if text not in ROLES:
        message = f"--role {text!r} is not one of {', '.join(ROLES)}"
        raise TocsinError(message)
    return text
