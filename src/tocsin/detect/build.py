"""Build the alert for a rule that matched: the only place where event text is quoted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tocsin.detect.identity import alert_id, event_digest
from tocsin.model.alert import Actor, Alert, EventRef, RuleRef, Target
from tocsin.model.event import NO_STATUS, NO_USER, AuditEvent
from tocsin.rules.interpret import EventView
from tocsin.rules.ir import Rule
from tocsin.rules.operators import texts_of
from tocsin.rules.schema import Schema
from tocsin.rules.template import fill, shorten

# As Kubernetes writes times: 2026-11-23T10:45:16.123456Z.
_TIME_LENGTH = 27
_UID = "responseObject.metadata.uid"
_CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
# A URI or user agent is text of any length; what is cut off is still in the event.
_MAX_TEXT = 4096
_MAX_VALUES = 50


@dataclass(frozen=True, slots=True)
class Redaction:
    """How secrets are found in quoted text, and taken out of it."""

    found: Callable[[str], bool]
    remove: Callable[[str], str]


class AlertBuilder:
    """Builds alerts of one schema, with secrets taken out of every quoted text."""

    def __init__(self, schema: Schema, redaction: Redaction) -> None:
        self._schema = schema
        self._redaction = redaction

    def build(self, rule: Rule, event: AuditEvent, raw: bytes, cluster: str) -> Alert:
        """Return the alert of `rule` on the request that `event` is a stage of."""
        view = EventView(event, self._schema)
        quotes = _Quotes(view)
        alert = _alert(rule, event, quotes, cluster, raw)
        # One look at all texts together: nearly no alert quotes a secret.
        if self._redaction.found("\n".join(quotes.seen)):
            alert = _alert(rule, event, _Quotes(view, self._redaction.remove), cluster, raw)
        return alert


@dataclass(slots=True)
class _Quotes:
    """Quotes texts of one event, and remembers them."""

    view: EventView
    remove_secrets: Callable[[str], str] | None = None
    seen: list[str] = field(default_factory=list)

    def text(self, text: str) -> str:
        if self.remove_secrets is not None:
            return self.remove_secrets(text)
        self.seen.append(text)
        return text

    def optional(self, text: str | None) -> str | None:
        return None if text is None else self.text(text[:_MAX_TEXT])

    def several(self, texts: list[str] | None) -> tuple[str, ...]:
        return tuple(self.text(text[:_MAX_TEXT]) for text in (texts or ())[:_MAX_VALUES])

    def texts(self, path: str) -> list[str]:
        """Return what stands at a field."""
        texts = texts_of(self.view.values(path))[:_MAX_VALUES]
        if self.remove_secrets is None:
            self.seen.extend(texts)
            return texts
        # Together, as a list may be a command: the text after a flag is the flag's value.
        return self.remove_secrets("\n".join(texts)).split("\n") if texts else []

    def value(self, path: str) -> object:
        """Return what stands at a field, a single text not as a list."""
        texts = [shorten(text) for text in self.texts(path)]
        return texts[0] if len(texts) == 1 else texts or None


def _alert(rule: Rule, event: AuditEvent, quotes: _Quotes, cluster: str, raw: bytes) -> Alert:
    time = utc(event.stage_timestamp or event.request_received_timestamp)
    return Alert(
        id=alert_id(rule.dialect, rule.id, cluster, event),
        time=time,
        cluster=cluster,
        source="audit",
        rule=reference(rule),
        description=fill(rule.message, quotes.texts),
        actor=_actor(event, quotes),
        target=_target(event, quotes),
        event=_event(event, quotes),
        fields={path: quotes.value(path) for path in rule.fields},
        first_seen=time,
        last_seen=time,
        evidence=[event_digest(cluster, event, raw)],
    )


def _actor(event: AuditEvent, quotes: _Quotes) -> Actor:
    user = event.user or NO_USER
    credentials = (user.extra or {}).get(_CREDENTIAL_ID)
    return Actor(
        user=quotes.optional(user.username),
        groups=quotes.several(user.groups),
        impersonated=quotes.optional((event.impersonated_user or NO_USER).username),
        credential=quotes.optional(credentials[0]) if credentials else None,
        source_ips=quotes.several(event.source_ips),
        user_agent=quotes.optional(event.user_agent),
    )


def _target(event: AuditEvent, quotes: _Quotes) -> Target:
    ref = event.object_ref
    if ref is None:
        return Target(verb=quotes.optional(event.verb))
    gone = event.verb in ("delete", "deletecollection")
    return Target(
        verb=quotes.optional(event.verb),
        api_group=quotes.optional(ref.api_group) or "",
        resource=quotes.optional(ref.resource),
        subresource=quotes.optional(ref.subresource),
        namespace=quotes.optional(ref.namespace),
        # A name that the API server generates stands in the answer only.
        name=quotes.optional(ref.name or _first(quotes, "responseObject.metadata.name")),
        # Of an object that goes nobody needs it any more, and the answer may be large.
        uid=quotes.optional(ref.uid) or (None if gone else _first(quotes, _UID)),
    )


def _first(quotes: _Quotes, path: str) -> str | None:
    texts = quotes.texts(path)
    return texts[0] if texts else None


def _event(event: AuditEvent, quotes: _Quotes) -> EventRef:
    return EventRef(
        audit_id=quotes.text(event.audit_id[:_MAX_TEXT]),
        stage=event.stage,
        level=event.level,
        request_uri=quotes.optional(event.request_uri),
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
    text = text or ""
    try:
        moment = datetime.fromisoformat(text)
        if len(text) == _TIME_LENGTH and text[4] + text[7] + text[10] + text[26] == "--TZ":
            return text
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        moment = datetime.fromtimestamp(0, UTC)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
