"""Suppression: of a rule's alerts that are alike, some pass and the rest are marked.

Alike are alerts of one rule and cluster with the same values of the fields that the rule, or the
configuration, names. Time is that of the events, so evaluating old events gives what it would
have given then. Alerts of senders that proved nothing are counted apart: nobody may use up
what passes with forged events.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.digest import digest
from tocsin.rules.ir import Suppress

MAX_KEYS = 100_000

# Alerts come late by a window at most, or by so much that nothing near them is remembered.
_REMEMBERED = 4

_VERSION = 1

QUOTED: Mapping[str, Callable[[Alert], object]] = {
    "user.username": lambda alert: alert.actor.user,
    "user.groups": lambda alert: alert.actor.groups,
    "impersonatedUser.username": lambda alert: alert.actor.impersonated,
    "sourceIPs": lambda alert: alert.actor.source_ips,
    "userAgent": lambda alert: alert.actor.user_agent,
    "verb": lambda alert: alert.target.verb,
    "objectRef.apiGroup": lambda alert: alert.target.api_group,
    "objectRef.resource": lambda alert: alert.target.resource,
    "objectRef.subresource": lambda alert: alert.target.subresource,
    "objectRef.namespace": lambda alert: alert.target.namespace,
    "objectRef.name": lambda alert: alert.target.name,
    "requestURI": lambda alert: alert.event and alert.event.request_uri,
    "responseStatus.code": lambda alert: alert.event and alert.event.code,
}
"""The event paths whose values alerts of every rule quote; others stand among its `fields`."""

_Key = tuple[str, str]


class _Passed(msgspec.Struct, frozen=True, array_like=True):
    """An alert that passed: when its event was, and its id."""

    time: float
    id: str


class _State(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered, as it is saved: rule id, digest of the values, what passed."""

    version: int
    keys: list[tuple[str, str, list[_Passed]]]


class Suppression:
    """What passed lately, by rule and values; bounded, the longest untouched goes first.

    `evictions` counts what was forgotten for want of room: the next alert like it passes.
    """

    name = "suppression"

    def __init__(self, rules: Mapping[str, Suppress], max_keys: int = MAX_KEYS) -> None:
        self._rules = dict(rules)
        self._max_keys = max_keys
        self._passed: OrderedDict[_Key, deque[_Passed]] = OrderedDict()
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._passed)

    def replace(self, rules: Mapping[str, Suppress]) -> None:
        """Suppress by other rules from now on; what did not change keeps its memory."""
        changed = {name for name, one in self._rules.items() if rules.get(name) != one}
        self._rules = dict(rules)
        if changed:
            kept = ((key, one) for key, one in self._passed.items() if key[0] not in changed)
            self._passed = OrderedDict(kept)

    def hides(self, alert: Alert, *, authenticated: bool = True) -> bool:
        """Return whether enough alerts like this one passed, and remember it if not.

        The same alert again has the same answer. One that has no value in any of the fields is
        like no other, and passes.
        """
        settings = self._rules.get(alert.rule.id)
        if settings is None:
            return False
        values = [_value(alert, path) for path in settings.by]
        if values and not any(value not in (None, "", ()) for value in values):
            return False
        text = msgspec.json.encode((alert.rule.dialect, alert.cluster, authenticated, values))
        passed = self._of((alert.rule.id, digest("suppress", text.decode())), settings)
        if any(one.id == alert.id for one in passed):
            return False
        time = _moment(alert.time)
        if sum(abs(time - one.time) < settings.window for one in passed) >= settings.after:
            return True
        passed.append(_Passed(time, alert.id))
        return False

    def _of(self, key: _Key, settings: Suppress) -> deque[_Passed]:
        """Return what passed of a key, as the one that was used last."""
        passed = self._passed.get(key)
        if passed is None:
            passed = self._passed[key] = deque(maxlen=_REMEMBERED * settings.after)
            if len(self._passed) > self._max_keys:
                self._passed.popitem(last=False)
                self.evictions += 1
        self._passed.move_to_end(key)
        return passed

    def save(self) -> bytes:
        """Return what is remembered, for `restore`."""
        keys = [(*key, list(passed)) for key, passed in self._passed.items()]
        return msgspec.msgpack.encode(_State(_VERSION, keys))

    def restore(self, saved: bytes) -> None:
        """Take over what was remembered; of rules that no longer suppress, nothing.

        Raises:
            ValueError: it is of another version, or damaged; what was remembered stays.
        """
        state = msgspec.msgpack.decode(saved, type=_State)
        if state.version != _VERSION:
            message = f"saved by another version ({state.version})"
            raise ValueError(message)
        self._passed.clear()
        for rule, values, passed in state.keys:
            if rule in self._rules:
                self._of((rule, values), self._rules[rule]).extend(passed)


def _value(alert: Alert, path: str) -> object:
    quoted = QUOTED.get(path)
    return quoted(alert) if quoted else alert.fields.get(path)


def _moment(time: str) -> float:
    """Return an alert's time in seconds since the epoch; 0, long ago, if it is none."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        return 0.0
