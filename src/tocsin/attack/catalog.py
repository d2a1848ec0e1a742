"""Look up ATT&CK techniques in the release that ships with Tocsin.

The data file and its licence notice are `content/attack/`; nothing here names or counts
tactics or techniques, so a newer release is a newer file.
"""

from functools import cache
from pathlib import Path

import msgspec

from tocsin.model.alert import Technique

_DATA = Path(__file__).parent.parent / "content" / "attack" / "attack.json"


class _Tactic(msgspec.Struct, frozen=True):
    id: str
    short: str
    name: str


class _Technique(msgspec.Struct, frozen=True):
    name: str
    tactics: tuple[str, ...]
    platforms: tuple[str, ...] = ()


class _Revoked(msgspec.Struct, frozen=True):
    name: str
    status: str
    replaced_by: str | None = None


class Catalog(msgspec.Struct, frozen=True):
    """One release of ATT&CK."""

    version: str
    tactics: tuple[_Tactic, ...]
    techniques: dict[str, _Technique]
    revoked: dict[str, _Revoked]

    def technique(self, identifier: str) -> Technique:
        """Return what an id stands for; an id this release does not know keeps its text.

        A sub-technique's name is shown with its parent's; a revoked id with the name it had.
        """
        known = self.techniques.get(identifier)
        if known is None:
            revoked = self.revoked.get(identifier)
            return Technique(identifier, revoked.name if revoked else None)
        parent, dot, _ = identifier.partition(".")
        name = f"{self.techniques[parent].name}: {known.name}" if dot else known.name
        return Technique(identifier, name, known.tactics)


@cache
def catalog() -> Catalog:
    """Return the release that ships with Tocsin."""
    data = _DATA.read_bytes()
    return msgspec.json.decode(data, type=Catalog)
