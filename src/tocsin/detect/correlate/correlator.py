"""From hits of rules to hits of correlations, and on to those that correlate these."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from tocsin.detect.build import AlertBuilder, Content, Texts, reference
from tocsin.detect.correlate.first import FirstTimes
from tocsin.detect.correlate.measure import Hit
from tocsin.detect.correlate.windows import Key, Windows, version
from tocsin.detect.identity import event_digest, request_digest
from tocsin.detect.state import Bounded
from tocsin.detect.times import from_seconds, seconds
from tocsin.model.alert import Alert
from tocsin.model.digest import digest
from tocsin.model.event import AuditEvent
from tocsin.rules.correlation import Correlation
from tocsin.rules.ir import Rule
from tocsin.rules.reader import Reader, compile_reader
from tocsin.rules.schema import Schema
from tocsin.rules.template import fill, placeholders

# How many events an alert names as its evidence.
_MAX_EVIDENCE = 100

Raw = Callable[[], bytes]


class Correlator:
    """What several events have to do with each other; feed it the hits of rules, in order."""

    def __init__(self, schema: Schema, builder: AlertBuilder) -> None:
        self._schema = schema
        self._builder = builder
        self.windows = Windows()
        self.first_times = FirstTimes()
        self._firsts: dict[str, Reader] = {}
        self._inputs: dict[str, list[_Input]] = {}

    @property
    def state(self) -> Sequence[Bounded]:
        """What is remembered."""
        return self.windows, self.first_times

    def replace(self, rules: Iterable[Rule], correlations: Sequence[Correlation]) -> None:
        """Correlate by other rules from now on; what did not change keeps its memory."""
        self._firsts = {
            rule.id: compile_reader(rule.first_seen.by, self._schema, f"first of {rule.id}")
            for rule in rules
            if rule.first_seen is not None
        }
        inputs: defaultdict[str, list[_Input]] = defaultdict(list)
        for correlation in correlations:
            form = _Form(correlation, self._schema, self._builder)
            for rule in correlation.rules:
                inputs[rule].append(_Input(correlation, rule, form, self._schema))
        self._inputs = dict(inputs)
        self.windows.keep(correlations)

    def concerns(self, rule: Rule) -> bool:
        """Return whether hits of a rule have to do with other hits."""
        return rule.first_seen is not None or rule.id in self._inputs or rule.silent

    def is_news(self, rule: Rule, event: AuditEvent, cluster: str) -> bool:
        """Return whether a hit is what the rule is about: new, if the rule asks for that."""
        settings = rule.first_seen
        if settings is None:
            return True
        values = self._firsts[rule.id](event)
        if not any(values):
            return False
        key = (rule.id, cluster, _digest(values))
        return self.first_times.is_new(key, settings, _time(event), request_digest(cluster, event))

    def take(
        self, rule_id: str, event: AuditEvent, raw: Raw, cluster: str
    ) -> Iterator["Completed"]:
        """Count a rule's hit; yield the correlations that it completes and that are told."""
        waiting = deque([rule_id])
        while waiting:
            for one in self._inputs.get(waiting.popleft(), ()):
                completed = self._count(one, event, raw, cluster)
                if completed is not None:
                    waiting.append(one.correlation.id)
                    if not one.correlation.silent:
                        yield completed

    def _count(
        self, one: "_Input", event: AuditEvent, raw: Raw, cluster: str
    ) -> "Completed | None":
        *groups, values = one.read(event)
        if not all(groups):
            return None
        hit = Hit(
            time=_time(event),
            request=request_digest(cluster, event),
            rule=one.rule,
            values=tuple(values),
            evidence=event_digest(cluster, event, raw()),
        )
        key: Key = (one.version, cluster, _digest(groups))
        hits = self.windows.add(one.correlation, key, hit)
        return None if hits is None else Completed(one.form, groups, hits)


class _Input:
    """A rule whose hits count for a correlation."""

    def __init__(self, correlation: Correlation, rule: str, form: "_Form", schema: Schema) -> None:
        self.correlation = correlation
        self.rule = rule
        self.form = form
        self.version = version(correlation)
        paths = correlation.paths.get(rule, correlation.group_by)
        name = f"{correlation.id} of {rule}"
        self.read = compile_reader([*paths, correlation.field or ""], schema, name)


@dataclass(frozen=True, slots=True)
class Completed:
    """A correlation that an event completed: the values it is grouped by, and the hits."""

    form: "_Form"
    groups: Sequence[Sequence[str]]
    hits: Sequence[Hit]

    def build(self, event: AuditEvent, raw: bytes, cluster: str) -> Alert:
        """Return the alert on the request that completed it."""
        return self.form.build(self, event, raw, cluster)


class _Form:
    """What all alerts of one correlation have in common."""

    def __init__(self, correlation: Correlation, schema: Schema, builder: AlertBuilder) -> None:
        self._correlation = correlation
        self._schema = schema
        self._builder = builder
        self._reference = reference(correlation)

    @cached_property
    def _read(self) -> tuple[tuple[str, ...], Reader]:
        paths = tuple(dict.fromkeys(placeholders(self._correlation.message)))
        name = f"alert of {self._correlation.id}"
        return paths, compile_reader(paths, self._schema, name)

    def build(self, found: Completed, event: AuditEvent, raw: bytes, cluster: str) -> Alert:
        """Return the alert on a completed correlation."""
        correlation, hits = self._correlation, found.hits
        paths, read = self._read
        own = {"count": [str(len(hits))]}
        if correlation.field is not None:
            own["value_count"] = [str(len({value for hit in hits for value in hit.values}))]
        named = dict(zip(correlation.group_by, found.groups, strict=True))
        texts = dict(zip(paths, read(event), strict=True)) | named | own
        content = Content(texts, (*correlation.group_by, *own), self._describe)
        alert = self._builder.build(self._reference, content, event, raw, cluster)
        evidence = list(dict.fromkeys(hit.evidence for hit in hits))
        return msgspec.structs.replace(
            alert,
            id=digest(alert.id, _digest(found.groups)),
            count=len(hits),
            first_seen=from_seconds(min(hit.time for hit in hits)),
            evidence=evidence[-_MAX_EVIDENCE:],
        )

    def _describe(self, texts: Texts) -> str:
        return fill(self._correlation.message, texts.__getitem__)


def _digest(values: Iterable[Sequence[str]]) -> str:
    return digest(*("\0".join(texts) for texts in values))


def _time(event: AuditEvent) -> float:
    return seconds(event.stage_timestamp or event.request_received_timestamp)
