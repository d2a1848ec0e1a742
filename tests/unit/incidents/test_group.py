"""Which alerts become one incident, whatever the order they arrive in."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.incidents.samples import (
    EVERYTHING,
    alert,
    group,
    members,
    new_store,
    partition,
    pod,
)
from tocsin.model.alert import Alert, Target
from tocsin.model.incident import Change, Incident
from tocsin.store.sqlite import SqliteStore
from tocsin.store.sqlite import grouping as sqlite_grouping
from tocsin.store.sqlite.grouping import READER

TOKEN = Target("create", "", "serviceaccounts", "token", "kube-system", "robot")
ROBOT = "system:serviceaccount:kube-system:robot"
KUBELET = "system:node:node-a"


def together(*alerts: Alert) -> bool:
    """Return whether the alerts become one incident, the same in either order."""
    verdicts = set()
    for order in (alerts, alerts[::-1]):
        with new_store() as store:
            group(store, *order)
            verdicts.add(len(partition(store)) == 1)
    (verdict,) = verdicts
    return verdict


def test_what_one_user_does_within_an_hour_is_one_incident() -> None:
    assert together(alert("a"), alert("b", 59))
    assert not together(alert("a"), alert("b", 61))


def test_a_chain_of_alerts_may_last_longer_than_an_hour() -> None:
    assert together(alert("a"), alert("b", 50), alert("c", 100))


def test_clusters_are_apart() -> None:
    assert not together(alert("a"), alert("b", cluster="other"))


def test_different_users_at_different_things_are_apart() -> None:
    assert not together(alert("a", user="alice"), alert("b", user="bob"))


def test_the_same_pod_ties_users_together() -> None:
    one, two = pod("shop", "web"), Target("create", "", "pods", "exec", "shop", "web")
    assert together(alert("a", user="alice", target=one), alert("b", user="bob", target=two))
    other = pod("shop", "db")
    assert not together(alert("a", user="alice", target=one), alert("b", user="bob", target=other))


def test_a_pod_belongs_to_the_deployment_that_it_comes_from() -> None:
    deployed = alert("a", target=Target("create", "apps", "deployments", None, "shop", "web"))
    made = alert(
        "b",
        user="system:kube-controller-manager",
        target=pod("shop", "web-7d87-x1"),
        fields={"owner.kind": "ReplicaSet", "owner.name": "web-7d87"},
    )
    assert together(deployed, made)


def test_an_issued_token_leads_to_who_uses_it_within_a_day_but_not_to_who_had_it_before() -> None:
    issued = alert("a", fields={"credential.issued": "JTI=1"}, target=TOKEN)
    assert together(issued, alert("b", 20 * 60, user="anybody", credential="JTI=1"))
    assert not together(issued, alert("b", 25 * 60, user="anybody", credential="JTI=1"))
    assert not together(issued, alert("b", 1, user="anybody", credential="JTI=2"))
    assert not together(issued, alert("b", -10, user="anybody", credential="JTI=1"))


def test_the_same_credential_alone_ties_nothing_together() -> None:
    one = alert("a", user="system:kube-controller-manager", credential="X", rule="one")
    two = alert("b", user="system:kube-controller-manager", credential="X", rule="two")
    assert not together(one, two)


def test_an_identity_that_was_handed_over_leads_to_what_it_does_afterwards() -> None:
    acts = alert("b", 30, user=ROBOT)
    assert together(alert("a", target=TOKEN), acts)
    assert not together(alert("a", 60, target=TOKEN), acts)
    granted = alert(
        "a",
        fields={"requestObject.subjects.kind": "User", "requestObject.subjects.name": "mallory"},
    )
    assert together(granted, alert("b", 5, user="mallory"))
    account = {
        "requestObject.subjects.kind": "ServiceAccount",
        "requestObject.subjects.name": "robot",
        "requestObject.subjects.namespace": "kube-system",
    }
    assert together(alert("a", fields=account), acts)
    assert together(
        alert("a", target=pod("kube-system", "x"), fields={"podspec.serviceAccountName": "robot"}),
        acts,
    )
    assert together(alert("a", fields={"csr.subject.cn": KUBELET}), alert("b", 5, user=KUBELET))


def test_all_subjects_of_a_binding_are_followed() -> None:
    several = {
        "requestObject.subjects.kind": ["Group", "ServiceAccount", "User"],
        "requestObject.subjects.name": ["everybody", "robot", "mallory"],
        "requestObject.subjects.namespace": "kube-system",
    }
    granted = alert("a", fields=several)
    assert together(granted, alert("b", 5, user="mallory"))
    assert together(granted, alert("b", 5, user=ROBOT))
    assert not together(granted, alert("b", 5, user="everybody"))


def test_the_account_of_a_new_service_account_is_followed() -> None:
    created = Target("create", "", "serviceaccounts", None, "kube-system", "robot")
    assert together(alert("a", target=created), alert("b", 5, user=ROBOT))


def test_shared_identities_do_not_tie_alerts_of_different_rules_together() -> None:
    one, two = alert("a", user=KUBELET, rule="one"), alert("b", user=KUBELET, rule="two")
    assert not together(one, two)
    assert together(one, alert("c", 1, user=KUBELET, rule="one"))


def test_anonymous_requests_are_told_apart_by_address() -> None:
    one = alert("a", user="system:anonymous", address="203.0.113.1", rule="one")
    same = alert("b", user="system:anonymous", address="203.0.113.1", rule="two")
    other = alert("c", user="system:anonymous", address="203.0.113.2", rule="one")
    assert together(one, same)
    assert not together(one, other)


def test_what_is_wrong_with_the_alarm_itself_is_one_incident_per_rule() -> None:
    silent = [alert(name, user=None, rule="silent") for name in "ab"]
    assert together(*silent)
    assert not together(silent[0], alert("c", user=None, rule="disk"))


def test_what_was_forged_does_not_touch_what_is_true() -> None:
    with new_store() as store:
        group(store, alert("a"), unproven=[alert("b", 1), alert("c", 2)])
        assert partition(store) == {frozenset("a"), frozenset("bc")}
        forged, true = store.incidents.incidents(EVERYTHING, 10)
        assert (forged.authenticated, true.authenticated) == (False, True)


def test_an_incident_is_proven_when_its_alerts_are_found_again_in_true_events() -> None:
    with new_store() as store:
        (incident,) = group(store, unproven=[alert("a"), alert("b", 1)])
        group(store, alert("a"))
        assert not found(store, incident.id).authenticated
        group(store, alert("b", 1))
        assert found(store, incident.id).authenticated


def test_facts_open_nothing() -> None:
    with new_store() as store:
        assert group(store, alert("a", severity="info")) == []


@pytest.mark.parametrize("minute", [-9, 9])
def test_facts_nearby_are_context_whenever_they_arrive(minute: int) -> None:
    near, far = (
        alert(name, at, severity="info") for name, at in (("n", minute), ("f", minute * 2))
    )
    for order in ([alert("a"), near, far], [near, far, alert("a")]):
        with new_store() as store:
            (incident,) = group(store, *order)
            assert members(store, incident) == {"a", "n"}
            assert incident.severity == "medium"
            assert incident.alert_counts == {"medium": 1, "info": 1}
            assert incident.first_seen == incident.last_seen == alert("a").time
            assert incident.actors == ("alice",)


def test_facts_tie_nothing_together() -> None:
    fact = alert("f", 1, user="alice", severity="info", target=pod("shop", "web"))
    with new_store() as store:
        group(store, alert("a"), fact, alert("b", 2, user="bob", target=pod("shop", "web")))
        assert partition(store) == {frozenset("af"), frozenset("bf")}
        assert store.incidents.incident_of("f") in {
            i.id for i in store.incidents.incidents(EVERYTHING, 9)
        }


def test_a_fact_in_two_incidents_is_counted_once_when_they_become_one() -> None:
    fact = alert("f", 1, user="alice", severity="info", target=pod("shop", "web"))
    bridge = alert("c", 3, user="alice", target=pod("shop", "web"))
    with new_store() as store:
        group(store, alert("a"), fact, alert("b", 2, user="bob", target=pod("shop", "web")))
        (incident,) = group(store, bridge)
        assert members(store, incident) == {"a", "b", "c", "f"}
        assert incident.alert_counts == {"medium": 3, "info": 1}


def test_of_very_many_facts_the_first_are_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_grouping, "MOST_FACTS", 3)
    facts = [alert(f"f{n}", n / 10, severity="info") for n in range(5)]
    with new_store() as store:
        (incident,) = group(store, *facts[::-1], alert("a"))
        assert members(store, incident) == {"a", "f0", "f1", "f2"}


def test_a_fact_with_an_issued_token_is_context_of_who_issued_it() -> None:
    issued = alert("a", fields={"credential.issued": "JTI=1"})
    used = alert("f", 60, user="anybody", severity="info", credential="JTI=1")
    for order in ([issued, used], [used, issued]):
        with new_store() as store:
            (incident,) = group(store, *order)
            assert members(store, incident) == {"a", "f"}


def test_incidents_that_turn_out_to_be_one_are_found_by_every_id() -> None:
    web = pod("shop", "web")
    with new_store() as store:
        group(store, alert("a", user="alice"), alert("b", 1, user="bob", target=web))
        former = {incident.id for incident in store.incidents.incidents(EVERYTHING, 9)}
        group(store, alert("c", 2, user="alice", target=web))
        (incident,) = store.incidents.incidents(EVERYTHING, 9)
        assert {found(store, one).id for one in former} == {incident.id}
        assert members(store, incident) == {"a", "b", "c"}
        (gone,) = former - {incident.id}
        assert {one.alert.id for one in store.incidents.alerts_of(gone, 9)} == {"a", "b", "c"}
        assert [entry.what for entry in store.incidents.log_of(gone)] == [
            "opened",
            "opened",
            "merged",
        ]


def test_merged_incidents_keep_what_people_decided() -> None:
    web = pod("shop", "web")
    with new_store() as store:
        group(store, alert("a", user="alice"), alert("b", 1, user="bob", target=web))
        bobs, alices = store.incidents.incidents(EVERYTHING, 9)
        store.incidents.change(bobs.id, Change(state="acknowledged", owner="eve"), "eve", 2.0)
        store.incidents.change(alices.id, Change(state="contained", pinned=True), "eve", 2.0)
        (incident,) = group(store, alert("c", 2, user="alice", target=web))
        assert (incident.state, incident.owner, incident.pinned) == ("acknowledged", "eve", True)


def test_new_evidence_opens_a_closed_incident_again_and_says_so() -> None:
    with new_store() as store:
        (incident,) = group(store, alert("a"))
        change = Change(state="closed", verdict="benign")
        store.incidents.change(incident.id, change, "eve", 2.0)
        (closed,) = group(store, alert("f", 1, severity="info"))
        assert closed.state == "closed"
        (again,) = group(store, alert("b", 5))
        assert (again.state, again.verdict) == ("open", None)
        entry = store.incidents.log_of(incident.id)[-1]
        assert (entry.who, entry.what) == ("tocsin", "reopened")
        assert "Rule at 2026-11-23T10:05:00" in entry.text
        assert "benign" in entry.text


def test_a_closed_incident_that_is_one_with_an_open_one_is_open() -> None:
    web = pod("shop", "web")
    with new_store() as store:
        group(store, alert("a", user="alice"), alert("b", 1, user="bob", target=web))
        bobs, _ = store.incidents.incidents(EVERYTHING, 9)
        store.incidents.change(bobs.id, Change(state="closed", verdict="benign"), "eve", 2.0)
        (incident,) = group(store, alert("c", 2, user="alice", target=web))
        assert (incident.state, incident.verdict) == ("open", None)
        assert "reopened" in [entry.what for entry in store.incidents.log_of(incident.id)]


def test_a_late_alert_finds_its_incident() -> None:
    with new_store() as store:
        (incident,) = group(store, alert("b", 30), alert("c", 200, user="bob"))[1:]
        group(store, alert("a", 0))
        grown = found(store, incident.id)
        assert members(store, grown) == {"a", "b"}
        assert [step.alert_id for step in grown.steps] == ["a", "b"]


def test_the_same_alert_again_changes_nothing() -> None:
    with new_store() as store:
        before = group(store, alert("a"), alert("b", 1), alert("f", 2, severity="info"))
        assert group(store, alert("b", 1), alert("a")) == before


def test_grouping_the_same_alerts_again_changes_nothing() -> None:
    with new_store() as store:
        before = group(store, alert("a"), alert("b", 1), alert("f", 2, severity="info"))
        store.record([], {READER: 0}, 1000.0)
        assert group(store) == before


def found(store: SqliteStore, incident_id: str) -> Incident:
    incident = store.incidents.incident(incident_id)
    assert incident is not None
    return incident


SOME_ALERTS = st.lists(
    st.tuples(
        st.integers(0, 300),
        st.sampled_from(["alice", "bob", "carol", ROBOT, KUBELET]),
        st.sampled_from(["web", "db", ""]),
        st.sampled_from(["medium", "medium", "high", "info"]),
        st.sampled_from(["", "JTI=1"]),
        st.sampled_from(["", "JTI=1"]),
    ),
    min_size=1,
    max_size=9,
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=SOME_ALERTS, chance=st.randoms(use_true_random=False))
def test_the_incidents_do_not_depend_on_the_order_of_arrival(
    drawn: list[tuple[int, str, str, str, str, str]], chance: object
) -> None:
    alerts = [
        alert(
            f"a{number}",
            minute,
            user=user,
            severity=severity,  # type: ignore[arg-type]
            target=pod("shop", name) if name else None,
            rule=severity,
            credential=used or None,
            fields={"credential.issued": issued or None},
        )
        for number, (minute, user, name, severity, used, issued) in enumerate(drawn)
    ]
    results = []
    for _ in range(2):
        with new_store() as store:
            shuffled = [*alerts, *alerts]
            chance.shuffle(shuffled)  # type: ignore[attr-defined]
            cut = len(shuffled) // 2
            group(store, *shuffled[:cut])
            group(store, *shuffled[cut:])
            told = {
                (
                    i.severity,
                    i.title,
                    i.story,
                    i.first_seen,
                    i.last_seen,
                    i.steps,
                    i.actors,
                    i.entities,
                )
                for i in store.incidents.incidents(EVERYTHING, 1000)
            }
            results.append((partition(store), told))
    assert results[0] == results[1]
