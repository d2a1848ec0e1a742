"""One attempt to change a cluster: each call under a mark of its own, noted, and stoppable."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count

from typing_extensions import override

from tocsin.failpoint import Failpoint
from tocsin.model.errors import TocsinError
from tocsin.model.manifest import Manifest
from tocsin.model.response import Call, ObjectRef
from tocsin.respond.actions.base import Acting, Cluster
from tocsin.respond.actions.steps import make
from tocsin.respond.marks import Marks
from tocsin.respond.record import Record

_before_call = Failpoint("respond.before_call")
_after_call = Failpoint("respond.after_call")


class StoppedError(TocsinError):
    """The kill switch is on: the change was not asked for."""


class Attempt(Cluster):
    """A cluster for one attempt: asks the kill switch before each change, and counts them.

    Attributes:
        asked: how many changes the API server was asked for.
        made: how many of them it confirmed.
    """

    def __init__(
        self,
        cluster: Cluster,
        response: str,
        marks: Marks,
        record: Record,
        stopped: Callable[[], str | None],
        clock: Callable[[], float],
    ) -> None:
        self._cluster = cluster
        self._response = response
        self._marks = marks
        self._record = record
        self._stopped = stopped
        self._clock = clock
        self._numbers = count(record.trail(response).last_mark + 1)
        self._minted: list[str] = []
        self.asked = 0
        self.made = 0

    @property
    @override
    def name(self) -> str:
        return self._cluster.name

    @override
    def user(self) -> str:
        return self._cluster.user()

    @override
    def get(self, ref: ObjectRef) -> Manifest | None:
        return self._cluster.get(ref)

    @override
    def list(self, ref: ObjectRef, query: Mapping[str, str] | None = None) -> Sequence[Manifest]:
        return self._cluster.list(ref, query)

    @override
    def text(self, path: str, query: Mapping[str, str], limit: int) -> str:
        return self._cluster.text(path, query, limit)

    @override
    def allowed(self, call: Call) -> bool:
        return self._cluster.allowed(call)

    @override
    def call(self, call: Call, audit_id: str, *, dry_run: bool = False) -> Manifest:
        """Make a call, unless the kill switch is on.

        Raises:
            StoppedError: it is.
            ApiError: as the cluster does.
        """
        if dry_run:
            return self._cluster.call(call, audit_id, dry_run=True)
        _before_call()
        if why := self._stopped():
            raise StoppedError(why)
        self.asked += 1
        answer = self._cluster.call(call, audit_id)
        _after_call()
        self.made += 1
        return answer

    def mint(self, number: int) -> Sequence[str]:
        """Return so many Audit-IDs, which are given out in this order."""
        self._minted = [self._mint() for _ in range(number)]
        return tuple(self._minted)

    def acting(self) -> Acting:
        """Return what an action acts with."""
        return Acting(self, self.mark, self.note)

    def mark(self) -> str:
        """Return the Audit-ID of the next call."""
        return self._minted.pop(0) if self._minted else self._mint()

    def note(self, text: str, data: Mapping[str, object]) -> None:
        """Journal a line about a call, before it is made or after."""
        self._record.note(self._response, None, text, data=data, now=self._clock())

    def rehearse(self, calls: Sequence[Call]) -> None:
        """Have the API server try all calls without changing anything.

        Raises:
            ApiError: it would not make one of them.
        """
        acting = self.acting()
        for call in calls:
            make(call, acting, dry_run=True)

    def make(self, calls: Sequence[Call]) -> None:
        """Make calls in their order, each noted before and after.

        Raises:
            ApiError, StoppedError: one was not made, or it is not known; those before it were.
        """
        acting = self.acting()
        for call in calls:
            make(call, acting)

    def _mint(self) -> str:
        return self._marks.mint(self._response, next(self._numbers))
