"""A token that is used from elsewhere than where it was requested."""

from itertools import count

import pytest

from tests.unit.audit import alerts_of, event, item, new_engine
from tocsin.detect.minted import RULE, MintedTokens

BUILDER = "system:serviceaccount:shop:builder"
POD_CLAIM = {"authentication.kubernetes.io/pod-name": ["vault-0"]}
numbers = count()


def minted(name: str = "JTI=1", **changes: object) -> dict[str, object]:
    reference = {"resource": "serviceaccounts", "subresource": "token", "name": "builder"}
    given: dict[str, object] = {
        "auditID": f"mint-{next(numbers)}",
        "requestURI": "/api/v1/namespaces/shop/serviceaccounts/builder/token",
        "objectRef": {**reference, "namespace": "shop", "apiVersion": "v1"},
        "annotations": {"authentication.kubernetes.io/issued-credential-id": name},
    }
    return item(**given | changes)


def used(
    *addresses: str, name: str = "JTI=1", user: str = BUILDER, **changes: object
) -> dict[str, object]:
    extra = {"authentication.kubernetes.io/credential-id": [name]}
    given: dict[str, object] = {
        "auditID": f"use-{next(numbers)}",
        "verb": "get",
        "user": {"username": user, "extra": extra},
        "sourceIPs": list(addresses),
        "requestReceivedTimestamp": "2026-11-23T11:45:16.123456Z",
    }
    return item(**given | changes)


def told(*events: dict[str, object]) -> list[str]:
    """Return the descriptions of the alerts on tokens."""
    return [one.description for one in alerts_of(new_engine(), *events) if one.rule.id == RULE.id]


def test_a_token_used_from_elsewhere_is_told_with_who_requested_it() -> None:
    (alert,) = alerts_of(new_engine(), minted(), used("10.9.9.9"))
    assert alert.description == (
        f"a token of {BUILDER} that alice requested from 10.0.0.7 was used from 10.9.9.9"
    )
    assert alert.fields == {"minter": "alice", "minted_from": "10.0.0.7", "used_from": "10.9.9.9"}
    assert alert.actor.user == BUILDER
    assert alert.rule.severity == "high"
    assert [one.technique for one in alert.rule.attack] == ["T1528", "T1550.001"]


@pytest.mark.parametrize(
    ("mint", "use"),
    [
        (minted(), used("10.0.0.7")),
        (minted(), used("10.9.9.9", name="JTI=2")),
        (minted(), used("10.9.9.9", user="system:serviceaccount:shop:other")),
        (minted(annotations=None), used("10.9.9.9")),
        (minted(responseStatus={"code": 403}), used("10.9.9.9")),
        (
            minted(user={"username": "system:node:n1", "groups": ["system:nodes"]}),
            used("10.9.9.9"),
        ),
        (
            minted(user={"username": "system:serviceaccount:vault:vault", "extra": POD_CLAIM}),
            used("10.9.9.9"),
        ),
    ],
    ids=["same", "token", "account", "unnamed", "refused", "kubelet", "in-a-pod"],
)
def test_what_is_no_use_from_elsewhere(mint: dict[str, object], use: dict[str, object]) -> None:
    assert told(mint, use) == []


def test_a_name_alone_makes_no_kubelet() -> None:
    assert told(minted(user={"username": "system:node:n1"}), used("10.9.9.9"))


def test_an_address_that_the_client_adds_hides_nothing() -> None:
    assert told(minted(), used("10.0.0.7", "10.9.9.9"))


def test_each_address_is_told_once() -> None:
    uses = [used("10.9.9.9"), used("10.9.9.9"), used("10.9.9.8"), used("10.0.0.7")]
    assert len(told(minted(), *uses)) == 2


def test_the_same_request_again_has_the_same_answer() -> None:
    engine, events = new_engine(), (minted(), used("10.9.9.9"))
    assert alerts_of(engine, *events) == alerts_of(engine, *events) != []


def test_the_first_token_goes_when_there_is_no_room() -> None:
    tokens = MintedTokens(max_tokens=2)
    for number in range(3):
        tokens.used_elsewhere([event(**minted(f"JTI={number}"))], "prod")
    assert (len(tokens), tokens.evictions) == (2, 1)
    uses = [event(**used("10.9.9.9", name=f"JTI={number}")) for number in range(3)]
    assert [index for index, _ in tokens.used_elsewhere(uses, "prod")] == [1, 2]


def test_a_token_is_forgotten_when_its_life_is_over() -> None:
    tokens = MintedTokens()
    later = {"requestReceivedTimestamp": "2026-11-24T10:45:17.123456Z"}
    tokens.used_elsewhere([event(**minted()), event(**minted("JTI=2", **later))], "prod")
    assert (len(tokens), tokens.evictions) == (1, 0)


def test_what_is_remembered_survives_a_restart() -> None:
    tokens, again = MintedTokens(), MintedTokens()
    tokens.used_elsewhere([event(**minted()), event(**used("10.9.9.9"))], "prod")
    again.restore(tokens.save())
    uses = [event(**used("10.9.9.9")), event(**used("10.9.9.8"))]
    assert [index for index, _ in again.used_elsewhere(uses, "prod")] == [1]
    assert not again.used_elsewhere(uses[1:], "other cluster")


def test_malformed_claims_cost_nothing() -> None:
    extra: list[object] = [{"a": 1}, {"authentication.kubernetes.io/credential-id": []}]
    uses = [
        used("10.9.9.9", user=BUILDER) | {"user": {"username": BUILDER, "extra": e}} for e in extra
    ]
    assert told(minted(), *uses) == []
