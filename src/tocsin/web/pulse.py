"""The pulse: has anything changed, and is the alarm itself well? Looked at once for everybody."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from tocsin.model.ports import StoreUnavailable
from tocsin.model.response import ResponseFilter
from tocsin.web.responding import Stop
from tocsin.web.site import Site

LOOK_SECONDS = 1.0
WAITING = ResponseFilter(states=("awaiting-approval",))


@dataclass(frozen=True, slots=True)
class Beat:
    """What one look found.

    Attributes:
        version: an opaque version of all that is shown.
        warnings: what is wrong with the alarm itself.
        stop: who stopped all responses, None while they may run.
        waiting: how many responses wait for approval.
    """

    version: str = ""
    warnings: tuple[str, ...] = ()
    stop: Stop | None = None
    waiting: int = 0


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
                beat = await asyncio.to_thread(_take, self._site)
                self.beat = replace(beat, version=f"{beat.version}.{own}")
                self._looked = self._monotonic()
        return self.beat

    def changed(self) -> None:
        """Look anew the next time: a person changed something and wants to see it."""
        self._own += 1
        self._looked = float("-inf")


def _take(site: Site) -> Beat:
    stop = site.switch.stopped()
    # The switch is no part of the store: it works while that does not.
    switch = f"{stop.time}" if stop else "-"
    try:
        findings = site.health.findings()
        version = f"{site.alerts.version()}.{switch}"
        waiting = site.responses.count(WAITING)
    except StoreUnavailable as error:
        sentence = f"The store cannot be read: {error}"
        return Beat(f"unavailable.{switch}", (sentence,), stop)
    # The findings of a damaged line have counts that grow; only what is said matters here.
    said = tuple(one.message for one in findings)
    return Beat(version, (*site.warnings, *said), stop, waiting)
