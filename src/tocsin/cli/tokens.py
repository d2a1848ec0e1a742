"""`tocsin tokens`: which programs may ask the dashboard for data."""

import time
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from tocsin.cli.options import ConfigOption, DataOption, JsonOption, read_config
from tocsin.cli.users import WHO, RoleOption, role_of
from tocsin.model.errors import TocsinError
from tocsin.model.people import ApiToken
from tocsin.model.times import parse_duration
from tocsin.store.sqlite import join_store, read_store
from tocsin.web.access.names import check_name
from tocsin.web.access.secret import digest_of, new_token

tokens_app = typer.Typer(
    name="tokens", help="Which programs may ask the dashboard for data.", no_args_is_help=True
)

NameArgument = Annotated[str, typer.Argument(help="The token's name.")]


@tokens_app.command("create")
def create(
    name: NameArgument,
    *,
    owner: Annotated[str, typer.Option(help="The user it belongs to.")],
    role: RoleOption = "viewer",
    lasts: Annotated[str, typer.Option(help="For how long (30d, 12h), or 0 for ever.")] = "90d",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Create an API token and print it, this once.

    Example: tocsin tokens create grafana --owner alice --lasts 365d
    """
    check_name(name)
    now = time.time()
    seconds = parse_duration(lasts, "--lasts").total_seconds()
    secret = new_token()
    token = ApiToken(
        name=name,
        role=role_of(role),
        owner=owner,
        created=now,
        expires=now + seconds if seconds else None,
    )
    with join_store(read_config(config, data).store_path) as store:
        store.people.add_token(token, digest_of(secret))
        store.people.note(WHO, "token added", f"{name} as {token.role}", now)
    print(secret)


@tokens_app.command("list")
def list_tokens(
    *, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """List the tokens; they themselves are not kept.

    Example: tocsin tokens list
    """
    with read_store(read_config(config, data).store_path) as store:
        tokens = store.people.tokens()
    if as_json:
        for token in tokens:
            print(msgspec.json.encode(token).decode())
        return
    if not tokens:
        print("There is no token yet: `tocsin tokens create NAME --owner USER` makes one.")
        return
    table = Table(
        "name", "role", "owner", "ends", "last used", box=None, pad_edge=False, header_style="dim"
    )
    for token in tokens:
        ends, used = _day(token.expires), _day(token.last_used)
        table.add_row(token.name, token.role, token.owner, ends, used)
    Console(highlight=False, markup=False).print(table)


@tokens_app.command("revoke")
def revoke(name: NameArgument, *, config: ConfigOption = None, data: DataOption = None) -> None:
    """Remove a token: programs that use it are refused at once.

    Example: tocsin tokens revoke grafana
    """
    with join_store(read_config(config, data).store_path) as store:
        if not store.people.remove_token(name):
            message = f"there is no token {name!r}; `tocsin tokens list` shows those there are"
            raise TocsinError(message)
        store.people.note(WHO, "token removed", name, time.time())
    print(f"{name} is revoked.")


def _day(when: float | None) -> str:
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d}" if when else "never"
