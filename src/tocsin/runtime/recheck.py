"""Whether what an alert is about is still so: its rule again, on the object as it is now.

The alert's event is looked up in the log of events, the live object is put in place of the one
that the event carries, and the rule is evaluated as in detection. Where the rule does not even
match the event as it was, as rules do that count over several, it cannot be told.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.event import NO_OBJECT, AuditEvent
from tocsin.model.events import EventLog, FoundEvent
from tocsin.model.response import ObjectRef
from tocsin.runtime.pipeline import Pipeline

Manifest = Mapping[str, object]
ReadObject = Callable[[ObjectRef], Manifest | None]

_REPLACING = frozenset({"create", "update", "patch"})
_BODIES = ("requestObject", "responseObject")
# The stages of one request; further events of an alert are copies of these.
_MAX_EVENTS = 3


class Recheck:
    """Evaluates the rules of alerts again; not to be shared between threads."""

    def __init__(self, log: EventLog, pipeline: Pipeline) -> None:
        self._log = log
        self._pipeline = pipeline

    def holds(self, alert: Alert, read: ReadObject) -> bool | None:
        """Return whether the alert's condition still holds; None if it cannot be told.

        An act such as `exec` has happened, whatever became of the object.

        Args:
            alert: the alert.
            read: returns a live object, None if it is not there; what it raises goes through.
        """
        found = self._event(alert)
        if found is None:
            return None
        ref = _object(found.event, alert)
        if ref is None:
            return True
        live = read(ref)
        if live is None or _uid(live) != (ref.uid or _uid(live)):
            return False
        if self._fires(_with_object(found.raw, live), alert):
            return True
        # The operations of a JSON patch have no counterpart in the object.
        return None if bytes(found.event.request_object).lstrip()[:1] == b"[" else False

    def _event(self, alert: Alert) -> FoundEvent | None:
        """Return the event of the alert on which its rule matches by itself."""
        for found in self._events(alert):
            if self._fires(found.raw, alert):
                return found
        return None

    def _events(self, alert: Alert) -> Iterator[FoundEvent]:
        around = datetime.fromisoformat(alert.time)
        audit_id = alert.event.audit_id if alert.event else None
        # The latest stage first: it knows the answer.
        for digest in reversed(alert.evidence[:_MAX_EVENTS]):
            found = self._log.find(alert.cluster, digest, around, audit_id)
            if found is not None:
                yield found

    def _fires(self, raw: bytes, alert: Alert) -> bool:
        for node in self._pipeline.wazuh:
            node.forget()
        found = self._pipeline.process(raw, alert.cluster).alerts
        wanted = (alert.rule.dialect, alert.rule.id)
        return any((one.rule.dialect, one.rule.id) == wanted for one in found)


def _object(event: AuditEvent, alert: Alert) -> ObjectRef | None:
    """Return the object whose state the event tells; None if it tells of an act only."""
    ref = event.object_ref or NO_OBJECT
    tells = event.verb in _REPLACING and (event.request_object or event.response_object)
    # A name that the API server generated stands in the alert.
    name = ref.name or alert.target.name
    if not tells or ref.subresource or not ref.resource or not name:
        return None
    return ObjectRef(
        api_group=ref.api_group or "",
        version=ref.api_version or "v1",
        resource=ref.resource,
        namespace=ref.namespace,
        name=name,
        uid=ref.uid or alert.target.uid,
    )


def _with_object(raw: bytes, live: Manifest) -> bytes:
    """Return the event with the live object in place of those that it carries."""
    document = msgspec.json.decode(raw)
    metadata = live.get("metadata")
    # Who set which field is not what was asked for, and reads like it.
    shown = (
        {name: value for name, value in metadata.items() if name != "managedFields"}
        if isinstance(metadata, dict)
        else metadata
    )
    for body in _BODIES:
        if body in document:
            document[body] = {**live, "metadata": shown}
    return msgspec.json.encode(document)


def _uid(manifest: Manifest) -> object:
    metadata = manifest.get("metadata")
    return metadata.get("uid") if isinstance(metadata, dict) else None
