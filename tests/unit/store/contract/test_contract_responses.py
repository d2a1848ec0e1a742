"""Responses in any store: shown as the journal tells, orders and proofs in their order."""

from typing import Any

import msgspec

from tocsin.model.ports import LineUpdate
from tocsin.model.response import Entry, ObjectRef, Order, Plan, Proof, Response, ResponseFilter
from tocsin.model.store import Store


def response(number: int, **changes: Any) -> Response:
    plan = Plan(
        id=f"{number:032x}",
        cluster="prod",
        rule="privileged",
        action="delete_pod",
        target=ObjectRef(resource="pods", namespace="shop", name="web"),
        alert_id=f"a{number}",
        asked_at=1.0,
    )
    return msgspec.structs.replace(
        Response(plan=plan, state="planned", updated=float(number)), **changes
    )


def entry(seq: int, of: Response) -> Entry:
    return Entry(seq=seq, time=1.0, response=of.plan.id, state="planned", text="x", code=f"c{seq}")


def ids(found: list[Response]) -> list[str]:
    return [one.plan.id for one in found]


def test_responses_come_latest_change_first_and_page_by_page(store: Store) -> None:
    made = [response(number) for number in range(1, 6)]
    store.responses.show(made, [])
    assert ids(store.responses.responses(ResponseFilter(), 10)) == ids(made[::-1])
    first = store.responses.responses(ResponseFilter(), 2)
    rest = store.responses.responses(ResponseFilter(), 10, before=first[-1].plan.id)
    assert ids(first + rest) == ids(made[::-1])


def test_responses_are_filtered(store: Store) -> None:
    made = [response(1), response(2, state="done"), response(3, state="failed")]
    store.responses.show(made, [])
    where = ResponseFilter(states=("done", "failed"), cluster="prod", action="delete_pod")
    assert ids(store.responses.responses(where, 10)) == ids([made[2], made[1]])
    assert store.responses.count(where) == 2
    assert store.responses.count(ResponseFilter(alerts=("a1", "a9"))) == 1
    assert store.responses.count(ResponseFilter(cluster="' OR 1")) == 0


def test_a_response_is_found_by_how_its_id_begins(store: Store) -> None:
    first, second = response(0x10), response(0x11)
    store.responses.show([first, second], [])
    assert store.responses.response(first.plan.id) == first
    assert store.responses.response(first.plan.id[:-1]) is None
    assert store.responses.response("%") is None
    store.responses.show([msgspec.structs.replace(first, state="done")], [])
    assert store.responses.response(first.plan.id) == msgspec.structs.replace(first, state="done")


def test_lines_are_taken_over_once_and_tell_how_far(store: Store) -> None:
    one, other = response(1), response(2)
    store.responses.show([one, other], [entry(1, one), entry(2, other)])
    store.responses.show([one], [entry(2, other), entry(3, one)])
    assert [line.seq for line in store.responses.entries(one.plan.id)] == [1, 3]
    assert store.responses.position()["entries"] == 3


def test_orders_keep_their_order(store: Store) -> None:
    order = Order(kind="undo", response="r1", who="erin", time=1.0)
    numbers = [store.responses.order(order) for _ in range(3)]
    assert [one.seq for one in store.responses.orders(numbers[0])] == numbers[1:]
    assert store.responses.orders(0, 1) == [msgspec.structs.replace(order, seq=numbers[0])]


def test_a_proof_that_both_legs_bring_is_one(store: Store) -> None:
    proof = Proof(response="r1", audit_id="tocsin-1", verb="delete", code=200, time="t")
    for _ in range(2):
        store.record([], {}, 1.0, line=LineUpdate(proofs=[proof]))
    (found,) = store.responses.proofs(0)
    assert found == msgspec.structs.replace(proof, seq=found.seq)


def test_positions_are_kept(store: Store) -> None:
    assert "alerts" not in store.responses.position()
    store.responses.advance(alerts=7, orders=2)
    store.responses.advance(alerts=9)
    assert dict(store.responses.position()) == {"alerts": 9, "orders": 2, "entries": 0}
