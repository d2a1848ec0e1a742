"""The responder's loop over a fake cluster: bars A1, A4 to A7, A9, A11 to A13, A15 to A17."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.respond.bench import Bench, pod, settings
from tocsin.model.alert import EventRef
from tocsin.model.response import Call, Order, Proof, ResponseFilter
from tocsin.respond import switch
from tocsin.respond.actions.base import ApiError
from tocsin.respond.settings import RespondSettings
from tocsin.store.sqlite import responses as stored_proofs

Make = Callable[..., Bench]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Bench] = []

    def bench(given: RespondSettings | None = None) -> Bench:
        made.append(Bench(tmp_path, given or settings()))
        return made[-1]

    yield bench
    for one in made:
        one.close()


def prove(bench: Bench, **changes: Any) -> None:
    """Bring the audit events of all changes that were made."""
    (response,) = bench.responses
    proofs = [
        Proof(
            response=response.plan.id,
            audit_id=change.audit_id,
            verb=change.verb,
            resource="pods",
            namespace="shop",
            name="web",
            code=200,
            time="2026-11-23T10:00:00.000000Z",
        )
        for change in bench.api.changes
    ]
    proofs = [msgspec.structs.replace(one, **changes) for one in proofs]
    with bench.store.responses._database.write() as connection:
        stored_proofs.add_proofs(connection, proofs, bench.now)


def test_an_alert_leads_to_a_deletion_under_a_mark(make: Make) -> None:
    bench = make()
    uid = bench.api.add(pod())
    bench.alert()
    (response,) = bench.run()
    assert bench.states(response) == ["planned", "started", "done"]
    (change,) = bench.api.changes
    assert (change.verb, change.uid) == ("delete", uid)
    assert bench.marks.response_of(change.audit_id) == response.plan.id
    assert bench.snapshots == [response.plan.id]
    assert [dry for *_, dry in bench.api.asked] == [True, False]
    assert bench.store.responses.response(response.plan.id) == response


def test_the_audit_log_verifies_it(make: Make) -> None:
    bench = make()
    bench.api.add(pod())
    bench.alert()
    bench.run()
    prove(bench)
    (response,) = bench.run()
    assert (response.state, response.proved) == ("verified", 1), response.text


def test_a_mark_on_another_request_is_told(make: Make) -> None:
    bench = make()
    bench.api.add(pod())
    bench.alert()
    bench.run()
    prove(bench, name="another")
    (response,) = bench.run()
    assert response.state == "done"
    assert [alert.rule.id for alert in bench.told] == ["tocsin-response-mark-misused"]


def test_history_is_never_responded_to(make: Make) -> None:
    bench = make()
    bench.api.add(pod())
    bench.alert()
    bench.store.responses.advance(alerts=bench.store.last_seq())
    bench.crash()
    assert bench.run() == []


def test_a1_dry_run_changes_nothing(make: Make) -> None:
    bench = make(settings("dry-run"))
    bench.api.add(pod())
    bench.alert()
    (response,) = bench.run()
    assert (response.state, bench.api.changes) == ("simulated", [])
    assert all(dry for *_, dry in bench.api.asked)


def test_hidden_alerts_cause_nothing(make: Make) -> None:
    bench = make()
    bench.api.add(pod())
    bench.alert(hidden_by="silence:1")
    assert bench.run() == []
    bench.alert(number="shown")
    (response,) = bench.run()
    assert response.plan.alert_id == "shown"


def test_a5_a_namesake_is_left_alone(make: Make) -> None:
    """A pod that took the name between the reading and the deletion stays."""
    bench = make()
    bench.api.add(pod())
    bench.alert()

    def create_again() -> None:
        bench.api.add(pod())

    bench.api.before = create_again
    (response,) = bench.run()
    assert response.state == "failed"
    assert "nothing was changed" in response.text
    assert bench.api.changes == []


def test_a7_our_own_requests_never_trigger(make: Make) -> None:
    bench = make()
    bench.api.add(pod())
    mark = bench.marks.mint("0" * 32, 1)
    bench.alert(event=EventRef(mark, "ResponseComplete", "Metadata", "/api/v1/x", 200))
    assert bench.run() == []


@pytest.mark.parametrize("holds", [False, None])
def test_a9_what_is_no_longer_so_or_cannot_be_told(make: Make, *, holds: bool | None) -> None:
    bench = make()
    bench.api.add(pod())
    bench.holds = holds
    bench.alert()
    (response,) = bench.run()
    assert response.state == ("refused" if holds is False else "awaiting-approval")
    assert bench.api.changes == []


def test_without_evidence_nothing_is_destroyed(make: Make) -> None:
    bench = make()
    bench.api.add(pod())
    bench.no_evidence = "the disk is full"
    bench.alert()
    (response,) = bench.run()
    assert (response.state, bench.api.changes) == ("refused", [])
    assert "the disk is full" in response.text


def test_rights_are_looked_at_first(make: Make) -> None:
    bench = make()
    bench.api.add(pod())
    bench.cluster.denied.add("delete")
    bench.alert()
    (response,) = bench.run()
    assert response.state == "refused"
    assert "setup rbac" in response.text


class TestA11Approval:
    """Approvals: once, by somebody else, in time, for what is still so."""

    @pytest.fixture
    def bench(self, make: Make) -> Bench:
        bench = make(settings("approve"))
        bench.api.add(pod())
        bench.alert()
        (response,) = bench.run()
        assert response.state == "awaiting-approval"
        return bench

    def test_approved_twice_is_done_once(self, bench: Bench) -> None:
        bench.order("approve", bench.responses[0])
        bench.order("approve", bench.responses[0], who="sam")
        (response,) = bench.run(3)
        assert (response.state, len(bench.api.changes)) == ("done", 1)
        assert any("does not count" in entry.text for entry in bench.record_entries(response))

    def test_expired_is_refused(self, bench: Bench) -> None:
        bench.now += 901
        bench.order("approve", bench.responses[0])
        (response,) = bench.run(2)
        assert (response.state, bench.api.changes) == ("expired", [])

    def test_a_wrong_digest_does_not_count(self, bench: Bench) -> None:
        bench.order("approve", bench.responses[0], digest="0" * 32)
        (response,) = bench.run()
        assert response.state == "awaiting-approval"

    def test_a_changed_target_is_refused(self, bench: Bench) -> None:
        bench.order("approve", bench.responses[0])
        bench.api.add(pod())
        (response,) = bench.run(2)
        assert (response.state, bench.api.changes) == ("refused", [])

    def test_rejected_stays_rejected(self, bench: Bench) -> None:
        bench.order("reject", bench.responses[0])
        bench.order("approve", bench.responses[0])
        (response,) = bench.run(2)
        assert (response.state, bench.api.changes) == ("rejected", [])

    def test_it_survives_a_restart(self, bench: Bench) -> None:
        bench.crash()
        bench.order("approve", bench.responses[0])
        (response,) = bench.run(2)
        assert response.state == "done"


@pytest.mark.parametrize(
    ("code", "state", "text"),
    [
        (401, "failed", "nothing was changed"),
        (403, "failed", "nothing was changed"),
        (404, "failed", "gone already"),
        (409, "failed", "nothing was changed"),
        (410, "failed", "gone already"),
        (429, "done", "done"),
        (503, "done", "done"),
        (500, "done", "done"),
    ],
)
def test_a12_every_answer_has_its_outcome(make: Make, code: int, state: str, text: str) -> None:
    """Busy is asked again; without an answer it is looked at, and only then asked again."""
    bench = make()
    bench.api.add(pod())
    bench.api.refuse["delete"] = code
    bench.alert()
    bench.until(lambda: bench.responses and bench.responses[0].state == state)
    assert text in bench.responses[0].text
    assert len(bench.api.changes) == (state == "done")


def test_a12_an_answer_lost_after_the_deletion_is_found_out(make: Make) -> None:
    bench = make()
    bench.api.add(pod())
    bench.api.lose.add("delete")
    bench.alert()
    bench.until(lambda: bench.responses and bench.responses[0].state == "done")
    assert len(bench.api.changes) == 1
    assert sum(not dry for *_, dry in bench.api.asked) == 1


def test_a12_a_cluster_that_cannot_be_read_is_asked_again(make: Make) -> None:
    bench = make()
    bench.api.add(pod())
    bench.cluster.unreadable = ApiError("busy", "asked too often", 429, 2.0)
    bench.alert()
    (response,) = bench.run()
    assert response.state == "planned"
    bench.until(lambda: bench.responses[0].state == "done")


def test_a13_an_undo_restores_what_was(make: Make) -> None:
    bench = make(settings(actions=["cordon_node"]))
    given = settings(actions=["isolate_pod"], rule={"undo_after_seconds": 60})
    bench.settings = given
    bench.crash()
    bench.api.add(pod(), metadata={"labels": {"app": "web"}}, spec={})
    before = bench.api.get(pod().path)
    bench.alert()
    bench.until(lambda: bench.responses and bench.responses[0].state == "done")
    assert bench.api.get(pod().path) != before
    bench.crash()
    bench.now += 61
    bench.until(lambda: bench.responses[0].state == "undone")
    after = bench.api.get(pod().path)
    assert before is not None
    assert after is not None
    before["metadata"].pop("resourceVersion")
    after["metadata"].pop("resourceVersion")
    assert after == before
    assert [one for one in bench.api.objects if "networkpolicies" in one] == []


def test_a15_a_stop_in_a_burst_stops_at_once(make: Make) -> None:
    bench = make(settings(limits={"storm_alerts": 1000, "per_minute": 1000, "per_owner": 1000}))
    for number in range(100):
        bench.api.add(pod(f"web-{number}"))
        bench.alert(f"web-{number}")
    made = 0

    def count() -> None:
        nonlocal made
        made += 1
        if made == 10:
            switch.stop(bench.folder, "erin", "enough", bench.now)

    bench.api.before = count
    bench.until(lambda: len(bench.responses) == 100 and not bench.record.ledger.pending())
    assert len(bench.api.changes) == 10
    bench.crash()
    bench.api.add(pod("late"))
    bench.alert("late")
    bench.run(2)
    assert len(bench.api.changes) == 10


def test_a16_a_storm_opens_the_breaker(make: Make) -> None:
    bench = make()
    for number in range(600):
        bench.alert(f"web-{number}")
    bench.api.add(pod("web-0"))
    assert bench.run(3) == []
    assert [alert.rule.id for alert in bench.told] == ["tocsin-response-storm"]
    bench.crash()
    bench.alert("after-the-restart")
    assert bench.run() == []
    bench.now += 301
    bench.run()
    assert any("storm is over" in entry.text for entry in bench.journal.entries())


def test_a17_success_is_what_the_cluster_shows(make: Make) -> None:
    """An answer that says "done" is not believed."""
    bench = make()
    bench.api.add(pod())
    bench.cluster.call = lambda call, audit_id, dry_run=False: {}
    bench.alert()
    bench.until(lambda: bench.told, ticks=80)
    (response,) = bench.responses
    assert response.state == "unknown"
    assert "done" not in bench.states(response)


def test_a_person_asks_and_approves(make: Make) -> None:
    bench = make(settings("dry-run", rule={"when": {"rules": ["another"]}}))
    bench.api.add(pod())
    alert = bench.alert()
    bench.run()
    bench.store.responses.order(
        Order(kind="ask", response=alert.id, action="delete_pod", who="erin", time=bench.now)
    )
    (response,) = bench.run()
    assert (response.state, response.plan.asked_by) == ("awaiting-approval", "erin")
    bench.order("approve", response)
    (response,) = bench.run(2)
    assert response.state == "done"


def test_the_store_is_made_again_of_the_journal(make: Make) -> None:
    bench = make()
    bench.api.add(pod())
    bench.alert()
    (response,) = bench.run()
    with bench.store.responses._database.write() as connection:
        connection.execute("DELETE FROM response")
        connection.execute("DELETE FROM response_entry")
    bench.crash()
    bench.run()
    assert bench.store.responses.responses(ResponseFilter(), 10) == [response]
    assert bench.store.responses.entries(response.plan.id) == bench.record_entries(response)


def test_a_command_cannot_be_done_without_access(make: Make) -> None:
    bench = make()
    bench.alert(cluster="elsewhere")
    (response,) = bench.run()
    assert response.state == "refused"
    assert "no access to cluster elsewhere" in response.text


def test_calls_are_noted_before_they_are_made(make: Make) -> None:
    """A14: whatever the API server was asked, the journal had it before."""
    bench = make()
    bench.api.add(pod())
    seen: list[str] = []
    real = bench.cluster.call

    def call(call: Call, audit_id: str, *, dry_run: bool = False) -> object:
        seen.append(audit_id)
        assert audit_id in (bench.folder / "journal.jsonl").read_text()
        return real(call, audit_id, dry_run=dry_run)

    bench.cluster.call = call
    bench.alert()
    bench.run()
    assert len(seen) == len(set(seen)) == 2
