"""Correlations: how many events like this one came within a time."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from tocsin.dialects.wazuh.event import Event
from tocsin.dialects.wazuh.expressions import Expression

# More than the largest frequency; logs beyond the bytes are forgotten even if they are fewer.
MAX_EVENTS = 16_384
MAX_BYTES = 64 * 1024 * 1024
# How many of the counted events an alert quotes.
MAX_QUOTED = 10


@dataclass(frozen=True, slots=True)
class Correlation:
    """What a rule with `if_matched_*` counts.

    `frequency` is the number of events, the current one included. `same` and `different`
    name fixed values, the other two dynamic fields.
    """

    frequency: int
    timeframe: int
    sid: int | None = None
    group: Expression | None = None
    regex: Expression | None = None
    same: tuple[str, ...] = ()
    different: tuple[str, ...] = ()
    same_fields: tuple[str, ...] = ()
    different_fields: tuple[str, ...] = ()


@dataclass(slots=True)
class Memory:
    """The events that correlations count: by rule, by the groups of rules, and all.

    It forgets the oldest events when there are too many, or when they take too much room.
    """

    _by_rule: dict[int, deque[Event]] = field(default_factory=dict)
    _by_group: dict[int, tuple[frozenset[int], deque[Event]]] = field(default_factory=dict)
    _all: deque[Event] | None = None
    _order: deque[tuple[Event, list[deque[Event]]]] = field(default_factory=deque)
    _bytes: int = 0

    def watch(self, rule: int, correlation: Correlation, members: frozenset[int]) -> None:
        """Remember from now on what a rule's correlation counts.

        Args:
            rule: the rule.
            correlation: its correlation.
            members: the rules whose group the correlation names.
        """
        if correlation.sid is not None:
            self._by_rule.setdefault(correlation.sid, deque())
        elif correlation.group is not None:
            self._by_group[rule] = (members, deque())
        elif self._all is None:
            self._all = deque()

    def remember(self, rule: int, event: Event) -> None:
        """Remember an event under its final rule."""
        if rule in self._by_rule:
            lists = [self._by_rule[rule]]
        else:
            lists = [events for members, events in self._by_group.values() if rule in members]
        if self._all is not None:
            lists.append(self._all)
        if not lists:
            return
        for events in lists:
            events.append(event)
        self._order.append((event, lists))
        self._bytes += len(event.log)
        while len(self._order) > MAX_EVENTS or self._bytes > MAX_BYTES:
            self._forget_oldest()

    def earlier(self, rule: int, correlation: Correlation) -> Iterable[Event]:
        """Return what a rule's correlation counts, the newest first."""
        if correlation.sid is not None:
            return reversed(self._by_rule[correlation.sid])
        if correlation.group is not None:
            return reversed(self._by_group[rule][1])
        return reversed(self._all or ())

    def _forget_oldest(self) -> None:
        oldest, lists = self._order.popleft()
        self._bytes -= len(oldest.log)
        for events in lists:
            events.popleft()


def correlated(
    correlation: Correlation, level: int, event: Event, earlier: Iterable[Event]
) -> list[Event] | None:
    """Return the earlier events, newest first, that fire a correlation; None: it does not.

    The current event and the newest counted one are marked, so that correlations of the same
    level or a lower one do not count them again.
    """
    found: list[Event] = []
    for old in earlier:
        if event.time - old.time > correlation.timeframe:
            return None
        # Events come out of order; one from far in the future must not count, nor end the count.
        if old.time - event.time > correlation.timeframe or not _alike(correlation, event, old):
            continue
        if old.matched >= level:
            return None
        found.append(old)
        if len(found) == correlation.frequency - 1:
            event.matched = level
            # With a frequency of 2 nothing was counted before the one that fires.
            if len(found) > 1:
                found[0].matched = level
            return found
    return None


def alike(correlation: Correlation, event: Event, earlier: Iterable[Event]) -> int:
    """Return how many earlier events of its time are like this one, used up or not."""
    in_time = (old for old in earlier if event.time - old.time <= correlation.timeframe)
    return sum(_alike(correlation, event, old) for old in in_time)


def quoted(earlier: list[Event]) -> str | None:
    """Return what an alert shows of the earlier events."""
    if len(earlier) < 2:  # noqa: PLR2004 - a single one is never shown
        return None
    logs = [old.log.decode("utf-8", "surrogateescape") for old in earlier[:MAX_QUOTED]]
    return "\n".join(logs)


def _alike(correlation: Correlation, event: Event, old: Event) -> bool:
    regex = correlation.regex
    if regex is not None and (
        event.decoded.category != old.decoded.category or not regex.matches(old.log)
    ):
        return False
    return (
        all(_same(_fixed(event, name), _fixed(old, name)) for name in correlation.same)
        and not any(_same(_fixed(event, name), _fixed(old, name)) for name in correlation.different)
        and all(
            _same(event.fields.get(name), old.fields.get(name)) for name in correlation.same_fields
        )
        and not any(
            _same(event.fields.get(name), old.fields.get(name))
            for name in correlation.different_fields
        )
    )


def _fixed(event: Event, name: str) -> str | None:
    return event.fields.static.get("dstuser") if name == "user" else event.value(name)


def _same(value: str | None, other: str | None) -> bool:
    return value is not None and value == other
