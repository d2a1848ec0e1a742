"""Who is who: digests that tell events, requests and alerts apart.

Never the Audit-ID alone: the client chooses it. Digests are BLAKE2b-128 in hexadecimal.
"""

from hashlib import blake2b

import msgspec

from tocsin.model.digest import digest
from tocsin.model.event import NO_USER, AuditEvent

# How the API server's log back end begins a line; list items leave it out.
_LOG_PREFIX = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1",'
_HEADER = frozenset({"kind", "apiVersion"})
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def event_digest(cluster: str, event: AuditEvent, raw: bytes) -> str:
    """Return the digest of an event's bytes, the same for a list item and a log line."""
    if raw.startswith(_LOG_PREFIX):
        raw = b"{" + raw[len(_LOG_PREFIX) :]
    elif event.kind is not None or event.api_version is not None:
        members = _members.decode(raw)
        raw = msgspec.json.encode({k: v for k, v in members.items() if k not in _HEADER})
    state = blake2b(b"%s\0" % cluster.encode(), digest_size=16)
    state.update(raw)
    return state.hexdigest()


def alert_id(dialect: str, rule_id: str, cluster: str, event: AuditEvent) -> str:
    """Return the id of a rule's alert on a request: the same for all stages of the request."""
    return digest(dialect, rule_id, *_request(cluster, event))


def request_digest(cluster: str, event: AuditEvent) -> str:
    """Return the digest of a request: the same for all of its stages."""
    return digest(*_request(cluster, event))


def _request(cluster: str, event: AuditEvent) -> tuple[str | None, ...]:
    return (
        cluster,
        event.audit_id,
        (event.user or NO_USER).username,
        event.verb,
        event.request_uri,
        event.request_received_timestamp,
    )
