"""The windows of all correlations, by key; bounded, and kept over a change of the rules."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import msgspec

from tocsin.detect.correlate.measure import Hit
from tocsin.detect.correlate.window import Window
from tocsin.model.digest import digest
from tocsin.rules.correlation import Correlation

MAX_KEYS = 100_000

_VERSION = 1

Key = tuple[str, str, str]
"""Version of the correlation, cluster, digest of the values that hits are grouped by."""


class _State(msgspec.Struct, frozen=True, array_like=True):
    version: int
    windows: list[tuple[str, str, str, Window]]


class Windows:
    """The windows in use; the longest untouched goes first when there are too many.

    Attributes:
        evictions: windows that were forgotten for want of room.
        late: hits that came later than is waited for.
    """

    name = "correlations"

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self._windows: OrderedDict[Key, Window] = OrderedDict()
        self._max_keys = max_keys
        self.evictions = 0
        self.late = 0

    def __len__(self) -> int:
        return len(self._windows)

    def add(self, correlation: Correlation, key: Key, hit: Hit) -> Sequence[Hit] | None:
        """Take a hit; return the hits of its window if it completed the correlation."""
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = Window()
            if len(self._windows) > self._max_keys:
                self._windows.popitem(last=False)
                self.evictions += 1
        self._windows.move_to_end(key)
        self.late += window.is_late(correlation, hit)
        return window.add(correlation, hit)

    def keep(self, correlations: Iterable[Correlation]) -> None:
        """Forget the windows of all correlations but these."""
        versions = {version(one) for one in correlations}
        kept = ((key, one) for key, one in self._windows.items() if key[0] in versions)
        self._windows = OrderedDict(kept)

    def save(self) -> bytes:
        """Return what is remembered, for `restore`."""
        windows = [(*key, window) for key, window in self._windows.items()]
        return msgspec.msgpack.encode(_State(_VERSION, windows))

    def restore(self, saved: bytes) -> None:
        """Take over what was remembered.

        Raises:
            ValueError: it is of another version, or damaged.
        """
        state = msgspec.msgpack.decode(saved, type=_State)
        if state.version != _VERSION:
            message = f"saved by another version ({state.version})"
            raise ValueError(message)
        self._windows = OrderedDict(
            ((one, cluster, values), window) for one, cluster, values, window in state.windows
        )


def version(correlation: Correlation) -> str:
    """Return a digest of what a correlation means: only while that stays does its state.

    The texts and the place of a rule are no part of its meaning.
    """
    meant = (
        correlation.id,
        correlation.kind,
        correlation.rules,
        correlation.timespan,
        correlation.paths,
        correlation.field,
        correlation.limit,
        correlation.percentile,
        correlation.formula,
    )
    return digest("correlation", msgspec.json.encode(meant).decode())
