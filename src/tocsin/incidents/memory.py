"""What grouping needs to know of what it grouped before, and what it leaves behind.

The store stands behind it. All of it is read and written in one transaction, together with
how far the alerts were grouped.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tocsin.incidents.case import Case
from tocsin.incidents.links import Link
from tocsin.model.ports import StoredAlert


class Span(NamedTuple):
    """From when to when an incident's alerts had a link, in seconds since the epoch.

    `row` tells spans of one link apart.
    """

    row: int
    incident: str
    first: float
    last: float


class Memory(Protocol):
    """What was grouped so far."""

    def case(self, incident_id: str) -> Case:
        """Return an incident to be changed; what is changed is kept."""
        ...

    def open(self, case: Case) -> Case:
        """Keep a new incident and return it; if there is one of this id, return that."""
        ...

    def join(self, case: Case, stored: StoredAlert) -> bool:
        """Put an alert into an incident; return False if it was there."""
        ...

    def move(self, source: Case, target: Case) -> int:
        """Move all that is known of one incident to another, and end it.

        Returns how many facts were in both.
        """
        ...

    def spans(self, link: Link, first: float, last: float) -> list[Span]:
        """Return the spans of a link that touch a time."""
        ...

    def widen(self, link: Link, case: Case, first: float, last: float, old: list[Span]) -> None:
        """Put one span in the place of others."""
        ...

    def facts(self, link: Link, first: float, last: float) -> list[StoredAlert]:
        """Return the facts that have a link, of a time that includes its borders."""
        ...

    def remember(self, links: Sequence[Link], time: float, stored: StoredAlert) -> None:
        """Keep the links of a fact."""
        ...
