"""A person's own account: the password, the open sessions, the colours."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from tocsin.model.errors import TocsinError
from tocsin.model.people import User, UserChange
from tocsin.web.access.access import Access
from tocsin.web.access.passwords import Passwords, check_password
from tocsin.web.page import Context, Page
from tocsin.web.security import THEME_COOKIE, THEMES

_YEAR_SECONDS = 365 * 86400


class Account:
    """The pages about the person who asks."""

    def __init__(self, access: Access, passwords: Passwords) -> None:
        self._access = access
        self._passwords = passwords

    def pages(self) -> list[Page]:
        """Return the pages."""
        both, post = ("GET", "POST"), ("POST",)
        return [
            Page("/account", self.account, "view", both, name="account", shared=False),
            Page("/account/sessions", self.end_sessions, "view", post, name="sessions"),
            Page("/theme", self.theme, "view", post, name="theme"),
        ]

    async def account(self, context: Context) -> Response:
        """Show the account, or take a new password."""
        if context.request.method != "POST":
            return await _show(context, "")
        form = await context.form()
        name = context.person.name
        user = await _user(context)
        try:
            check_password(name, form.get("password", ""))
            if form.get("password") != form.get("again"):
                raise TocsinError("the two passwords differ")  # noqa: EM101, TRY301, TRY003
        except TocsinError as error:
            return await _show(context, str(error), 400)
        people = context.site.people
        if not await context.read(people.allow_login, f"password {name}", context.now):
            return await _show(context, "Too many tries. Wait five minutes.", 429)
        if not await self._passwords.matches(form.get("current", ""), user.password):
            return await _show(context, "The current password is another one.", 403)
        change = UserChange(
            password=await self._passwords.hash(form["password"]), must_change=False
        )
        await context.read(people.change_user, name, change)
        await context.note("password changed")
        response = context.redirect("/account" if not user.must_change else "/")
        # All sessions ended with the old password; this browser goes on with a new one.
        await self._access.open(response, name)
        return response

    async def end_sessions(self, context: Context) -> Response:
        """End all sessions of the person, also this one."""
        ended = await context.read(context.site.people.close_sessions, context.person.name)
        await context.note("sessions ended", str(ended))
        response = context.redirect("/login")
        self._access.forget(response)
        return response

    async def theme(self, context: Context) -> Response:
        """Remember which colours the person wants in this browser."""
        theme = (await context.form()).get("theme", "")
        response = context.redirect("/account" if context.person.must_change else "/")
        if theme in THEMES:
            response.set_cookie(
                THEME_COOKIE,
                theme,
                max_age=_YEAR_SECONDS,
                secure=True,
                httponly=True,
                samesite="lax",
            )
        else:
            response.delete_cookie(THEME_COOKIE, secure=True, httponly=True, samesite="lax")
        return response


async def _user(context: Context) -> User:
    user = await context.read(context.site.people.user, context.person.name)
    if user is None or not context.person.session:
        raise HTTPException(403, "A token has no account; log in with a browser.")
    return user


async def _show(context: Context, problem: str, status: int = 200) -> Response:
    user = await _user(context)
    sessions = await context.read(context.site.people.sessions, user.name, context.now)
    return context.page(
        "account.html", status=status, user=user, sessions=sessions, problem=problem, live=False
    )
