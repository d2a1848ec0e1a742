"""All that happens to responses goes through here: first into the journal, then to the store.

The journal is the truth. The store shows it to people, and may be behind for a moment.
"""

from collections.abc import Callable, Mapping
from itertools import islice

from tocsin.model.response import FINAL, Entry, Response, ResponseStore, State
from tocsin.respond.journal import Journal
from tocsin.respond.ledger import Ledger
from tocsin.respond.states import may_follow
from tocsin.respond.trail import Trail

_SHOWN_AT_ONCE = 500
# For so long it is known which requests were those of a response that came to nothing.
_TRAIL_SECONDS = 3600.0


class Record:
    """The journal, and what it says so far of every response.

    Attributes:
        ledger: the responses.
        storm_until: until when the breaker was last opened.
    """

    def __init__(
        self,
        journal: Journal,
        store: ResponseStore,
        onlooker: Callable[[Entry], None] = lambda _: None,
    ) -> None:
        """Read the journal; `onlooker` is told of each further line."""
        self._journal = journal
        self._store = store
        self._onlooker = onlooker
        self.ledger = Ledger.from_entries(())
        self.storm_until = 0.0
        self._trails: dict[str, Trail] = {}
        self._unshown: list[Entry] = []
        shown = store.position()["entries"]
        for entry in journal.entries():
            self._take(entry)
            if entry.seq > shown:
                self._unshown.append(entry)

    def note(
        self,
        response: str,
        state: State | None,
        text: str,
        *,
        now: float,
        who: str = "tocsin",
        data: Mapping[str, object] | None = None,
    ) -> Entry:
        """Write a line; when this returns, it is on the disk, and what it announces may be done.

        Raises:
            JournalError: it is not.
        """
        if response and state is not None:
            known = self.ledger.responses.get(response)
            former = known.state if known else None
            if not may_follow(former, state):
                message = f"response {response[:8]} is {former} and cannot be {state}"
                raise AssertionError(message)
        entry = self._journal.append(response, state, text, now=now, who=who, data=data)
        self._take(entry)
        self._unshown.append(entry)
        self._onlooker(entry)
        return entry

    def response(self, response: str) -> Response:
        """Return a response as it stands."""
        return self.ledger.responses[response]

    def trail(self, response: str) -> Trail:
        """Return what is known of its requests."""
        return self._trails.setdefault(response, Trail())

    def show(self) -> None:
        """Hand on to the store what it does not have yet.

        Raises:
            StoreUnavailable: it cannot take it now; the next call tries again.
        """
        while self._unshown:
            entries = list(islice(self._unshown, _SHOWN_AT_ONCE))
            ids = dict.fromkeys(entry.response for entry in entries)
            responses = [self.ledger.responses[one] for one in ids if one in self.ledger.responses]
            self._store.show(responses, entries)
            del self._unshown[: len(entries)]

    def forget(self, now: float) -> None:
        """Forget the requests of responses that came to nothing a while ago."""
        for response_id in list(self._trails):
            known = self.ledger.responses.get(response_id)
            if known and known.state in FINAL and now - known.updated > _TRAIL_SECONDS:
                del self._trails[response_id]

    def knows(self, response: str) -> bool:
        """Return whether it is known which requests were a response's."""
        return response in self._trails

    def _take(self, entry: Entry) -> None:
        self.ledger.apply(entry)
        if not entry.response:
            until = entry.data.get("storm_until", 0.0)
            self.storm_until = max(self.storm_until, until if isinstance(until, float) else 0.0)
            return
        self.trail(entry.response).take(entry)
