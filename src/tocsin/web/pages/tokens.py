"""API tokens, for admins: which programs may ask, and for how long."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from tocsin.model.people import ROLES, ApiToken
from tocsin.web.access.names import check_name
from tocsin.web.access.secret import digest_of, new_token
from tocsin.web.page import Context, Page
from tocsin.web.pages.people import role_of
from tocsin.web.tables import Column, Table

_DAY_SECONDS = 86400.0
LIFETIMES = {"30": "30 days", "90": "90 days", "365": "a year", "0": "for ever"}

COLUMNS = (
    Column("name", "Name", lambda token: token.name),
    Column("role", "Role", lambda token: token.role),
    Column("owner", "Owner", lambda token: token.owner),
    Column("created", "Created", lambda token: token.created, "number"),
    Column("expires", "Expires", lambda token: token.expires, "number"),
    Column("last_used", "Last used", lambda token: token.last_used, "number"),
)


async def table(context: Context) -> Table:
    """Return all tokens."""
    return Table("tokens", COLUMNS, await context.read(context.site.people.tokens))


async def show(context: Context) -> Response:
    """Show the tokens."""
    return context.page("tokens.html", table=await table(context), roles=ROLES, lifetimes=LIFETIMES)


async def add(context: Context) -> Response:
    """Add a token of the person who asks, and show it once."""
    form = await context.form()
    name = form.get("name", "")
    check_name(name)
    days = form.get("days", "90")
    if days not in LIFETIMES:
        raise HTTPException(400, f"A token lasts one of {', '.join(LIFETIMES)} days.")
    lasts = float(days) * _DAY_SECONDS
    secret = new_token()
    token = ApiToken(
        name=name,
        role=role_of(form),
        owner=context.person.name,
        created=context.now,
        expires=context.now + lasts if lasts else None,
    )
    await context.read(context.site.people.add_token, token, digest_of(secret))
    await context.note("token added", f"{name} as {token.role}")
    return context.page("tokens-added.html", name=name, secret=secret, live=False)


async def remove(context: Context) -> Response:
    """Remove a token."""
    name = context.part("name")
    if await context.read(context.site.people.remove_token, name):
        await context.note("token removed", name)
    return context.redirect("/tokens")


PAGES = [
    Page("/tokens", show, "admin", name="tokens", table=table, columns=COLUMNS, shared=False),
    Page("/tokens/add", add, "admin", ("POST",), name="tokens-add"),
    Page("/tokens/{name}/remove", remove, "admin", ("POST",), name="tokens-remove"),
]
