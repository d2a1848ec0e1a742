"""The login, the first user, and the way out."""

from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import Response

from tocsin.model.errors import TocsinError
from tocsin.model.people import User
from tocsin.web.access.access import Access
from tocsin.web.access.names import check_name
from tocsin.web.access.passwords import Passwords, check_password
from tocsin.web.access.secret import digest_of
from tocsin.web.page import Context, Page

# Logins in five minutes: for one name from one address, for a name, from an address.
TRIES = 10
MANY_TRIES = 50

_WRONG = "This name and password do not belong together."
_TOO_OFTEN = "Too many logins in the last minutes. Wait five minutes and try again."
_NO_SETUP = (
    "This link does not count any more: it was used, is older than a day, or users exist. "
    "A new start of `tocsin serve` prints another as long as there is no user."
)


class Login:
    """The pages that somebody sees who is not logged in."""

    def __init__(self, access: Access, passwords: Passwords) -> None:
        self._access = access
        self._passwords = passwords

    def pages(self) -> list[Page]:
        """Return the pages."""
        both = ("GET", "POST")
        return [
            Page("/login", self.login, "public", both, name="login", shared=False),
            Page("/setup", self.setup, "public", both, name="setup", shared=False),
            Page("/logout", self.logout, "public", ("POST",), name="logout", shared=False),
        ]

    async def login(self, context: Context) -> Response:
        """Show the form, or take it: a right name and password begin a session."""
        if context.request.method != "POST":
            return _form(context, context.query.get("next", ""), "", "")
        form = await context.form()
        name, following = form.get("name", ""), form.get("next", "")
        if not await self._may_try(context, name):
            # Not noted: the tries before were, and a flood must not fill the log with itself.
            return _form(context, following, name, _TOO_OFTEN, 429)
        user = await context.read(context.site.people.user, name)
        usable = user.password if user and not user.disabled else None
        if not await self._passwords.matches(form.get("password", ""), usable) or user is None:
            await context.note("login failed", name)
            return _form(context, following, name, _WRONG, 401)
        await context.read(context.site.people.forget_logins, _key(context, name))
        return await self._enter(context, user.name, safe_path(following))

    async def setup(self, context: Context) -> Response:
        """Show the form for the first user, or make it."""
        if context.request.method != "POST":
            return _setup_form(context, context.query.get("token", ""), "", "")
        form = await context.form()
        name, token = form.get("name", ""), form.get("token", "").strip()
        try:
            check_name(name)
            check_password(name, form.get("password", ""))
            if form.get("password") != form.get("again"):
                raise TocsinError("the two passwords differ")  # noqa: EM101, TRY301, TRY003
        except TocsinError as error:
            return _setup_form(context, token, name, str(error), 400)
        if not await self._may_try(context, "setup"):
            return _setup_form(context, token, name, _TOO_OFTEN, 429)
        password = await self._passwords.hash(form["password"])
        first = User(name=name, role="admin", password=password, created=context.now)
        people = context.site.people
        if not await context.read(people.use_setup, digest_of(token), first, context.now):
            return _setup_form(context, "", name, _NO_SETUP, 403)
        return await self._enter(context, name, "/")

    async def logout(self, context: Context) -> Response:
        """End the session, if there is one."""
        response = context.redirect("/login")
        if context.visitor and context.visitor.session:
            await context.note("logged out")
            await context.read(context.site.people.close_session, context.visitor.session)
        self._access.forget(response)
        return response

    async def _may_try(self, context: Context, name: str) -> bool:
        allow = context.site.people.allow_login
        address = context.request.client.host if context.request.client else "-"
        return (
            await context.read(allow, _key(context, name), context.now, TRIES)
            and await context.read(allow, f"name {name[:100]}", context.now, MANY_TRIES)
            and await context.read(allow, f"address {address}", context.now, MANY_TRIES)
        )

    async def _enter(self, context: Context, user: str, path: str) -> Response:
        """Begin a session with an id that nobody knew before."""
        people = context.site.people
        if context.visitor and context.visitor.session:
            await context.read(people.close_session, context.visitor.session)
        response = context.redirect(path)
        await self._access.open(response, user)
        await context.read(people.note, user, "logged in", "", context.now)
        return response


def safe_path(path: str) -> str:
    """Return where to go after the login: a path of ours, else the overview."""
    parts = urlsplit(path)
    ours = path.startswith("/") and not path.startswith(("//", "/\\"))
    clean = path.isprintable() and "\\" not in path
    return path if ours and clean and not parts.netloc and not parts.scheme else "/"


def _key(context: Context, name: str) -> str:
    address = context.request.client.host if context.request.client else "-"
    return f"login {address} {name[:100]}"


def _form(context: Context, following: str, name: str, problem: str, status: int = 200) -> Response:
    if context.visitor and not problem:
        return context.redirect(safe_path(following))
    return context.page(
        "login.html", status=status, next=following, name=name, problem=problem, live=False
    )


def _setup_form(
    context: Context, token: str, name: str, problem: str, status: int = 200
) -> Response:
    if len(token) > 100:  # noqa: PLR2004 - ours are shorter
        raise HTTPException(400, "This is no token of ours.")
    return context.page(
        "setup.html", status=status, token=token, name=name, problem=problem, live=False
    )
