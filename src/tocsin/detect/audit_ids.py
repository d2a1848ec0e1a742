"""Notice when an Audit-ID is used for two different requests.

The client may choose the Audit-ID, so somebody can send a harmless request first and hide a
harmful one behind the same id from whoever tells events apart by it. Tocsin does not; and
the attempt is an alert of its own. An aggregated API server repeats the id for the request
it serves: same user, same URI, no alert.
"""

from collections.abc import Iterable

from tocsin.model.errors import Location
from tocsin.model.event import NO_USER, AuditEvent
from tocsin.rules.ir import AnyOf, Rule

# Ids remembered per cluster: two generations of this many, about 10 MB in all. At an API
# server's maximum of 4,000 events/s that is 4 to 8 seconds, at an ordinary 100/s 3 to 5 minutes.
GENERATION = 16_384

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


# When a request came; who sent it, and for what. Hashes: the texts may be of any length.
Request = tuple[int, int]


class AuditIds:
    """Remembers the recent Audit-IDs of one cluster, bounded; feed it every event."""

    def __init__(self) -> None:
        self._recent: dict[int, Request] = {}
        self._older: dict[int, Request] = {}

    def reused(self, events: Iterable[AuditEvent]) -> list[int]:
        """Return the indices of events whose Audit-ID was seen on another kind of request."""
        found = []
        for index, event in enumerate(events):
            if not event.audit_id:
                continue
            key = hash(event.audit_id)
            who = hash(((event.user or NO_USER).username, event.request_uri))
            request = (hash(event.request_received_timestamp), who)
            seen = self._recent.setdefault(key, request)
            if seen is request:
                # New in this generation.
                seen = self._older.get(key, request)
                if len(self._recent) >= GENERATION:
                    self._older, self._recent = self._recent, {}
            # At the same time it is another stage, or a resend; by the same user for the same
            # URI it is an aggregated API server.
            if seen[0] != request[0] and seen[1] != who:
                found.append(index)
        return found
