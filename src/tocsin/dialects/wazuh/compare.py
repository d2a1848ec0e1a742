"""Compare the alerts of a real Wazuh with ours for the same events.

Alerts are the same if rule and event are. The event is known by its auditID and stage; where
the log is no audit event, by its text.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

# What tells an event: its auditID and stage, or the text of another log.
Key = tuple[str, str]


class Said(NamedTuple):
    """What an alert says of a rule and an event."""

    level: int
    description: str


@dataclass(frozen=True, slots=True)
class Told:
    """An alert; `keys` are the events that its log holds: several, if it was a whole list."""

    rule: str
    keys: tuple[Key, ...]
    said: Said


@dataclass(frozen=True, slots=True)
class Difference:
    """An alert that is not the same on both sides; None: that side has none."""

    rule: str
    key: Key
    there: Said | None
    here: Said | None

    @property
    def kind(self) -> str:
        """Return what differs: `only-there`, `only-here`, `level` or `description`."""
        if self.here is None:
            return "only-there"
        if self.there is None:
            return "only-here"
        return "level" if self.there.level != self.here.level else "description"


@dataclass(slots=True)
class Comparison:
    """What came of it.

    Attributes:
        same: equal alerts by rule.
        differences: the others.
        other_logs: alerts of the real Wazuh that are about no audit event.
        other_rules: its alerts of rules that are not among ours, by rule.
        unreadable: lines of its file that are no alerts.
    """

    same: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    other_logs: int = 0
    other_rules: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0


class _Rule(msgspec.Struct):
    id: str
    level: int = 0
    description: str = ""


class _Alert(msgspec.Struct):
    rule: _Rule
    full_log: str | None = None
    data: object = None


_decode = msgspec.json.Decoder(_Alert).decode


def read_alert(line: bytes) -> Told | None:
    """Return the alert on a line of alerts.json; None if it is none."""
    try:
        alert = _decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    said = Said(alert.rule.level, alert.rule.description)
    keys = _keys(alert.full_log) if alert.full_log is not None else tuple(_key(alert.data))
    return Told(alert.rule.id, keys, said)


def compare(
    there: Iterable[bytes], here: Mapping[tuple[str, Key], Said], rules: frozenset[str]
) -> Comparison:
    """Compare.

    Args:
        there: the lines of the real Wazuh's alerts.json.
        here: what we say, by rule and event.
        rules: the rules that are loaded here.
    """
    found = Comparison()
    seen: set[tuple[str, Key]] = set()
    for line in filter(bytes.strip, there):
        told = read_alert(line)
        if told is None:
            found.unreadable += 1
        elif not told.keys:
            found.other_logs += 1
        elif told.rule not in rules:
            found.other_rules[told.rule] += 1
        else:
            _judge(told, here, seen, found)
    for (rule, key), said in here.items():
        if (rule, key) not in seen:
            found.differences.append(Difference(rule, key, None, said))
    found.differences.sort(key=lambda one: (one.rule, one.key))
    return found


def _judge(
    told: Told,
    here: Mapping[tuple[str, Key], Said],
    seen: set[tuple[str, Key]],
    found: Comparison,
) -> None:
    key = next((key for key in told.keys if (told.rule, key) in here), told.keys[0])
    if (told.rule, key) in seen:
        return
    seen.add((told.rule, key))
    said = here.get((told.rule, key))
    if said == told.said:
        found.same[told.rule] += 1
    else:
        found.differences.append(Difference(told.rule, key, told.said, said))


def _keys(log: str) -> tuple[Key, ...]:
    try:
        document = json.loads(log)
    except (ValueError, RecursionError):
        # The real one cuts events: what tells them stands near their beginning.
        return tuple(_cut_key(log))
    items = document.get("items") if isinstance(document, dict) else None
    events = items if isinstance(items, list) else [document]
    return tuple(key for event in events for key in _key(event))


def _key(event: object) -> Iterator[Key]:
    if isinstance(event, dict) and isinstance(event.get("auditID"), str):
        yield event["auditID"], str(event.get("stage", ""))


def _cut_key(log: str) -> Iterator[Key]:
    audit_id, stage = _member(log, "auditID"), _member(log, "stage")
    if log.startswith("{") and audit_id and stage:
        yield audit_id, stage


def _member(log: str, name: str) -> str:
    """Return the first text of that name; `name` stands near the beginning of an event."""
    _, found, rest = log.partition(f'"{name}":')
    return rest.lstrip().removeprefix('"').partition('"')[0] if found else ""
