"""Evaluate rules over logs, one after the other: the tree, what was ignored, what is counted."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tocsin.dialects.wazuh.conditions import (
    AtLeastAsLong,
    AtTime,
    DecodedAs,
    InLog,
    Never,
    OnDays,
)
from tocsin.dialects.wazuh.correlate import Memory, correlated, quoted
from tocsin.dialects.wazuh.decode import Decoders
from tocsin.dialects.wazuh.describe import describe
from tocsin.dialects.wazuh.event import Decoded, Event
from tocsin.dialects.wazuh.expressions import BudgetSpent
from tocsin.dialects.wazuh.fields import Fields
from tocsin.dialects.wazuh.rules import Rule
from tocsin.dialects.wazuh.tree import Node, RuleTree
from tocsin.dialects.wazuh.why import SEEN_BEFORE, UNCHANGED, Stop, stopped_by, too_few

# The longest event of the original, which cuts what is longer.
STRICT_MAX_BYTES = 65_536
# Of how many first sights and last logs a session keeps track.
MAX_REMEMBERED = 100_000


# What conditions ask beside the fields of an event.
_ON_TEXT = (DecodedAs, InLog, AtLeastAsLong, AtTime, OnDays, Never)


@dataclass(frozen=True, slots=True)
class Tried:
    """A rule that was looked at; `children` tells whether those below it came next.

    `stopped` is why it did not match, if the session was asked to tell.
    """

    rule: Rule
    matched: bool
    children: bool = False
    stopped: Stop | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a log gave. `unevaluated` are the rules whose expressions cost too much."""

    decoded: Decoded
    fields: Fields
    rule: Rule | None = None
    description: str = ""
    alert: bool = False
    mail: bool = False
    fired: int = 0
    previous_output: str | None = None
    tried: tuple[Tried, ...] = ()
    unevaluated: tuple[int, ...] = ()


@dataclass(slots=True)
class Thresholds:
    """From which level on there is an alert, and an e-mail."""

    alert: int = 3
    email: int = 12

    def alerts(self, rule: Rule) -> bool:
        """Whether a hit of a rule is an alert."""
        if not rule.level:
            return False
        return rule.level >= self.alert or "log_alert" in rule.options


@dataclass(slots=True)
class _Pass:
    """One way through the tree with one event."""

    event: Event
    tried: list[Tried] = field(default_factory=list)
    unevaluated: list[int] = field(default_factory=list)
    counted: list[Event] = field(default_factory=list)
    forgotten: Stop | None = None


class Session:
    """Feeds logs to decoders and rules, and remembers what later logs depend on."""

    def __init__(
        self,
        decoders: Decoders,
        tree: RuleTree,
        *,
        clock: Callable[[], float],
        thresholds: Thresholds | None = None,
        hostname: str | None = None,
        why: bool = False,
    ) -> None:
        """Start without any memory.

        Args:
            decoders: what recognises logs; they know whether the session is strict.
            tree: the rules.
            clock: tells the time of each event, in seconds.
            thresholds: from which level on there is an alert.
            hostname: where events without a host name of their own come from.
            why: whether results tell what stopped each rule.
        """
        self._decoders = decoders
        self._tree = tree
        self._clock = clock
        self._thresholds = thresholds or Thresholds()
        self._hostname = hostname
        self._why = why
        self._memory = Memory()
        self._fired: Counter[int] = Counter()
        self._ignored_since: dict[int, float] = {}
        self._seen: dict[tuple[str | None, ...], None] = {}
        self._last_logs: dict[int, bytes] = {}
        self._asks_values = any(map(_asks_values, tree.rules()))
        for rule in tree.rules():
            if rule.correlation is not None:
                members = tree.group_members.get(rule.id, frozenset())
                self._memory.watch(rule.id, rule.correlation, members)

    def feed(self, log: bytes, location: str = "k8s") -> Result:
        """Return what a log gives; the session remembers it."""
        log = log.partition(b"\0")[0]
        if self._decoders.strict:
            log = log[:STRICT_MAX_BYTES]
        try:
            decoded = self._decoders.decode(log)
        except BudgetSpent:
            return Result(Decoded(), Fields(), unevaluated=self._all_rules())
        event = Event(
            log, location, decoded, decoded.fields, self._clock(), hostname=self._hostname
        )
        walk, rule = self._walk(event)
        if decoded.added and self._asks_values and (rule is None or rule.level == 0):
            # The original finds nothing here: only now may the added fields decide.
            event.fields = decoded.fields.extended(decoded.added)
            walk, rule = self._walk(event)
        return self._settled(walk, rule)

    def _all_rules(self) -> tuple[int, ...]:
        return tuple(rule.id for rule in self._tree.rules())

    def _walk(self, event: Event) -> tuple[_Pass, Rule | None]:
        walk = _Pass(event)
        for root in self._tree.roots:
            if root.rule.placement.category == event.decoded.category:
                rule = self._check(root, walk)
                if rule is not None:
                    return walk, rule
        return walk, None

    def _check(self, node: Node, walk: _Pass) -> Rule | None:
        """Return the deepest rule that matches at or below a node, in the first subtree that does.

        The nodes above the current one wait on a stack: files may nest rules without end.
        """
        waiting = [[node]]
        path: list[Node] = []
        while waiting:
            if not waiting[-1]:
                waiting.pop()
                if path:
                    deepest = path.pop()
                    if not deepest.rule.silent:
                        return deepest.rule
                continue
            current = waiting[-1].pop()
            matched = self._holds(current.rule, walk)
            stopped = self._stopped(current.rule, walk) if self._why and not matched else None
            walk.tried.append(
                Tried(current.rule, matched, matched and bool(current.children), stopped)
            )
            if matched:
                path.append(current)
                waiting.append(current.children[::-1])
        return None

    def _holds(self, rule: Rule, walk: _Pass) -> bool:
        try:
            return all(
                condition.holds(walk.event) for condition in rule.conditions
            ) and self._remembers(rule, walk)
        except BudgetSpent:
            walk.unevaluated.append(rule.id)
            return False

    def _stopped(self, rule: Rule, walk: _Pass) -> Stop | None:
        """Return what stopped a rule that has just been looked at."""
        return stopped_by(rule.conditions, walk.event) or walk.forgotten

    def _remembers(self, rule: Rule, walk: _Pass) -> bool:
        """Whether what was seen before satisfies a rule: these conditions come last."""
        event = walk.event
        if rule.first_time and not self._is_first(event):
            walk.forgotten = SEEN_BEFORE
            return False
        if rule.on_change and not self._has_changed(rule, event):
            walk.forgotten = UNCHANGED
            return False
        if rule.correlation is None:
            return True
        earlier = self._memory.earlier(rule.id, rule.correlation)
        counted = correlated(rule.correlation, rule.level, event, earlier)
        if counted is None:
            if self._why:
                earlier = self._memory.earlier(rule.id, rule.correlation)
                walk.forgotten = too_few(rule.correlation, event, earlier)
            return False
        walk.counted = counted
        return True

    def _is_first(self, event: Event) -> bool:
        names = event.decoded.first_seen_by
        if not names:
            return False
        key = tuple(event.decoded.name if name == "name" else _seen(event, name) for name in names)
        if key in self._seen:
            return False
        self._seen[key] = None
        _forget_oldest(self._seen)
        return True

    def _has_changed(self, rule: Rule, event: Event) -> bool:
        last = self._last_logs.get(rule.id)
        self._last_logs[rule.id] = event.log
        return last is not None and last != event.log

    def _settled(self, walk: _Pass, rule: Rule | None) -> Result:
        event = walk.event
        fields = event.fields
        if event.decoded.added is not None and fields is event.decoded.fields:
            fields = fields.extended(event.decoded.added)
        tried = tuple(walk.tried)
        unevaluated = tuple(walk.unevaluated)
        if rule is None:
            return Result(event.decoded, fields, tried=tried, unevaluated=unevaluated)
        self._fired[rule.id] += 1
        ignored = self._ignores(rule, event.time)
        if rule.level and not ignored:
            self._memory.remember(rule.id, event)
        return Result(
            decoded=event.decoded,
            fields=fields,
            rule=rule,
            description=describe(rule.description, event),
            alert=not ignored and self._thresholds.alerts(rule),
            mail=self._mails(rule),
            fired=self._fired[rule.id],
            previous_output=quoted(walk.counted),
            tried=tried,
            unevaluated=unevaluated,
        )

    def _mails(self, rule: Rule) -> bool:
        if "no_email_alert" in rule.options:
            return False
        return rule.level >= self._thresholds.email or "alert_by_email" in rule.options

    def _ignores(self, rule: Rule, now: float) -> bool:
        """Whether a rule fired a short time ago; the first hit after that time starts anew.

        The hit that ends the time does not begin the next one: so the original's logtest.
        """
        if not rule.ignore:
            return False
        since = self._ignored_since.get(rule.id)
        if since is None:
            self._ignored_since[rule.id] = now
            return False
        # An event of another time must not silence those of now, from whichever side.
        if abs(now - since) <= rule.ignore:
            return True
        del self._ignored_since[rule.id]
        return False


def _asks_values(rule: Rule) -> bool:
    """Whether the fields of an event, and not its text alone, can decide about a rule."""
    if rule.first_time or rule.correlation is not None:
        return True
    return not all(isinstance(condition, _ON_TEXT) for condition in rule.conditions)


def _seen(event: Event, name: str) -> str | None:
    value = event.value(name)
    return event.fields.get(name) if value is None else value


def _forget_oldest(seen: dict[tuple[str | None, ...], None]) -> None:
    if len(seen) > MAX_REMEMBERED:
        del seen[next(iter(seen))]
