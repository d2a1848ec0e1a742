"""The conditions of a rule. All must hold; a value that is missing never satisfies one."""

import ipaddress
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from tocsin.dialects.wazuh.event import Event, to_bytes
from tocsin.dialects.wazuh.expressions import Expression
from tocsin.dialects.wazuh.lists import find_address

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Lookup: TypeAlias = Literal[
    "match_key",
    "not_match_key",
    "match_key_value",
    "address_match_key",
    "not_address_match_key",
    "address_match_key_value",
]


class Condition(Protocol):
    """One thing that a rule asks of an event."""

    def holds(self, event: Event) -> bool:
        """Whether the event satisfies it."""
        ...


@dataclass(frozen=True, slots=True)
class DecodedAs:
    """The log was recognised by this decoder."""

    name: str

    def holds(self, event: Event) -> bool:
        """Whether the event satisfies it."""
        return event.decoded.name == self.name


@dataclass(frozen=True, slots=True)
class InLog:
    """An expression is found in the log; `element` is how the rule asks, match or regex."""

    expression: Expression
    element: str = "regex"

    def holds(self, event: Event) -> bool:
        """Whether the event satisfies it."""
        return self.expression.matches(event.log)


@dataclass(frozen=True, slots=True)
class InValue:
    """An expression is found in a fixed value, such as `srcport` or `location`."""

    subject: str
    expression: Expression

    def holds(self, event: Event) -> bool:
        """Whether the event satisfies it."""
        value = event.value(self.subject)
        return value is not None and self.expression.matches(to_bytes(value))


@dataclass(frozen=True, slots=True)
class InField:
    """An expression is found in a field that a decoder named."""

    name: str
    expression: Expression

    def holds(self, event: Event) -> bool:
        """Whether the event satisfies it."""
        value = event.fields.get(self.name)
        return value is not None and self.expression.matches(to_bytes(value))


@dataclass(frozen=True, slots=True)
class ActionIs:
    """The action is exactly this text."""

    text: str
    negated: bool

    def holds(self, event: Event) -> bool:
        """Whether the event satisfies it."""
        action = event.fields.static.get("action")
        return action is not None and (action == self.text) is not self.negated


@dataclass(frozen=True, slots=True)
class InNetwork:
    """An address lies in one of some networks, and in none of those with a `!`."""

    subject: str
    networks: tuple[Network, ...]
    excluded: tuple[Network, ...]
    negated: bool

    def holds(self, event: Event) -> bool:
        """Whether the event satisfies it."""
        text = event.fields.static.get(self.subject)
        if text is None:
            return False
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return self.negated
        return self._contains(address) is not self.negated

    def _contains(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        if any(address in network for network in self.excluded):
            return False
        return not self.networks or any(address in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class AtLeastAsLong:
    """The log has at least so many bytes (the attribute `maxsize`, in spite of its name)."""

    size: int

    def holds(self, event: Event) -> bool:
        """Whether the event satisfies it."""
        return len(event.log) >= self.size


@dataclass(frozen=True, slots=True)
class AtTime:
    """The local time lies between two times of the day, given in minutes."""

    start: int
    end: int
    negated: bool

    def holds(self, event: Event) -> bool:
        """Whether the event satisfies it."""
        local = time.localtime(event.time)
        minute = local.tm_hour * 60 + local.tm_min
        if self.start <= self.end:
            inside = self.start <= minute <= self.end
        else:
            inside = minute >= self.start or minute <= self.end
        return inside is not self.negated


@dataclass(frozen=True, slots=True)
class OnDays:
    """The local day of the week is one of these; Monday is 0."""

    days: frozenset[int]

    def holds(self, event: Event) -> bool:
        """Whether the event satisfies it."""
        return time.localtime(event.time).tm_wday in self.days


@dataclass(frozen=True, slots=True)
class InList:
    """A value is, or is not, in a CDB list."""

    subject: str
    lookup: Lookup
    entries: Mapping[str, str]
    value: Expression | None
    inverted: bool

    def holds(self, event: Event) -> bool:
        """Whether the event satisfies it."""
        text = list_value(event, self.subject)
        if text is None:
            return False
        found = self._found(text)
        match self.lookup:
            case "match_key" | "address_match_key":
                return found is not None
            case "not_match_key" | "not_address_match_key":
                return found is None
            case "match_key_value" | "address_match_key_value":
                return self._has_value(found) is not self.inverted

    def _found(self, text: str) -> str | None:
        if "address" in self.lookup:
            return find_address(text, self.entries)
        return self.entries.get(text)

    def _has_value(self, found: str | None) -> bool:
        if found is None or self.value is None:
            return False
        return self.value.matches(to_bytes(found))


@dataclass(frozen=True, slots=True)
class Never:
    """Something that Tocsin does not know of any event."""

    def holds(self, event: Event) -> bool:
        """Whether the event satisfies it."""
        return False


def list_value(event: Event, subject: str) -> str | None:
    """Return the value that a list looks up; here the user is first of all the source's."""
    if subject == "user":
        return event.fields.static.get("srcuser") or event.fields.static.get("dstuser")
    value = event.value(subject)
    return event.fields.get(subject) if value is None else value
