"""Users, for admins: who may come in, and with which rights."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from tocsin.model.people import ROLES, Role, User, UserChange
from tocsin.web.access.names import check_name
from tocsin.web.access.passwords import first_password, hash_password
from tocsin.web.page import Context, Page
from tocsin.web.tables import Column, Table

COLUMNS = (
    Column("name", "Name", lambda user: user.name),
    Column("role", "Role", lambda user: user.role),
    Column("disabled", "Disabled", lambda user: user.disabled, "boolean"),
    Column("created", "Created", lambda user: user.created, "number"),
)


async def table(context: Context) -> Table:
    """Return all users."""
    return Table("users", COLUMNS, await context.read(context.site.people.users))


async def show(context: Context) -> Response:
    """Show the users."""
    return context.page("people.html", table=await table(context), roles=ROLES)


async def add(context: Context) -> Response:
    """Add a user, and show its first password once."""
    form = await context.form()
    name, role = form.get("name", ""), role_of(form)
    check_name(name)
    password = first_password()
    user = User(
        name=name,
        role=role,
        password=await context.read(hash_password, password),
        created=context.now,
        must_change=True,
    )
    await context.read(context.site.people.add_user, user)
    await context.note("user added", f"{name} as {role}")
    return context.page("people-added.html", name=name, password=password, live=False)


async def change(context: Context) -> Response:
    """Change a user's role, let it in or not, or give it a new first password."""
    form = await context.form()
    name = context.part("name")
    people = context.site.people
    match form.get("do"):
        case "role":
            wanted = UserChange(role=role_of(form))
            what = f"is now {wanted.role}"
        case "disable":
            wanted, what = UserChange(disabled=True), "disabled"
        case "enable":
            wanted, what = UserChange(disabled=False), "enabled"
        case "reset":
            password = first_password()
            hashed = await context.read(hash_password, password)
            wanted, what = UserChange(password=hashed, must_change=True), "password reset"
            await context.read(people.change_user, name, wanted)
            await context.note("user changed", f"{name}: {what}")
            return context.page("people-added.html", name=name, password=password, live=False)
        case _:
            raise HTTPException(400, "There is nothing of that name to do.")
    await context.read(people.change_user, name, wanted)
    await context.note("user changed", f"{name}: {what}")
    return context.redirect("/people")


def role_of(form: dict[str, str]) -> Role:
    """Return the role that a form names.

    Raises:
        HTTPException: there is none of that name.
    """
    role = form.get("role", "viewer")
    if role not in ROLES:
        raise HTTPException(400, f"A role is one of {', '.join(ROLES)}.")
    return role


PAGES = [
    Page("/people", show, "admin", name="people", table=table, columns=COLUMNS, shared=False),
    Page("/people/add", add, "admin", ("POST",), name="people-add"),
    Page("/people/{name}", change, "admin", ("POST",), name="people-change"),
]
