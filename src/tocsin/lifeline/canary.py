"""The canary: a harmless request of our own whose audit event must come back.

Its Audit-ID says when it was sent and carries a code made with a key that only Tocsin has, so
that nobody can pretend that a dead line is alive. Seen again later, it says nothing new.
"""

import hashlib
import hmac

PATH = "/api/v1/namespaces/default/configmaps/tocsin-canary"
PREFIX = "tocsin-canary-"

_CODE_BYTES = 16


def canary_key(spool_key: bytes) -> bytes:
    """Return the key of canaries, made from the key of the data folder."""
    return hashlib.blake2b(spool_key, digest_size=32, person=b"tocsin-canary").digest()


def canary_id(key: bytes, cluster: str, sent: float) -> str:
    """Return the Audit-ID of the canary sent to a cluster at a time (epoch seconds)."""
    millis = round(sent * 1000)
    return f"{PREFIX}{millis}-{_code(key, cluster, millis)}"


def sent_at(key: bytes, cluster: str, audit_id: str) -> float | None:
    """Return when the canary with this id was sent, or None if it is none of ours."""
    millis, _, code = audit_id.removeprefix(PREFIX).partition("-")
    if len(millis) > len("1700000000000") or not millis.isdecimal() or not millis.isascii():
        return None
    if not hmac.compare_digest(code.encode(), _code(key, cluster, int(millis)).encode()):
        return None
    return int(millis) / 1000


def _code(key: bytes, cluster: str, millis: int) -> str:
    text = f"{cluster}\0{millis}".encode()
    return hashlib.blake2b(text, key=key, digest_size=_CODE_BYTES).hexdigest()
