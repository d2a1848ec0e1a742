"""What detection remembers survives a restart: saved with its position, read on from there.

Alerts are stored as they are found, and the state behind them every few seconds. After a restart
the posts since are evaluated once more: with the state of before they give the alerts of before,
and those are known already.
"""

import logging
import time
from collections.abc import Sequence

import msgspec

from tocsin.detect.state import Checkpointed
from tocsin.store.sqlite import SqliteStore

INTERVAL_SECONDS = 10.0

log = logging.getLogger(__name__)


class Checkpoints:
    """Saves and restores the parts of the detector's state.

    Attributes:
        position: that of the last checkpoint; the spool has to keep what comes after it.
    """

    def __init__(self, store: SqliteStore, parts: Sequence[Checkpointed]) -> None:
        self._store = store
        self._parts = parts
        self._due = 0.0
        self.position = 0

    def restore(self, committed: int) -> int:
        """Take over what was saved, and return the position from which to evaluate.

        Without any the state begins where the alerts end; a part that cannot be read begins
        empty, and the health findings say so.

        Args:
            committed: the position up to which alerts are stored.

        Raises:
            StoreUnavailable: the store cannot be read now.
        """
        saved = self._store.checkpoints.load()
        self.position = committed
        if saved is None:
            return committed
        position, states = saved
        for part in self._parts:
            if part.name in states:
                self._restore(part, states[part.name])
        self.position = min(position, committed)
        return self.position

    def save(self, position: int) -> None:
        """Save the state at a position, if it is time.

        Raises:
            StoreUnavailable: the store cannot be written now.
        """
        now = time.monotonic()
        if now < self._due:
            return
        self._store.checkpoints.save(position, {part.name: part.save() for part in self._parts})
        self.position = position
        # Large states take long: never more than a tenth of the time.
        self._due = max(now + INTERVAL_SECONDS, time.monotonic() + 9 * (time.monotonic() - now))

    def _restore(self, part: Checkpointed, state: bytes) -> None:
        try:
            part.restore(state)
        except (ValueError, msgspec.MsgspecError) as error:
            message = f"what {part.name} remembered cannot be read, and begins anew: {error}"
            log.warning("%s", message)
            self._store.health.report("detector", part.name, message, time.time())
