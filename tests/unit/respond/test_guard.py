"""The guard: each limit just inside and just outside."""

from typing import Any

import msgspec
import pytest

from tests.unit.respond.plans import NOW, OWNER, POD, a_plan, a_prepared, acted, an_alert, facts
from tocsin.model.alert import Actor
from tocsin.model.response import Call, ObjectRef, Order, Response
from tocsin.respond.actions.base import Prepared, Refusal
from tocsin.respond.guard import Decision, Policy, decide, is_dry_run, judge_approval, policy_of
from tocsin.respond.match import When
from tocsin.respond.protection import protected_by
from tocsin.respond.settings import (
    ACCOUNT,
    Approval,
    Limits,
    Protected,
    RespondSettings,
    ResponseRule,
)

POLICY = Policy()


def judged(
    plan: dict[str, Any] | None = None, policy: Policy = POLICY, **changes: Any
) -> tuple[str, str]:
    decision = decide(a_plan(**plan or {}), facts(**changes), policy)
    assert decision.reason
    return decision.verdict, decision.limit


RUN = ("run", "")


def test_within_all_limits_it_runs() -> None:
    assert decide(a_plan(), facts(), POLICY) == Decision("run", "within the limits")


def test_a1_the_default_is_a_dry_run() -> None:
    rule = ResponseRule(name="x", when=When(rules=("r",)), actions=("delete_pod",))
    assert rule.mode == "dry-run"
    assert judged({"mode": rule.mode}) == ("simulate", "dry-run")
    assert judged({"mode": rule.mode}, approver="alice") == ("simulate", "dry-run")


def test_a1_a_dry_run_never_waits_for_approval() -> None:
    history = [acted(number) for number in range(3)]
    decision = decide(a_plan(mode="dry-run"), facts(history=history), POLICY)
    assert decision.verdict == "simulate"
    assert "scale_owner" in decision.reason


def test_a11_approve_needs_a_person() -> None:
    assert judged({"mode": "approve"}) == ("needs-approval", "mode")
    assert judged({"mode": "approve"}, approver="alice") == RUN


def test_a11_four_eyes() -> None:
    policy = Policy(four_eyes=True)
    asked = {"mode": "approve", "asked_by": "alice"}
    assert judged(asked, policy, approver="alice") == ("needs-approval", "four-eyes")
    assert judged(asked, policy, approver="bob") == RUN
    assert judged(asked, approver="alice") == RUN


def test_a15_stopped() -> None:
    assert judged(stopped=True) == ("refused", "stopped")
    assert judged(stopped=True, approver="alice") == ("refused", "stopped")


def test_a6_so_many_per_owner_and_then_a_person() -> None:
    history = [acted(number) for number in range(3)]
    assert judged(history=history[:2]) == RUN
    decision = decide(a_plan(), facts(history=history), POLICY)
    assert (decision.verdict, decision.limit) == ("needs-approval", "per-owner")
    assert OWNER.words in decision.reason
    assert "scale_owner" in decision.reason
    assert judged(history=history, approver="alice") == RUN
    assert judged({"destructive": False}, history=history) == RUN
    assert judged(history=history, policy=Policy(per_owner=4)) == RUN


def test_a6_what_has_no_owner() -> None:
    history = [acted(number, root="u1") for number in range(3)]
    decision = decide(
        a_plan(), facts(history=history, prepared=a_prepared(root="u1", owner=None)), POLICY
    )
    assert decision.limit == "per-owner"
    assert POD.words in decision.reason


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({"at": NOW - 600}, False),
        ({"at": NOW - 599.9}, True),
        ({"root": "another"}, False),
        ({"destructive": False}, False),
    ],
)
def test_a6_what_counts_for_an_owner(changes: dict[str, Any], counts: bool) -> None:  # noqa: FBT001
    history = [acted(1), acted(2), acted(3, **changes)]
    assert judged(history=history) == (("needs-approval", "per-owner") if counts else RUN)


@pytest.mark.parametrize(
    ("calls", "at", "runs"),
    [(9, NOW - 59.9, True), (10, NOW - 59.9, False), (10, NOW - 60, True)],
)
def test_a6_so_many_changes_a_minute(calls: int, at: float, runs: bool) -> None:  # noqa: FBT001
    history = [acted(calls=calls, at=at, root="another")]
    expected = RUN if runs else ("needs-approval", "per-minute")
    assert judged(history=history) == expected
    assert judged(history=history, approver="alice") == expected
    assert judged(history=history, prepared=a_prepared(calls=())) == expected


def test_a_response_of_more_changes_than_the_limit_runs_alone_once_approved() -> None:
    many = a_prepared(calls=(Call(verb="delete", target=POD),) * 11)
    before = [acted(at=NOW - 1, root="another")]
    assert judged(prepared=many) == ("needs-approval", "per-minute")
    assert judged(prepared=many, approver="alice") == RUN
    assert judged(prepared=many, approver="alice", history=before)[0] == "needs-approval"


def test_a7_own_requests_ask_for_nothing() -> None:
    assert judged(own_mark=True) == ("refused", "own-request")
    assert judged(own_mark=True, approver="alice") == ("refused", "own-request")


def test_a9_unauthenticated() -> None:
    assert judged(authenticated=False, approver="alice") == ("refused", "unauthenticated")


@pytest.mark.parametrize("alert", [None, msgspec.structs.replace(an_alert(), event=None)])
def test_a9_without_an_event(alert: Any) -> None:
    assert judged(alert=alert) == ("refused", "no-event")


@pytest.mark.parametrize(
    ("event", "limit"),
    [
        ({"code": 399}, ""),
        ({"code": 101}, ""),
        ({"code": 400}, "denied"),
        ({"code": 403}, "denied"),
        ({"code": None}, "outcome-unknown"),
        ({"request_uri": "/x?dryRun=All"}, "dry-run-request"),
        ({"request_uri": None}, ""),
    ],
)
def test_a9_denied_unknown_and_dry_run_requests(event: dict[str, Any], limit: str) -> None:
    assert judged(alert=an_alert(event=event)) == (("refused", limit) if limit else RUN)


@pytest.mark.parametrize(
    ("uri", "dry"),
    [
        ("/api?dryRun=All", True),
        ("/api?a=b&dryRun=All#x", True),
        ("/api?dry%52un=All", True),
        ("/api?fieldManager=dryRun", False),
        ("/api/dryRun=All", False),
        ("", False),
    ],
)
def test_a9_dry_run_requests(uri: str, dry: bool) -> None:  # noqa: FBT001
    assert is_dry_run(uri) is dry


@pytest.mark.parametrize(
    ("age", "runs"), [(300, True), (300.1, False), (-60, True), (-60.1, False)]
)
def test_a9_stale_evidence(age: float, runs: bool) -> None:  # noqa: FBT001
    expected = RUN if runs else ("refused", "stale")
    assert judged({"evidence_at": NOW - age}) == expected


def test_a9_waiting_for_approval_makes_nothing_stale() -> None:
    plan = {"mode": "approve", "asked_at": NOW - 5000, "evidence_at": NOW - 5001}
    assert judged(plan, approver="alice") == RUN
    stale = {"mode": "approve", "asked_at": NOW, "evidence_at": NOW - 301}
    assert judged(stale, approver="alice") == ("refused", "stale")


def test_a_person_may_ask_about_an_old_alert_but_not_one_of_the_future() -> None:
    asked = {"mode": "approve", "asked_by": "alice"}
    assert judged(asked | {"evidence_at": NOW - 9999}, approver="bob") == RUN
    assert judged(asked | {"evidence_at": NOW + 61}, approver="bob") == ("refused", "stale")


def test_a5_the_object_must_be_known_and_the_same() -> None:
    nameless = msgspec.structs.replace(POD, uid=None)
    other = msgspec.structs.replace(POD, uid="u2")
    refused = ("refused", "target")
    assert judged(prepared=None) == refused
    assert judged(prepared=Refusal("gone already")) == refused
    assert judged(prepared=a_prepared(target=nameless)) == refused
    assert judged(prepared=a_prepared(target=other)) == refused
    assert judged({"target": nameless}) == RUN
    assert judged(prepared=a_prepared(calls=(Call(verb="delete", target=nameless),))) == refused
    assert judged(prepared=a_prepared(calls=(Call(verb="patch", target=nameless),))) == refused
    assert judged(prepared=a_prepared(calls=(Call(verb="create", target=nameless),))) == RUN


def test_what_is_acted_on_may_be_the_owner() -> None:
    scaled = a_prepared(target=OWNER, calls=(), protects={"priority_class": None})
    assert judged({"action": "scale_owner"}, prepared=scaled) == RUN


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({}, True),
        ({"stands": False}, False),
        ({"response": "0" * 32}, False),
        ({"action": "isolate_pod"}, False),
        ({"uid": "u2"}, False),
    ],
)
def test_a4_two_rules_do_it_once(changes: dict[str, Any], refused: bool) -> None:  # noqa: FBT001
    history = [acted(**({"uid": "u1"} | changes))]
    assert judged(history=history) == (("refused", "repeated") if refused else RUN)


def test_a16_a_storm() -> None:
    assert judged(breaker_open_until=NOW + 0.1) == ("refused", "storm")
    assert judged(breaker_open_until=NOW) == RUN
    assert judged(breaker_open_until=NOW + 1, approver="alice") == RUN
    asked = {"asked_by": "alice", "mode": "approve"}
    assert judged(asked, breaker_open_until=NOW + 1) == ("needs-approval", "mode")


def account(user: str, namespace: str = "shop", name: str = "thief") -> dict[str, Any]:
    target = ObjectRef(resource="serviceaccounts", namespace=namespace, name=name, uid="s")
    return {
        "prepared": Prepared(target=target, root="s", calls=(), protects={"role_refs": ()}),
        "alert": an_alert(actor=Actor(user=user, impersonated="system:serviceaccount:shop:thief")),
    }


def test_a9_only_against_who_made_the_request() -> None:
    plan = {"action": "revoke_account"}
    assert judged(plan, **account("system:serviceaccount:shop:thief")) == RUN
    assert judged(plan, **account("mallory")) == ("refused", "impersonated")
    assert judged(plan, **account("")) == ("refused", "impersonated")


PROTECTED: list[tuple[dict[str, Any], str]] = [
    ({"target": msgspec.structs.replace(POD, namespace="kube-system")}, "kube-system"),
    ({"target": msgspec.structs.replace(POD, namespace="tocsin")}, "tocsin"),
    (
        {
            "calls": (
                Call(
                    verb="create", target=ObjectRef(resource="x", namespace="kube-public", name="n")
                ),
            )
        },
        "kube-public",
    ),
    ({"target": ObjectRef(resource="namespaces", name="kube-system", uid="u")}, "kube-system"),
    (
        {"protects": {"priority_class": "system-node-critical", "mirror_pod": False}},
        "node-critical",
    ),
    ({"protects": {"priority_class": None, "mirror_pod": True}}, "static pod"),
    ({"protects": {"priority_class": None}}, "mirror_pod was not read"),
    ({"protects": {"mirror_pod": False}}, "priority_class was not read"),
]


@pytest.mark.parametrize(("changes", "words"), PROTECTED)
def test_a8_protected_pods(changes: dict[str, Any], words: str) -> None:
    reason = protected_by(a_prepared(**changes), (), Protected(), ACCOUNT)
    assert reason is not None
    assert words in reason


def test_a8_protection_is_not_lifted_by_an_approval() -> None:
    mirror = a_prepared(protects={"priority_class": None, "mirror_pod": True})
    assert judged(prepared=mirror, approver="alice") == ("refused", "protected")


@pytest.mark.parametrize("control_plane", [True, False])
def test_a8_nodes_of_the_control_plane(control_plane: bool) -> None:  # noqa: FBT001
    node = ObjectRef(resource="nodes", name="n1", uid="n")
    prepared = Prepared(target=node, root="n", calls=(), protects={"control_plane": control_plane})
    assert bool(protected_by(prepared, (), Protected(), ACCOUNT)) is control_plane


@pytest.mark.parametrize(
    ("role", "subject", "words"),
    [
        ("view", {"kind": "User", "name": "mallory"}, None),
        ("cluster-admin", {"kind": "User", "name": "mallory"}, "cluster-admin"),
        ("system:node", {"kind": "User", "name": "mallory"}, "system:node"),
        ("view", {"kind": "Group", "name": "system:masters"}, "system:masters"),
        ("view", {"kind": "Group", "name": "dev"}, None),
        ("view", {"kind": "User", "name": "system:masters"}, None),
        ("view", {"kind": "User", "name": "kubernetes-admin"}, "kubernetes-admin"),
        ("view", {"kind": "User", "name": "system:node:n1"}, "system:node:n1"),
        ("view", {"kind": "ServiceAccount", "name": "x", "namespace": "kube-system"}, "system:x"),
        ("view", {"kind": "ServiceAccount", "name": "x", "namespace": "tocsin"}, "tocsin:x"),
        ("view", {"kind": "ServiceAccount", "name": "x", "namespace": "shop"}, None),
        ("view", "no subject", None),
    ],
)
def test_a8_bindings(role: str, subject: Any, words: str | None) -> None:
    binding = ObjectRef(resource="clusterrolebindings", name="b", uid="b")
    protects: dict[str, object] = {"role_ref": role, "subjects": [subject]}
    prepared = Prepared(target=binding, root="b", calls=(), protects=protects)
    reason = protected_by(prepared, ("system:masters",), Protected(), ACCOUNT)
    assert (reason is None) if words is None else words.replace("system:x", ":x") in str(reason)


def test_a8_accounts() -> None:
    def reason(
        name: str, groups: tuple[str, ...] = (), roles: tuple[str, ...] = (), own: str = ACCOUNT
    ) -> str | None:
        target = ObjectRef(resource="serviceaccounts", namespace="shop", name=name, uid="s")
        prepared = Prepared(target=target, root="s", calls=(), protects={"role_refs": roles})
        more = Protected(more_users=("system:serviceaccount:shop:deploy*",))
        return protected_by(prepared, groups, more, own)

    assert reason("thief", ("system:authenticated",), ("view",)) is None
    assert "is protected" in str(reason("deployer"))
    assert "system:masters" in str(reason("thief", ("system:masters",)))
    assert "cluster-admin" in str(reason("thief", (), ("view", "cluster-admin")))
    own = "system:serviceaccount:shop:thief"
    assert "responder itself" in str(reason("thief", own=own))


def test_policy_of_a_rule() -> None:
    settings = RespondSettings(
        limits=Limits(per_owner=5, per_minute=7),
        approval=Approval(four_eyes=True),
        account="me",
        max_evidence_age_seconds=9.0,
    )
    when = When(rules=("r",))
    plain = ResponseRule(name="x", when=when, actions=("a",))
    own = ResponseRule(name="x", when=when, actions=("a",), per_owner=9, per_minute=2)
    more = ResponseRule(name="x", when=when, actions=("a",), per_minute=8)
    found = policy_of(settings, None)
    assert (found.per_owner, found.per_minute, found.four_eyes) == (5, 7, True)
    assert (found.account, found.max_evidence_age) == ("me", 9.0)
    assert policy_of(settings, plain) == found
    assert (policy_of(settings, own).per_owner, policy_of(settings, own).per_minute) == (9, 2)
    assert policy_of(settings, more).per_minute == 7


def waiting(**changes: Any) -> Response:
    response = Response(
        plan=a_plan(asked_by="alice"),
        state="awaiting-approval",
        digest="d",
        expires=NOW,
        updated=0.0,
    )
    return msgspec.structs.replace(response, **changes)


ORDER = Order(kind="approve", response="x", digest="d", who="alice", time=0.0)


@pytest.mark.parametrize(
    ("response", "now", "order", "why"),
    [
        (waiting(), NOW - 0.1, ORDER, None),
        (waiting(), NOW, ORDER, "over"),
        (waiting(state="approved"), NOW - 1, ORDER, "approved"),
        (waiting(state="done"), NOW - 1, ORDER, "done"),
        (waiting(digest="e"), NOW - 1, ORDER, "look at it again"),
        (waiting(digest=""), NOW - 1, msgspec.structs.replace(ORDER, digest=""), "look at it"),
    ],
)
def test_a11_an_approval(response: Response, now: float, order: Order, why: str | None) -> None:
    found = judge_approval(response, order, now, POLICY)
    assert (found is None) if why is None else why in str(found)


def test_a11_four_eyes_of_an_approval() -> None:
    policy = Policy(four_eyes=True)
    bob = msgspec.structs.replace(ORDER, who="bob")
    assert "somebody else" in str(judge_approval(waiting(), ORDER, NOW - 1, policy))
    assert judge_approval(waiting(), bob, NOW - 1, policy) is None
