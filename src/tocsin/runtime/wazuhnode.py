"""Wazuh rules in detection: events as the logs that rules see, hits as alerts.

Events that cannot matter to any rule are told by their bytes and cost no more than that look.
Each cluster has a session of its own, so that what correlations count stays apart.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import msgspec

from tocsin.detect.build import AlertBuilder, Content, Texts
from tocsin.detect.identity import event_digest
from tocsin.detect.times import utc
from tocsin.dialects.wazuh.asalert import (
    named_fields,
    reference,
    template_is_filled,
    told_fields,
)
from tocsin.dialects.wazuh.evaluate import Result, Session
from tocsin.dialects.wazuh.output import reserialised
from tocsin.dialects.wazuh.prefilter import Prefilter
from tocsin.dialects.wazuh.rules import Rule
from tocsin.model.alert import Alert, RuleRef
from tocsin.model.digest import digest
from tocsin.model.event import NO_OBJECT, AuditEvent, metadata_of
from tocsin.runtime.wazuh import Wazuh

LOCATION = "k8s"
# The name under which the description goes along with the texts of the fields: no field has it.
_DESCRIPTION = ""


@dataclass(frozen=True, slots=True)
class WazuhHit:
    """A rule's hit: the alert, what the rules gave, and the text that they saw."""

    alert: Alert
    result: Result
    log: bytes


@dataclass(slots=True)
class Found:
    """What a batch gave.

    `unevaluated` counts events by the rule or decoder whose expressions cost too much on them,
    so that it is not known what they would have given.
    """

    hits: list[WazuhHit] = field(default_factory=list)
    unevaluated: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Cluster:
    """The session of a cluster, and the time that it takes for now."""

    session: Session
    now: float = 0.0


class WazuhNode:
    """The rules of one installation in use."""

    def __init__(
        self, wazuh: Wazuh, builder: AlertBuilder, clock: Callable[[], float] = time.time
    ) -> None:
        """Start without any memory.

        Args:
            wazuh: what was loaded.
            builder: builds alerts.
            clock: the time of processing, which counts for the windows of strict rules; for
                others that of the event does.
        """
        self.wazuh = wazuh
        self._builder = builder
        self._clock = clock
        self._clusters: dict[str, _Cluster] = {}
        self._references: dict[int, RuleRef] = {}
        self._named_fields = named_fields(wazuh.installation.decoders.tree)

    @cached_property
    def prefilter(self) -> Prefilter:
        """Tells which events have to be evaluated."""
        installation = self.wazuh.installation
        return Prefilter(installation.decoders.tree, installation.tree, self.wazuh.thresholds)

    def evaluate(
        self, events: Sequence[AuditEvent], raw: Callable[[int], bytes], cluster: str
    ) -> Found:
        """Return the alerts of a batch, in the order of its events.

        Args:
            events: the events, in the order of arrival.
            raw: returns the exact bytes of the event at an index.
            cluster: where the events come from.
        """
        found = Found()
        may_matter = self.prefilter
        for index, event in enumerate(events):
            item = raw(index)
            if not may_matter(item):
                continue
            log, result = self.feed(item, event, cluster)
            found.unevaluated.update(_unevaluated(result))
            if result.alert and result.rule is not None:
                alert = self._alert(result.rule, result, event, item, cluster)
                found.hits.append(WazuhHit(alert, result, log))
        return found

    def feed(self, raw: bytes, event: AuditEvent, cluster: str) -> tuple[bytes, Result]:
        """Return the log that rules see of an event, and what they give for it."""
        known = self._clusters.get(cluster)
        if known is None:
            known = self._clusters[cluster] = self._new_cluster(cluster)
        known.now = self._clock() if self._strict else _seconds(event)
        log = reserialised(raw)
        return log, known.session.feed(log, LOCATION)

    def forget(self) -> None:
        """Forget what was counted, as if no event had been evaluated."""
        self._clusters.clear()

    @property
    def _strict(self) -> bool:
        return self.wazuh.installation.decoders.strict

    def _new_cluster(self, cluster: str) -> _Cluster:
        wazuh = self.wazuh
        session = wazuh.installation.session(lambda: known.now, wazuh.thresholds, cluster)
        known = _Cluster(session)
        return known

    def _alert(
        self, rule: Rule, result: Result, event: AuditEvent, raw: bytes, cluster: str
    ) -> Alert:
        known = self._references.get(rule.id)
        if known is None:
            known = self._references[rule.id] = reference(rule)
        description = result.description
        if not (self._strict or template_is_filled(rule, result)):
            description = f"{description.rstrip()} ({_object(event)})"
        named = self._named_fields.get(result.decoded.name or "", ())
        fields = told_fields(rule, result, named)
        texts = {name: [] if value is None else [value] for name, value in fields.items()}
        content = Content({**texts, _DESCRIPTION: [description]}, tuple(fields), _described)
        alert = self._builder.build(known, content, event, raw, cluster)
        if self._strict:
            # Each event is a hit of its own.
            number = digest(alert.id, event_digest(cluster, event, raw))
            alert = msgspec.structs.replace(alert, id=number)
        return alert


def _described(texts: Texts) -> str:
    return "\n".join(texts[_DESCRIPTION])


def _unevaluated(result: Result) -> Iterator[str]:
    yield from (f"rule {number}" for number in result.unevaluated)
    yield from (f"decoder {name}" for name in result.decoded.given_up)


def _seconds(event: AuditEvent) -> float:
    """Return when an event happened, in seconds since the epoch."""
    return datetime.fromisoformat(
        utc(event.stage_timestamp or event.request_received_timestamp)
    ).timestamp()


def _object(event: AuditEvent) -> str:
    """Return the object that a request was about, in one word; else its URI."""
    ref = event.object_ref or NO_OBJECT
    if ref.resource is None:
        return event.request_uri
    kind = "/".join(filter(None, (ref.resource, ref.subresource)))
    # A name that the API server generates stands in the answer only.
    name = ref.name or metadata_of(event.response_object).name
    return f"{kind} {'/'.join(str(part) for part in (ref.namespace, name) if part)}".rstrip()
