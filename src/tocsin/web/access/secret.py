"""Secrets that Tocsin makes, and their digests, which are all that is stored.

They have 256 random bits, so a plain digest is enough: there is nothing to guess.
"""

import hashlib
import secrets

TOKEN_PREFIX = "tocsin_"  # noqa: S105 - what tokens begin with, so that scanners find them


def new_secret() -> str:
    """Return a new session id or set-up token."""
    return secrets.token_urlsafe(32)


def new_token() -> str:
    """Return a new API token."""
    return TOKEN_PREFIX + new_secret()


def digest_of(secret: str) -> str:
    """Return what is stored in place of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
