"""Tells who asks: the session in a browser's cookie, or a program's API token."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import Response

from tocsin.model.people import PeopleStore
from tocsin.web.access.secret import TOKEN_PREFIX, digest_of, new_secret
from tocsin.web.person import Person

COOKIE = "__Host-tocsin"
SESSION_SECONDS = 7 * 86400.0
IDLE_SECONDS = 12 * 3600.0

_SECRET_LENGTH = 43
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="tocsin"'}


class Access:
    """Looks sessions and tokens up, in threads of its own: a flood of wrong ones blocks nobody."""

    def __init__(self, people: PeopleStore, clock: Callable[[], float]) -> None:
        self._people = people
        self._clock = clock
        self._pool = ThreadPoolExecutor(2, "web-access")

    async def identify(self, headers: Headers) -> Person | None:
        """Return who sends these headers, None for nobody we know.

        Raises:
            HTTPException: an API token is sent, but none that counts.
        """
        authorization = headers.get("authorization")
        loop = asyncio.get_running_loop()
        if authorization is not None:
            person = await loop.run_in_executor(self._pool, self._program, authorization)
            if person is None:
                raise HTTPException(401, "This API token does not count.", _CHALLENGE)
            return person
        session = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        if len(session) != _SECRET_LENGTH:
            return None
        return await loop.run_in_executor(self._pool, self._user, session)

    async def open(self, response: Response, user: str) -> None:
        """Begin a session with an id of its own, and give it to the browser."""
        session = new_secret()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(
            self._pool,
            self._people.open_session,
            digest_of(session),
            user,
            self._clock(),
            SESSION_SECONDS,
            IDLE_SECONDS,
        )
        response.set_cookie(
            COOKIE,
            session,
            max_age=int(SESSION_SECONDS),
            path="/",
            secure=True,
            httponly=True,
            samesite="lax",
        )

    def forget(self, response: Response) -> None:
        """Take the session away from the browser."""
        response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")

    def _program(self, authorization: str) -> Person | None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or len(token) != len(TOKEN_PREFIX) + _SECRET_LENGTH:
            return None
        known = self._people.token(digest_of(token), self._clock())
        return Person(f"token {known.name}", known.role) if known else None

    def _user(self, session: str) -> Person | None:
        known = self._people.session(digest_of(session), self._clock())
        if known is None:
            return None
        user = known.user
        return Person(user.name, user.role, session=known.digest, must_change=user.must_change)
