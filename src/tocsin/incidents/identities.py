"""Identities that many things share, so that having them in common says nothing."""

from collections.abc import Iterable


class Shared:
    """A set of user names; a pattern ends in `*` where any text may follow."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        patterns = set(patterns)
        self._names = frozenset(name for name in patterns if not name.endswith("*"))
        self._beginnings = tuple(name[:-1] for name in patterns if name.endswith("*"))

    def __contains__(self, user: str) -> bool:
        return user in self._names or user.startswith(self._beginnings)
