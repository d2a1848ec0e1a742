"""So much time and no more for what stands around the thing that people came for."""

import time
from collections.abc import Callable
from typing import TypeVar

from tocsin.model.ports import StoreUnavailable
from tocsin.model.queries import QueryTooWide

_T = TypeVar("_T")


class Patience:
    """Asks one question after the other, as long as there is time left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def ask(self, question: Callable[[float], _T]) -> _T | None:
        """Return the answer to a question, or None if there is none in time.

        `question` gets the seconds that are left, and may raise QueryTooWide or StoreUnavailable.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            return None
        try:
            return question(left)
        except (QueryTooWide, StoreUnavailable):
            return None
