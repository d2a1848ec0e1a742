"""Who asks, and what that person may do."""

from dataclasses import dataclass, field
from typing import Literal

from tocsin.model.people import ROLES, Role

Permission = Literal["public", "view", "respond", "admin"]

_LEAST: dict[Permission, Role] = {"view": "viewer", "respond": "responder", "admin": "admin"}


@dataclass(frozen=True, slots=True)
class Scope:
    """How much of the data a person may see: today everything.

    It is part of the key under which rendered pages are kept, and where a limit to some
    namespaces will be applied to every question to the store.
    """

    name: str = "all"


@dataclass(frozen=True, slots=True)
class Person:
    """A person or a program that proved who it is.

    Attributes:
        name: the user's name; for a program `token NAME`.
        role: what it may do.
        scope: what it may see.
        session: digest of the session's id, empty for a program.
        must_change: whether a password has to be chosen before anything else.
    """

    name: str
    role: Role
    scope: Scope = field(default_factory=Scope)
    session: str = ""
    must_change: bool = False

    def may(self, permission: Permission) -> bool:
        """Return whether the person has this right."""
        if permission == "public":
            return True
        return ROLES.index(self.role) >= ROLES.index(_LEAST[permission])
