"""All that a store is: what another one than SQLite has to bring.

`tests/unit/store/contract` holds each of them to it.
"""

from typing import Protocol

from tocsin.model.incident import IncidentStore
from tocsin.model.outbox import Outbox
from tocsin.model.people import PeopleStore
from tocsin.model.ports import AlertStore, HealthLog, SourceLog
from tocsin.model.queries import AlertQueries
from tocsin.model.response import ResponseStore
from tocsin.model.silence import SilenceStore


class Store(AlertStore, AlertQueries, Protocol):
    """Alerts with all that stands beside them."""

    @property
    def outbox(self) -> Outbox:
        """Notifications that wait to be sent."""
        ...

    @property
    def health(self) -> HealthLog:
        """Findings about Tocsin itself."""
        ...

    @property
    def sources(self) -> SourceLog:
        """What was heard of each API server."""
        ...

    @property
    def incidents(self) -> IncidentStore:
        """Incidents, and what people decided about them."""
        ...

    @property
    def people(self) -> PeopleStore:
        """Users, sessions, tokens, and what people did."""
        ...

    @property
    def responses(self) -> ResponseStore:
        """Responses, and what people ask of the responder."""
        ...

    @property
    def silences(self) -> SilenceStore:
        """Silences, and how much was hidden."""
        ...
