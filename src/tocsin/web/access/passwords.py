"""Passwords: hashed with argon2id, in threads of their own, a few at a time.

A hash takes some 50 ms and 64 MiB on purpose. Were it done where requests are answered, a
flood of logins would stop every page.
"""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from starlette.exceptions import HTTPException

from tocsin.model.errors import TocsinError

MIN_LENGTH = 12
MAX_LENGTH = 256
_HASHERS = 2
_WAITING = 20

_hasher = PasswordHasher()


def check_password(name: str, password: str) -> None:
    """Refuse a password that is easily guessed.

    Raises:
        TocsinError: with a sentence that says why.
    """
    if len(password) < MIN_LENGTH:
        message = f"a password has at least {MIN_LENGTH} characters; several words are easy to type"
        raise TocsinError(message)
    if len(password) > MAX_LENGTH:
        message = f"a password has at most {MAX_LENGTH} characters"
        raise TocsinError(message)
    if len(set(password)) < MIN_LENGTH // 2 or name.lower() in password.lower():
        message = "the password repeats a few characters or contains the name: choose another"
        raise TocsinError(message)


def first_password() -> str:
    """Return a password for somebody to log in with at first."""
    return "-".join(secrets.token_hex(2) for _ in range(4))


def hash_password(password: str) -> str:
    """Return what is stored of a password. Slow on purpose."""
    return _hasher.hash(password)


def is_password(password: str, stored: str) -> bool:
    """Return whether the password is the stored one. Slow on purpose."""
    try:
        return _hasher.verify(stored, password)
    except (Argon2Error, InvalidHashError):
        return False


@cache
def _hash_of_nobody() -> str:
    """Return what is compared when there is no such user, so that the time tells nothing."""
    return hash_password(secrets.token_urlsafe(32))


class Passwords:
    """Hashes and compares off the event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_HASHERS, "argon2")
        self._waiting = 0
        self._nobody = _hash_of_nobody()

    async def hash(self, password: str) -> str:
        """Return what is stored of a password."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, hash_password, password)

    async def matches(self, password: str, stored: str | None) -> bool:
        """Return whether it is the stored one; None is a user that does not exist.

        Raises:
            HTTPException: too many wait already.
        """
        if self._waiting >= _WAITING:
            raise HTTPException(429, "Too many people log in at this moment. Try again.")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            same = await loop.run_in_executor(
                self._pool, is_password, password[:MAX_LENGTH], stored or self._nobody
            )
        finally:
            self._waiting -= 1
        return same and bool(stored)
