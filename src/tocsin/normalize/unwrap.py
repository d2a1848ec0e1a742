"""Take an audit event out of what a log forwarder wrapped around it.

Forwarders put a line of the log under `log` (Fluent Bit) or `message` (Vector), as a string or
already parsed, or the event under `kubernetes.audit`. Only what is not itself an event is
unwrapped, and only a few levels deep, whatever the sender nests.
"""

import msgspec

# A container's log line inside of a forwarder's record inside of another forwarder's record.
_MAX_DEPTH = 4


class _Kubernetes(msgspec.Struct, gc=False):
    audit: msgspec.Raw = msgspec.Raw()


class _Wrapper(msgspec.Struct, gc=False):
    log: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    flat: msgspec.Raw = msgspec.field(name="kubernetes.audit", default=msgspec.Raw())
    kubernetes: msgspec.Raw = msgspec.Raw()
    audit_id: msgspec.Raw = msgspec.field(name="auditID", default=msgspec.Raw())
    verb: msgspec.Raw = msgspec.Raw()


_decode_wrapper = msgspec.json.Decoder(_Wrapper).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_kubernetes = msgspec.json.Decoder(_Kubernetes).decode
_REFUSALS = (msgspec.DecodeError, RecursionError, ValueError)


def unwrap(raw: bytes) -> bytes | None:
    """Return the bytes of the JSON object that a record wraps, None if it wraps none."""
    inner = None
    for _ in range(_MAX_DEPTH):
        found = _unwrap_once(raw if inner is None else inner)
        if found is None:
            break
        inner = found
    return inner


def _unwrap_once(raw: bytes) -> bytes | None:
    try:
        wrapper = _decode_wrapper(raw)
        if wrapper.audit_id or wrapper.verb:
            return None
        for value in (wrapper.log, wrapper.message, wrapper.flat, _audit_of(wrapper.kubernetes)):
            inner = _object(bytes(value))
            if inner is not None:
                return inner
    except _REFUSALS:
        pass
    return None


def _audit_of(kubernetes: msgspec.Raw) -> msgspec.Raw:
    return _decode_kubernetes(kubernetes).audit if kubernetes else kubernetes


def _object(value: bytes) -> bytes | None:
    """Return an object's bytes, also of one that is written as a string."""
    if value.startswith(b'"'):
        value = _decode_text(value).strip().encode()
    return value if value.startswith(b"{") else None
