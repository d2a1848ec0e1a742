"""Names of users and tokens."""

from tocsin.model.errors import TocsinError

MAX_LENGTH = 64
_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@+-")


def check_name(name: str) -> None:
    """Refuse what is no name.

    Raises:
        TocsinError: with a sentence that says why.
    """
    if not (0 < len(name) <= MAX_LENGTH and set(name) <= _ALLOWED):
        message = f"a name has 1 to {MAX_LENGTH} letters, digits or any of . _ @ + -"
        raise TocsinError(message)
