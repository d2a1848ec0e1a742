"""Titles, stories and severities of incidents."""

import pytest

from tests.unit.incidents.samples import alert, pod
from tests.unit.store.samples import HOSTILE, hostile_alert
from tocsin.incidents.describe import story_of, title_of
from tocsin.incidents.entities import singular
from tocsin.incidents.phrases import capital, person, phrase_of
from tocsin.incidents.severity import severity_of
from tocsin.incidents.summary import Summary
from tocsin.incidents.words import among, counted, joined, length
from tocsin.model.alert import Alert, Severity, Target, Technique

CONTROLLER = "system:serviceaccount:kube-system:deployment-controller"
SECRETS = Target("list", "", "secrets")


def summary_of(*alerts: Alert) -> Summary:
    summary = Summary()
    for one in alerts:
        summary.add(one)
    return summary


def serving(*tactics: str) -> tuple[Technique, ...]:
    return tuple(Technique(f"T{tactic}", None, (tactic,)) for tactic in tactics)


def test_the_story_of_a_token() -> None:
    listed = alert(
        "a", 0, did="read the Secrets of all namespaces (list)", rule="x", target=SECRETS
    )
    minted = alert(
        "b",
        1,
        did="requested a token",
        severity="high",
        rule="y",
        fields={"credential.issued": "JTI=1"},
    )
    used = alert(
        "c", 1.15, CONTROLLER, "ran a shell", rule="z", address="10.2.3.4", credential="JTI=1"
    )
    summary = summary_of(used, minted, listed)
    assert title_of(summary) == "alice and one other: Y, X and 1 more"
    assert story_of(summary) == (
        "alice (from 203.0.113.9) read the Secrets of all namespaces and one minute later "
        "requested a token. Nine seconds later, service account kube-system/deployment-controller "
        "(from 10.2.3.4) used that token and ran a shell. In all 3 alerts within one minute."
    )


def test_one_request_is_told_once_by_its_worst_rule() -> None:
    alerts = [
        alert("a", did="mounted /", rule="x", severity="high"),
        alert("a", did="made a pod", rule="y"),
    ]
    assert "made a pod" not in story_of(summary_of(*alerts))
    assert "mounted /" in story_of(summary_of(*alerts))


def test_a_description_that_is_a_sentence_of_its_own_stays_one() -> None:
    own = alert("a", 0, user=None, did="The API server is silent.")
    assert story_of(summary_of(own)) == "The API server is silent. One alert."
    assert title_of(summary_of(own)) == "Rule"


def test_what_is_left_out_is_counted() -> None:
    many = [alert(f"a{n}", n, did=f"did {n}", rule=f"r{n}") for n in range(12)]
    story = story_of(summary_of(*many))
    assert "The timeline has four more deeds." in story
    assert "In all 12 alerts within 11 minutes" in story
    assert title_of(summary_of(*many)).endswith("and 10 more")


def test_facts_are_told_as_context() -> None:
    summary = summary_of(alert("a"))
    summary.add_fact(alert("f", severity="info"))
    assert story_of(summary).endswith("One alert; one ordinary event beside it as context.")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_told_within_limits(text: str) -> None:
    summary = summary_of(hostile_alert(text), hostile_alert(text, "a2"))
    assert len(story_of(summary)) < 1000
    assert len(title_of(summary)) < 400


@pytest.mark.parametrize(
    ("did", "target", "phrase"),
    [
        ("read Secrets (list)", SECRETS, "read Secrets"),
        ("asked for root: create pods a/b", pod("a", "b"), "asked for root (pod a/b)"),
        ("opened pod a/b: create pods a/b", pod("a", "b"), "opened pod a/b"),
        ("ran a shell in pod a/b: sh -c id", pod("a", "b"), "ran a shell in pod a/b (sh -c id)"),
        ("wrote it; its rules are not recorded", None, "wrote it"),
    ],
)
def test_a_description_without_its_actor(did: str, target: Target | None, phrase: str) -> None:
    assert phrase_of(alert("a", did=did, target=target)) == phrase


def test_names_of_people_are_not_changed() -> None:
    assert person("system:serviceaccount:a:b") == "service account a/b"
    assert person("system:serviceaccount:a:b:c") == "system:serviceaccount:a:b:c"
    assert capital("oneil did it") == "oneil did it"
    assert capital("one day later, oneil did it") == "One day later, oneil did it"


@pytest.mark.parametrize(
    ("alerts", "severity"),
    [
        ([("low", "a")], "low"),
        # A shell by itself is what developers do, too.
        ([("medium", "a")], "low"),
        ([("medium", "ab")], "medium"),
        # What serves no tactic is about the alarm itself, or not known to be an attack.
        ([("medium", "")], "medium"),
        ([("medium", "a"), ("low", "a")], "medium"),
        ([("high", "a")], "high"),
        ([("high", "abc")], "high"),
        ([("high", "abcd")], "critical"),
        ([("high", "ab"), ("medium", "cd")], "critical"),
        ([("high", "ab"), ("low", "cd")], "high"),
        ([("critical", "abcd")], "critical"),
        ([("low", "abcd")], "medium"),
    ],
)
def test_severity_is_that_of_the_worst_alert_and_more_when_it_goes_far(
    alerts: list[tuple[Severity, str]], severity: Severity
) -> None:
    made = [
        alert(f"a{n}", severity=one, attack=serving(*tactics))
        for n, (one, tactics) in enumerate(alerts)
    ]
    assert severity_of(summary_of(*made)) == severity


def test_three_tactics_are_enough_with_a_wide_reach() -> None:
    made = [
        alert(f"a{n}", severity="high", target=pod(f"ns{n}", "p"), attack=serving("x", "y", "z"))
        for n in range(3)
    ]
    assert severity_of(summary_of(*made[:2])) == "high"
    assert severity_of(summary_of(*made)) == "critical"


def test_facts_make_nothing_worse() -> None:
    summary = summary_of(alert("a"))
    for _ in range(50):
        summary.add_fact(alert("f", severity="info", attack=serving("w", "x", "y", "z")))
    assert severity_of(summary) == "medium"


def test_words() -> None:
    assert [counted(n, "day") for n in (0, 1, 2, 11, 1200)] == [
        "no days",
        "one day",
        "two days",
        "11 days",
        "1,200 days",
    ]
    assert [length(s) for s in (0.2, 9, 62, 7200, 172800)] == [
        "a second",
        "nine seconds",
        "one minute",
        "two hours",
        "two days",
    ]
    assert [joined(parts) for parts in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert among("x", 1) == "x"
    assert among("x (y)", 3) == "x (y; the first of three such alerts)"


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("pods", "pod"),
        ("networkpolicies", "networkpolicy"),
        ("ingresses", "ingress"),
        ("storageclasses", "storageclass"),
        ("metrics.k8s.io", "metrics.k8s.io"),
    ],
)
def test_one_of_a_resource(plural: str, one: str) -> None:
    assert singular(plural) == one
