"""Marks: the Audit-IDs of our own requests, which nobody else can make.

The API server writes a request's Audit-ID into its audit event. So the event proves what
became of the request, is never taken for a reason to respond, and a request of the responder's
account without a mark was made by somebody who stole its credential.

Anybody may send any text as Audit-ID: reading one costs the same whatever it is.
"""

import hashlib
import hmac

PREFIX = "tocsin-"
MAX_NUMBER = 999

_RESPONSE_DIGITS = 32
# 80 bits, which can only be guessed by asking the API server. With them the longest mark has
# 64 characters, as much as anything that stores such ids can be expected to take.
_CODE_BYTES = 10
_HEX = frozenset("0123456789abcdef")
_MAX_LENGTH = len(PREFIX) + _RESPONSE_DIGITS + len(f"-{MAX_NUMBER}-") + 2 * _CODE_BYTES


def marks_key(spool_key: bytes) -> bytes:
    """Return the key of marks, made from the key of the data folder."""
    return hashlib.blake2b(spool_key, digest_size=32, person=b"tocsin-respond").digest()


class Marks:
    """Makes and recognises the marks of one cluster; those of another one do not count."""

    def __init__(self, key: bytes, cluster: str) -> None:
        self._key = key
        self._cluster = cluster

    def mint(self, response_id: str, number: int) -> str:
        """Return the Audit-ID of a response's request, of which each has a number of its own.

        Raises:
            ValueError: the id is none of a response, or there are too many requests.
        """
        if not _is_response(response_id) or not 1 <= number <= MAX_NUMBER:
            message = f"no mark for request {number} of response {response_id!r}"
            raise ValueError(message)
        text = f"{response_id}-{number}"
        return f"{PREFIX}{text}-{self._code(text)}"

    def response_of(self, audit_id: str) -> str | None:
        """Return the id of the response whose request has this Audit-ID; None if none of ours."""
        if len(audit_id) > _MAX_LENGTH or not audit_id.isascii():
            return None
        if not audit_id.startswith(PREFIX):
            return None
        text, _, code = audit_id.removeprefix(PREFIX).rpartition("-")
        response = text.partition("-")[0]
        # Only what was minted has the code, so the number needs no look of its own.
        expected = self._code(text)
        if not hmac.compare_digest(code.encode(), expected.encode()):
            return None
        return response

    def _code(self, text: str) -> str:
        marked = f"{text}\0{self._cluster}".encode()
        return hashlib.blake2b(marked, key=self._key, digest_size=_CODE_BYTES).hexdigest()


def _is_response(text: str) -> bool:
    return len(text) == _RESPONSE_DIGITS and _HEX.issuperset(text)
