"""Only so many pages are made at a time: a crowd of them delays itself, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.exceptions import HTTPException

# More of them at once only make each other late: there are few processors.
AT_ONCE = 3
WAIT_SECONDS = 0.5
_CROWD = "Many pages are being asked for at this moment. Try again."


class Turns:
    """Lends turns; who waits too long for one is told to come back."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and hold it while the body of the `async with` runs.

        Raises:
            HTTPException: too many others are waiting.
        """
        try:
            await asyncio.wait_for(self._free.acquire(), WAIT_SECONDS)
        except TimeoutError as error:
            raise HTTPException(429, _CROWD, {"Retry-After": "2"}) from error
        try:
            yield
        finally:
            self._free.release()
