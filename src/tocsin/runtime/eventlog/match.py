"""Whether one decoded event is what somebody looks for."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from tocsin.model.event import NO_OBJECT, NO_STATUS, NO_USER, AuditEvent, ObjectRef
from tocsin.model.events import EventFilter

Test = Callable[[AuditEvent], bool]
T = TypeVar("T")


def matcher(where: EventFilter) -> Test:
    """Return a function that tests an event for all but its text, the time and the cluster."""
    tests = [
        *_if_asked(where.verb, lambda verb: lambda event: event.verb == verb),
        *_if_asked(where.user, _by_user),
        *_if_asked(where.resource, _by_resource),
        *_if_asked(where.namespace, lambda name: lambda event: _ref(event).namespace == name),
        *_if_asked(where.name, lambda name: lambda event: _ref(event).name == name),
        *_if_asked(where.audit_id, lambda known: lambda event: event.audit_id == known),
        *_if_asked(where.code, _by_code),
    ]
    return lambda event: all(test(event) for test in tests)


def holds_text(shown: dict[str, object], text: str | None) -> bool:
    """Return whether a text, as it is or as JSON writes it, stands in an event as it is shown."""
    if not text:
        return True
    haystack = msgspec.json.encode(shown).lower()
    plain = text.encode(errors="replace")
    within_json = msgspec.json.encode(plain.decode())[1:-1]
    return plain.lower() in haystack or within_json.lower() in haystack


def _if_asked(wanted: T | None, test: Callable[[T], Test]) -> list[Test]:
    return [] if wanted is None else [test(wanted)]


def _by_user(user: str) -> Test:
    def test(event: AuditEvent) -> bool:
        assumed = event.impersonated_user or NO_USER
        return user in ((event.user or NO_USER).username, assumed.username)

    return test


def _by_resource(resource: str) -> Test:
    name, _, subresource = resource.partition("/")

    def test(event: AuditEvent) -> bool:
        ref = _ref(event)
        return ref.resource == name and (not subresource or ref.subresource == subresource)

    return test


def _by_code(code: int) -> Test:
    return lambda event: (event.response_status or NO_STATUS).code == code


def _ref(event: AuditEvent) -> ObjectRef:
    return event.object_ref or NO_OBJECT
