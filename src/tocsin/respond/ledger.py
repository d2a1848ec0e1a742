"""What the journal says of every response: where it stands, and what was done when.

Pure: entries in, responses out. The same entries always give the same ledger, so that a
restart goes on from where a crash left off.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

import msgspec

from tocsin.model.response import SUCCESS, Entry, Plan, Proof, Response, State
from tocsin.respond.actions.base import Prepared
from tocsin.respond.guard import Acted

_OPEN: frozenset[State] = frozenset(
    {"planned", "awaiting-approval", "approved", "started", "unknown", "undoing"}
)
# It is known that nothing was changed, or that it was changed back.
_WITHOUT_EFFECT: frozenset[State] = frozenset({"planned", "approved", "refused", "failed"})
_STANDS: frozenset[State] = frozenset({"started", "done", "unknown", "verified"})
# More than are allowed within the longest window.
_REMEMBERED = 100_000


class _Begun(NamedTuple):
    """A response or its undo was begun, with so many changes."""

    response: str
    at: float
    calls: int
    undo: bool


class Ledger:
    """All responses by their ids."""

    def __init__(self) -> None:
        self.responses: dict[str, Response] = {}
        self._open: dict[str, None] = {}
        self._begun: deque[_Begun] = deque(maxlen=_REMEMBERED)
        self._proved: dict[str, set[str]] = {}

    @classmethod
    def from_entries(cls, entries: Iterable[Entry]) -> Self:
        """Return what a whole journal says."""
        ledger = cls()
        for entry in entries:
            ledger.apply(entry)
        return ledger

    def apply(self, entry: Entry) -> Response | None:
        """Take the next entry; return its response, None if it is about none that is known."""
        data = entry.data
        known = self.responses.get(entry.response)
        if known is None:
            if "plan" not in data:
                return None
            plan = msgspec.convert(data["plan"], Plan)
            effect = str(data.get("effect", ""))
            known = Response(plan=plan, state="planned", updated=entry.time, effect=effect)
        if "prepared" in data:
            known = _read(known, data)
        if "proof" in data:
            known = self._prove(known, msgspec.convert(data["proof"], Proof))
        if entry.state is not None:
            known = self._move(known, entry, entry.state)
        known = msgspec.structs.replace(known, updated=entry.time)
        self.responses[entry.response] = known
        self._note_open(known)
        return known

    def known(self, plan_id: str) -> bool:
        """Return whether this was asked for before; the same is never planned twice."""
        return plan_id in self.responses

    def pending(self) -> list[Response]:
        """Return the responses that something is still to be done about, oldest first.

        It is to be carried out, to be decided, or to be undone by itself later.
        """
        return [self.responses[one] for one in self._open]

    def acted(self, now: float, window: float) -> list[Acted]:
        """Return what was done within the last `window` seconds, and may have had an effect."""
        since = now - window
        found = (self._acted(begun) for begun in self._begun if begun.at > since)
        return [acted for acted in found if acted is not None]

    def _acted(self, begun: _Begun) -> Acted | None:
        response = self.responses[begun.response]
        plan = response.plan
        if response.state in _WITHOUT_EFFECT and not begun.undo:
            return None
        return Acted(
            response=begun.response,
            action=plan.action,
            root=plan.root or plan.target.uid or "",
            uid=plan.target.uid or "",
            at=begun.at,
            destructive=plan.destructive and not begun.undo,
            calls=begun.calls,
            stands=response.state in _STANDS and not begun.undo,
        )

    def _move(self, known: Response, entry: Entry, state: State) -> Response:
        """Return the response in its next state."""
        if state in {"started", "undoing"}:
            calls = entry.data.get("calls" if state == "undoing" else "audit_ids", ())
            count = max(len(calls), 1) if isinstance(calls, list | tuple) else 1
            self._begun.append(_Begun(entry.response, entry.time, count, state == "undoing"))
        if state == "started":
            self._proved.pop(entry.response, None)
            known = msgspec.structs.replace(known, proved=0)
        undo_at = known.undo_at if state in {"unknown", "verified"} else 0.0
        return msgspec.structs.replace(
            known,
            state=state,
            text=entry.text,
            expires=_number(entry.data, "expires"),
            undo_at=_number(entry.data, "undo_at") or undo_at,
        )

    def _prove(self, known: Response, proof: Proof) -> Response:
        """Count each call that the audit log says was carried out, once."""
        if proof.code not in SUCCESS:
            return known
        proved = self._proved.setdefault(known.plan.id, set())
        proved.add(proof.audit_id)
        return msgspec.structs.replace(known, proved=len(proved))

    def _note_open(self, response: Response) -> None:
        if response.state in _OPEN or response.undo_at:
            self._open.setdefault(response.plan.id)
        else:
            self._open.pop(response.plan.id, None)


def _read(known: Response, data: Mapping[str, object]) -> Response:
    """Return the response after its live object was read."""
    prepared = msgspec.convert(data["prepared"], Prepared)
    plan = msgspec.structs.replace(known.plan, target=prepared.target, root=prepared.root)
    return msgspec.structs.replace(
        known, plan=plan, calls=prepared.calls, digest=str(data.get("digest", ""))
    )


def _number(data: Mapping[str, object], key: str) -> float:
    value = data.get(key)
    return float(value) if isinstance(value, int | float) else 0.0
