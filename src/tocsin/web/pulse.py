"""The pulse: has anything changed, and is the alarm itself well? Looked at once for everybody."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tocsin.model.ports import StoreUnavailable
from tocsin.web.site import Site

LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Beat:
    """What one look found: an opaque version of all that is shown, and what is wrong."""

    version: str = ""
    warnings: tuple[str, ...] = ()


class Pulse:
    """Looks at most once a second, however many ask."""

    def __init__(self, site: Site, monotonic: Callable[[], float]) -> None:
        self._site = site
        self._monotonic = monotonic
        self._looked = float("-inf")
        self._own = 0
        self._looking = asyncio.Lock()
        self.beat = Beat()

    async def look(self) -> Beat:
        """Return what is so, at most a second old."""
        async with self._looking:
            if self._monotonic() - self._looked >= LOOK_SECONDS:
                own = self._own
                version, warnings = await asyncio.to_thread(_take, self._site)
                self.beat = Beat(f"{version}.{own}", warnings)
                self._looked = self._monotonic()
        return self.beat

    def changed(self) -> None:
        """Look anew the next time: a person changed something and wants to see it."""
        self._own += 1
        self._looked = float("-inf")


def _take(site: Site) -> tuple[str, tuple[str, ...]]:
    try:
        findings = site.health.findings()
        version = site.alerts.version()
    except StoreUnavailable as error:
        return "unavailable", (f"The store cannot be read: {error}",)
    # The findings of a damaged line have counts that grow; only what is said matters here.
    return version, (*site.warnings, *(one.message for one in findings))
