"""Which kinds of requests a cluster records at which audit level, counted within bounds.

A requester chooses the names of resources, so kinds are limited in number and length; what is
beyond is counted and not told apart.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from tocsin.model.ports import Kind

MAX_KINDS = 5000
# No name of the API is longer.
MAX_TEXT = 253


class Observed:
    """Counts that are to be added to the stored ones."""

    def __init__(self, known: Mapping[str, Iterable[Kind]]) -> None:
        """Begin with the kinds that are stored for each cluster."""
        self._known = {cluster: set(kinds) for cluster, kinds in known.items()}
        self.pending: dict[str, Counter[Kind]] = {}
        self.unobserved = 0

    def add(self, cluster: str, kinds: Mapping[Kind, int]) -> None:
        """Count requests of a cluster."""
        known = self._known.setdefault(cluster, set())
        pending = self.pending.setdefault(cluster, Counter())
        for kind, count in kinds.items():
            if kind not in known:
                if len(known) >= MAX_KINDS or any(len(text or "") > MAX_TEXT for text in kind):
                    self.unobserved += count
                    continue
                known.add(kind)
            pending[kind] += count
