"""Build the alert for a rule that matched: the only place where event text is quoted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from tocsin.detect.identity import alert_id, event_digest
from tocsin.detect.quote import MAX_VALUES, quotes
from tocsin.detect.times import utc
from tocsin.model.alert import Alert, RuleRef
from tocsin.model.event import AuditEvent
from tocsin.rules.correlation import Correlation
from tocsin.rules.interpret import EventView
from tocsin.rules.ir import Rule
from tocsin.rules.reader import Reader, compile_reader
from tocsin.rules.schema import Schema
from tocsin.rules.template import fill, placeholders, shorten

# A URI or user agent is text of any length; what is cut off is still in the event.
_MAX_TEXT = 4096


@dataclass(frozen=True, slots=True)
class Redaction:
    """How secrets are found in quoted text, and taken out of it."""

    found: Callable[[str], bool]
    remove: Callable[[str], str]


Texts = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Content:
    """What an alert says of its event beyond what alerts of every rule quote.

    Attributes:
        texts: what it may quote, by names of its own, as the event has it.
        fields: the names of those that stand in the alert as its fields.
        describe: makes the description of the texts when secrets have been taken out.
    """

    texts: Texts
    fields: Sequence[str]
    describe: Callable[[Texts], str]


class AlertBuilder:
    """Builds the alerts of rules of every dialect, with secrets taken out."""

    def __init__(self, schema: Schema, redaction: Redaction) -> None:
        self._schema = schema
        self._redaction = redaction

    def build(
        self, rule: RuleRef, content: Content, event: AuditEvent, raw: bytes, cluster: str
    ) -> Alert:
        """Return a rule's alert on the request that `event` is a stage of."""
        texts = {name: values[:MAX_VALUES] for name, values in content.texts.items()}
        view = EventView(event, self._schema)
        quoted = quotes(event, view.text, _cut)
        # One look at all texts together: nearly no alert quotes a secret.
        if self._redaction.found("\n".join(chain(quoted.texts(), *texts.values()))):
            texts = {name: self._without_secrets(values) for name, values in texts.items()}
            quoted = quotes(event, view.text, lambda text: self._redaction.remove(_cut(text)))
        time = utc(event.stage_timestamp or event.request_received_timestamp)
        return Alert(
            id=alert_id(rule.dialect, rule.id, cluster, event),
            time=time,
            cluster=cluster,
            source="audit",
            rule=rule,
            description=content.describe(texts),
            actor=quoted.actor(),
            target=quoted.target(event),
            event=quoted.event(event),
            fields={name: _value(texts[name]) for name in content.fields},
            first_seen=time,
            last_seen=time,
            evidence=[event_digest(cluster, event, raw)],
        )

    def _without_secrets(self, texts: Sequence[str]) -> list[str]:
        # Together, as a list may be a command: the text after a flag is the flag's value.
        return self._redaction.remove("\n".join(texts)).split("\n") if texts else []


class AlertForm:
    """What all alerts of one rule have in common."""

    def __init__(self, rule: Rule, schema: Schema, builder: AlertBuilder) -> None:
        self._rule = rule
        self._schema = schema
        self._builder = builder
        self._reference = reference(rule)
        self._paths = tuple(dict.fromkeys([*rule.fields, *placeholders(rule.message)]))

    # Made for the first alert: of hundreds of rules nearly all never match.
    @cached_property
    def _read(self) -> Reader:
        return compile_reader(self._paths, self._schema, f"alert of {self._rule.id}")

    def build(self, event: AuditEvent, raw: bytes, cluster: str) -> Alert:
        """Return the rule's alert on the request that `event` is a stage of."""
        texts = dict(zip(self._paths, self._read(event), strict=True))
        content = Content(texts, self._rule.fields, self._describe)
        return self._builder.build(self._reference, content, event, raw, cluster)

    def _describe(self, texts: Texts) -> str:
        return fill(self._rule.message, texts.__getitem__)


def _cut(text: str) -> str:
    return text[:_MAX_TEXT]


def _value(texts: Sequence[str]) -> object:
    """Return the texts at a field as an alert has them: a single one not as a list."""
    if len(texts) == 1:
        return shorten(texts[0])
    return [shorten(text) for text in texts] or None


def reference(rule: Rule | Correlation) -> RuleRef:
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
