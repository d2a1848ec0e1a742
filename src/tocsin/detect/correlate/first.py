"""First times: values that a rule has not met before, once it has learned what is usual."""

from collections import OrderedDict

import msgspec

from tocsin.rules.ir import FirstSeen

MAX_KEYS = 100_000

_VERSION = 1

_Key = tuple[str, str, str]
"""Rule, cluster, digest of the values."""


class _Met(msgspec.Struct, array_like=True):
    """When values were met last, and the request that was told of them, if one was."""

    last: float
    told: str


class _State(msgspec.Struct, frozen=True, array_like=True):
    version: int
    began: dict[str, float]
    met: list[tuple[str, str, str, _Met]]


class FirstTimes:
    """What was met, by rule, cluster and values; bounded, the longest unmet goes first.

    Attributes:
        evictions: what was forgotten for want of room: it will be told as new once more.
        learned: hits that were new while their rule learned.
    """

    name = "first-seen"

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self._began: dict[str, float] = {}
        self._met: OrderedDict[_Key, _Met] = OrderedDict()
        self._max_keys = max_keys
        self.evictions = 0
        self.learned = 0

    def __len__(self) -> int:
        return len(self._met)

    def begin(self, cluster: str, time: float) -> None:
        """Note that a cluster sends events: learning begins with its first one."""
        self._began.setdefault(cluster, time)

    def is_new(self, key: _Key, settings: FirstSeen, time: float, request: str) -> bool:
        """Return whether values are met for the first time, and remember them.

        The same request again has the same answer.
        """
        _, cluster, _ = key
        known = self._met.get(key)
        if known is not None and time - known.last <= settings.forget:
            known.last = max(known.last, time)
            self._met.move_to_end(key)
            return known.told == request
        learning = time - self._began.get(cluster, time) < settings.learning
        self.learned += learning
        self._met[key] = _Met(time, "" if learning else request)
        self._met.move_to_end(key)
        if len(self._met) > self._max_keys:
            self._met.popitem(last=False)
            self.evictions += 1
        return not learning

    def save(self) -> bytes:
        """Return what is remembered, for `restore`."""
        met = [(*key, one) for key, one in self._met.items()]
        return msgspec.msgpack.encode(_State(_VERSION, self._began, met))

    def restore(self, saved: bytes) -> None:
        """Take over what was remembered.

        Raises:
            ValueError: it is of another version, or damaged.
        """
        state = msgspec.msgpack.decode(saved, type=_State)
        if state.version != _VERSION:
            message = f"saved by another version ({state.version})"
            raise ValueError(message)
        self._began = state.began
        self._met = OrderedDict(
            ((rule, cluster, values), one) for rule, cluster, values, one in state.met
        )
