"""What the detector learns of the line beside its work: who was heard, when, and with what.

It goes into the store together with the position in the spool, so that after a crash both
stand at the same post.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from tocsin.ingest.spool import PostMeta
from tocsin.lifeline.canary import canary_key, sent_at
from tocsin.lifeline.look import Look
from tocsin.lifeline.observed import Observed
from tocsin.lifeline.presence import Heard, Presence
from tocsin.model.event import AuditEvent
from tocsin.model.ports import CanaryState, LineUpdate
from tocsin.model.response import Proof
from tocsin.respond.marks import Marks, marks_key
from tocsin.store.sqlite.sources import SqliteSources

# Counting requests by kind costs a little per event; so many posts of each second tell enough.
KIND_POSTS = 10
OBSERVATION_SECONDS = 5.0


class Listener:
    """Takes note of every post; not to be shared between threads."""

    def __init__(self, sources: SqliteSources, spool_key: bytes, settle: float) -> None:
        """Go on from what is stored; `settle` is how long after an outage batches may come."""
        self._presence = Presence(sources.sources(), sources.nodes(), settle)
        self._observed = Observed(sources.kinds())
        self._canary_key = canary_key(spool_key)
        self._canaries: dict[str, CanaryState] = {}
        self._marks_key = marks_key(spool_key)
        self._proofs: list[Proof] = []
        self._received: Counter[tuple[str, int]] = Counter()
        self._look = Look()
        self._second = self._posts = 0
        self._updated = self._next_observation = 0.0
        self._storing_kinds = False

    @property
    def untracked(self) -> int:
        """Posts of sources that are too many to be followed."""
        return self._presence.untracked

    @property
    def unobserved(self) -> int:
        """Events of kinds that are too many to be counted."""
        return self._observed.unobserved

    def begin(self, meta: PostMeta) -> None:
        """Note that the batches of a post follow."""
        second = meta.received // 1_000_000
        self._posts = self._posts + 1 if second == self._second else 1
        self._second = second
        self._look = Look()

    def look(self, events: Sequence[AuditEvent]) -> None:
        """Look at a batch."""
        self._look.take(events, kinds=self._posts <= KIND_POSTS)

    def note(self, meta: PostMeta, events: int, now: float) -> None:
        """Take note of the post whose batches were looked at.

        One without events tries the connection, as the doctor does: no sign of life.
        """
        if not events:
            return
        look = self._look
        received = meta.received / 1_000_000
        self._received[meta.cluster, int(received // 60)] += events
        self._presence.heard(
            Heard(meta.cluster, meta.node, meta.source, received, events, look.times)
        )
        self._observed.add(meta.cluster, look.kinds)
        for audit_id in look.canaries:
            sent = sent_at(self._canary_key, meta.cluster, audit_id)
            known = self._canaries.get(meta.cluster)
            if sent is not None and (known is None or sent > known.sent):
                self._canaries[meta.cluster] = CanaryState(meta.cluster, meta.node, sent, now)
        self._proofs += self._proven(meta)

    def is_ours(self, cluster: str, audit_id: str) -> bool:
        """Return whether a request with this Audit-ID was made by the responder."""
        return Marks(self._marks_key, cluster).response_of(audit_id) is not None

    def _proven(self, meta: PostMeta) -> Iterator[Proof]:
        """Yield the audit events of the responder's requests; nobody else's word is a proof."""
        if meta.source == "unauthenticated":
            return
        marks = Marks(self._marks_key, meta.cluster)
        for claim in self._look.claims:
            response = marks.response_of(claim.audit_id)
            if response is not None:
                yield msgspec.structs.replace(claim, response=response)

    def update(self, now: float) -> LineUpdate:
        """Return what is to be stored; `stored` tells that it was."""
        sources, nodes = self._presence.changes()
        self._storing_kinds = now >= self._next_observation
        self._updated = now
        return LineUpdate(
            sources,
            nodes,
            list(self._canaries.values()),
            self._observed.pending if self._storing_kinds else {},
            self._received,
            tuple(self._proofs),
        )

    def stored(self) -> None:
        """Note that what `update` returned is stored."""
        self._presence.settle_changes()
        self._canaries.clear()
        self._received.clear()
        self._proofs.clear()
        if self._storing_kinds:
            self._observed.pending = {}
            self._next_observation = self._updated + OBSERVATION_SECONDS
