"""Notice when an Audit-ID is used for two different requests.

The client may choose the Audit-ID, so somebody can send a harmless request first and hide a
harmful one behind the same id from whoever tells events apart by it. Tocsin does not; and
the attempt is an alert of its own. An aggregated API server repeats the id for the request
it serves: same user, same URI, no alert.
"""

from tocsin.model.errors import Location
from tocsin.model.event import NO_USER, AuditEvent
from tocsin.rules.ir import AnyOf, Rule

# Ids remembered: two generations of this many, about 12 MB in all. At an API server's
# maximum of 4,000 events/s that is 8 to 16 seconds, at an ordinary 100/s 5 to 10 minutes.
GENERATION = 32_768

_MASK = (1 << 64) - 1

RULE = Rule(
    id="tocsin-audit-id-reused",
    title="Audit-ID used for two different requests",
    dialect="tocsin",
    severity="medium",
    level="medium",
    match=AnyOf(()),
    at=Location("tocsin/detect/audit_ids.py"),
    message="$(user.username) sent a request under an Audit-ID that another request had",
    fields=("user.username",),
)


class AuditIds:
    """Remembers recent Audit-IDs, bounded; feed it every event."""

    def __init__(self) -> None:
        self._recent: dict[int, int] = {}
        self._older: dict[int, int] = {}

    def reused(self, cluster: str, event: AuditEvent) -> bool:
        """Return whether the event's id and stage were seen on a request of another kind."""
        key = hash((cluster, event.audit_id, event.stage))
        who = hash(((event.user or NO_USER).username, event.request_uri)) & _MASK
        when = hash(event.request_received_timestamp) & _MASK
        seen = self._recent.get(key) or self._older.get(key)
        if seen is None:
            if len(self._recent) >= GENERATION:
                self._older, self._recent = self._recent, {}
            self._recent[key] = who << 64 | when
            return False
        # The same time is the same request, sent again by the API server.
        return seen & _MASK != when and seen >> 64 != who
