"""What decoding makes of one posted body: its events, and what of it was rejected."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from tocsin.model.event import AuditEvent

# Of each body so many rejects are kept one by one; further ones are counted.
MAX_REJECTS = 1000


@dataclass(frozen=True, slots=True)
class Reject:
    """Something in a batch that is no proper audit event, and why.

    Past MAX_REJECTS of a body, one stands for all further ones: `count` is how many.
    """

    reason: str
    raw: bytes
    count: int = 1


@dataclass(slots=True)
class Batch:
    """The events of one body, in order, and what of it was rejected.

    Events point into the body's memory; keep nothing of them beyond the batch.
    """

    events: list[AuditEvent] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    slices: Callable[[], Sequence[msgspec.Raw | bytes]] = tuple
    _cut: Sequence[msgspec.Raw | bytes] | None = None

    def raw(self, index: int) -> bytes:
        """Return a copy of the exact bytes of one event; cut apart once, when first asked."""
        if self._cut is None:
            self._cut = self.slices()
        return bytes(self._cut[index])

    def reject(self, rejects: Iterable[Reject]) -> None:
        """Add rejects, the first ones of a body one by one."""
        for reject in rejects:
            if len(self.rejects) < MAX_REJECTS:
                self.rejects.append(reject)
                continue
            count = self.rejects.pop().count if len(self.rejects) > MAX_REJECTS else 0
            self.rejects.append(Reject("more of the same body", b"", count + reject.count))
