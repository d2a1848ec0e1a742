"""Build the alert for a rule that matched: the only place where event text is quoted."""

from collections.abc import Callable
from datetime import UTC, datetime

from tocsin.detect.identity import alert_id, event_digest
from tocsin.model.alert import Actor, Alert, EventRef, RuleRef, Target
from tocsin.model.event import NO_STATUS, NO_USER, AuditEvent
from tocsin.rules.interpret import EventView
from tocsin.rules.ir import Rule
from tocsin.rules.operators import texts_of
from tocsin.rules.schema import Schema
from tocsin.rules.template import fill, shorten

Redact = Callable[[str], str]

# RFC 3339 with microseconds and Z, as Kubernetes writes times: 2026-11-23T10:45:16.123456Z.
_TIME_LENGTH = 27
_CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
# A URI or user agent is text of any length; what is cut off is still in the event.
_MAX_TEXT = 4096
_MAX_VALUES = 50


class AlertBuilder:
    """Builds alerts of one schema, with secrets taken out of every quoted text."""

    def __init__(self, schema: Schema, redact: Redact) -> None:
        self._schema = schema
        self._redact = redact

    def build(self, rule: Rule, event: AuditEvent, raw: bytes, cluster: str) -> Alert:
        """Return the alert of `rule` on the request that `event` is a stage of."""
        view = EventView(event, self._schema)
        time = utc(event.stage_timestamp or event.request_received_timestamp)
        return Alert(
            id=alert_id(rule.dialect, rule.id, cluster, event),
            time=time,
            cluster=cluster,
            source="audit",
            rule=reference(rule),
            description=fill(rule.message, lambda path: self._texts(view, path)),
            actor=self._actor(event),
            target=self._target(event, view),
            event=self._event(event),
            fields={path: self._value(view, path) for path in rule.fields},
            first_seen=time,
            last_seen=time,
            evidence=[event_digest(cluster, event, raw)],
        )

    def _texts(self, view: EventView, path: str) -> list[str]:
        return [self._redact(text) for text in texts_of(view.values(path))[:_MAX_VALUES]]

    def _value(self, view: EventView, path: str) -> object:
        texts = [shorten(text) for text in self._texts(view, path)]
        return texts[0] if len(texts) == 1 else texts or None

    def _quote(self, text: str | None) -> str | None:
        return None if text is None else self._redact(text[:_MAX_TEXT])

    def _actor(self, event: AuditEvent) -> Actor:
        user = event.user or NO_USER
        credentials = (user.extra or {}).get(_CREDENTIAL_ID)
        return Actor(
            user=self._quote(user.username),
            groups=tuple((user.groups or ())[:_MAX_VALUES]),
            impersonated=self._quote((event.impersonated_user or NO_USER).username),
            credential=credentials[0] if credentials else None,
            source_ips=tuple((event.source_ips or ())[:_MAX_VALUES]),
            user_agent=self._quote(event.user_agent),
        )

    def _target(self, event: AuditEvent, view: EventView) -> Target:
        ref = event.object_ref
        if ref is None:
            return Target(verb=event.verb)
        # A name that the API server generates stands in the answer only.
        name = ref.name or self._first(view, "responseObject.metadata.name")
        uid = ref.uid or self._first(view, "responseObject.metadata.uid")
        return Target(
            verb=event.verb,
            api_group=ref.api_group or "",
            resource=ref.resource,
            subresource=ref.subresource,
            namespace=ref.namespace,
            name=self._quote(name),
            uid=uid,
        )

    def _first(self, view: EventView, path: str) -> str | None:
        values = texts_of(view.values(path))
        return values[0] if values else None

    def _event(self, event: AuditEvent) -> EventRef:
        return EventRef(
            audit_id=self._quote(event.audit_id) or "",
            stage=event.stage,
            level=event.level,
            request_uri=self._quote(event.request_uri),
            code=(event.response_status or NO_STATUS).code,
            received=utc(event.request_received_timestamp),
        )


def reference(rule: Rule) -> RuleRef:
    """Return what an alert says about its rule."""
    return RuleRef(
        id=rule.id,
        title=rule.title,
        dialect=rule.dialect,
        severity=rule.severity,
        level=rule.level,
        tags=rule.tags,
        attack=rule.attack,
        source=str(rule.at),
    )


def utc(text: str | None) -> str:
    """Return an event's time as RFC 3339 in UTC with six digits; the epoch if it has none."""
    if text is not None and len(text) == _TIME_LENGTH and text.endswith("Z"):
        return text
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        moment = datetime.fromtimestamp(0, UTC)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
