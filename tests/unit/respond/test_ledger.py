from typing import Any

import msgspec

from tests.unit.respond.plans import OWNER, a_plan, a_prepared
from tocsin.model.response import Entry, Proof, State
from tocsin.respond.guard import Acted
from tocsin.respond.ledger import Ledger

ID = "0" * 32


def entry(state: State | None, time: float = 1.0, response: str = ID, **data: Any) -> Entry:
    return Entry(seq=1, time=time, response=response, state=state, text=f"{state}", data=data)


def planned(**changes: Any) -> Entry:
    return entry("planned", plan=msgspec.to_builtins(a_plan(**changes)), effect="ends it")


def read(**changes: Any) -> Entry:
    prepared = a_prepared(target=OWNER, root="top", **changes)
    return entry(None, prepared=msgspec.to_builtins(prepared), digest="d")


def proof(number: int, code: int | None = 200) -> Entry:
    one = Proof(response=ID, audit_id=f"m{number}", verb="delete", code=code, time="")
    return entry(None, proof=msgspec.to_builtins(one))


def test_a_response_is_followed_from_its_plan_to_its_undo() -> None:
    ledger = Ledger.from_entries([planned()])
    assert ledger.known(ID)
    assert not ledger.known("1" * 32)
    assert [one.state for one in ledger.pending()] == ["planned"]
    found = ledger.apply(read())
    assert found is not None
    assert (found.plan.target, found.plan.root, found.digest) == (OWNER, "top", "d")
    assert (found.text, found.effect, len(found.calls)) == ("planned", "ends it", 1)
    found = ledger.apply(entry("awaiting-approval", 2.0, expires=99.0))
    assert found is not None
    assert (found.expires, found.updated) == (99.0, 2.0)
    ledger.apply(entry("approved", 3.0))
    assert ledger.responses[ID].expires == 0
    ledger.apply(entry("started", 4.0, audit_ids=["m1", "m2"]))
    ledger.apply(entry("done", 5.0, undo_at=50.0))
    assert len(ledger.pending()) == 1
    for one in (proof(1), proof(1), proof(2), proof(3, 404), proof(4, None)):
        ledger.apply(one)
    assert ledger.responses[ID].proved == 2
    ledger.apply(entry("verified", 6.0))
    assert ledger.responses[ID].undo_at == 50.0
    ledger.apply(entry("undoing", 7.0, calls=[{}, {}, {}]))
    assert ledger.responses[ID].undo_at == 0
    ledger.apply(entry("undone", 8.0))
    assert ledger.pending() == []
    assert ledger.acted(8.0, 100.0) == [
        Acted(ID, "delete_pod", "top", "root", 4.0, destructive=True, calls=2, stands=False),
        Acted(ID, "delete_pod", "top", "root", 7.0, destructive=False, calls=3, stands=False),
    ]


def test_what_is_about_no_known_response() -> None:
    assert Ledger.from_entries([entry("done"), entry(None, response="")]).responses == {}


def test_what_was_done_within_a_window() -> None:
    ledger = Ledger.from_entries([planned(), entry("started", 10.0)])
    assert [one.stands for one in ledger.acted(20.0, 10.1)] == [True]
    assert ledger.acted(20.0, 10.0) == []
    one = ledger.acted(20.0, 99.0)[0]
    assert (one.root, one.uid, one.calls) == ("u1", "u1", 1)


def test_what_changed_nothing_does_not_count() -> None:
    nothing: tuple[State, ...] = ("failed", "planned", "approved")
    something: tuple[State, ...] = ("done", "unknown", "verified")
    for state in nothing:
        ledger = Ledger.from_entries([planned(), entry("started"), entry(state)])
        assert ledger.acted(2.0, 10.0) == []
    for state in something:
        ledger = Ledger.from_entries([planned(), entry("started"), entry(state)])
        assert len(ledger.acted(2.0, 10.0)) == 1


def test_a_new_attempt_has_no_proof_yet() -> None:
    ledger = Ledger.from_entries([planned(), entry("started"), proof(1), entry("planned")])
    ledger.apply(entry("started"))
    assert ledger.responses[ID].proved == 0
    ledger.apply(proof(2))
    assert ledger.responses[ID].proved == 1


def test_a_malformed_step_does_not_break_it() -> None:
    ledger = Ledger.from_entries(
        [planned(), entry("started", audit_ids=3), entry("done", undo_at="x")]
    )
    assert ledger.responses[ID].undo_at == 0
    assert ledger.acted(2.0, 10.0)[0].calls == 1
