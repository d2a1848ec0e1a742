"""Which alerts a silence hides, and which silences are refused."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.store.samples import HOSTILE, hostile_alert, make_alert, with_severity
from tocsin.model.alert import Alert
from tocsin.model.errors import TocsinError
from tocsin.model.matcher import Matcher, check, escape, hides, literal, matcher_of, proposal
from tocsin.model.silence import MAX_SECONDS, new_silence, silence_of

HOUR = 3600.0


def own(alert: Alert) -> Alert:
    """Return the alert as if a rule of Tocsin itself had given it."""
    return msgspec.structs.replace(
        alert, rule=msgspec.structs.replace(alert.rule, dialect="tocsin")
    )


@pytest.mark.parametrize(
    ("parts", "hidden"),
    [
        ({"rule": "5c1b"}, True),
        ({"rule": "5c1"}, False),
        ({"user": "al*"}, True),
        ({"user": "AL*"}, False),
        ({"cluster": "prod", "user": "alice", "namespace": "shop", "name": "web"}, True),
        ({"cluster": "prod", "user": "bob"}, False),
        ({"cluster": "test", "user": "alice"}, False),
        ({"namespace": "shop", "name": "other"}, False),
        ({"verb": "create", "resource": "pods"}, True),
        ({"resource": "pods/exec"}, False),
        ({"network": "203.0.113.0/24"}, True),
        ({"network": "203.0.113.9"}, True),
        ({"network": "10.0.0.0/8"}, False),
        ({"network": "2001:db8::/32"}, False),
        ({"severity": "high"}, True),
        ({"severity": "medium"}, False),
    ],
)
def test_every_part_must_match(parts: dict[str, Any], hidden: bool) -> None:  # noqa: FBT001
    assert hides(matcher_of(parts), make_alert()) is hidden


def test_a_part_does_not_match_what_the_alert_does_not_have() -> None:
    alert = hostile_alert("")
    bare = msgspec.structs.replace(
        alert,
        target=msgspec.structs.replace(alert.target, namespace=None, resource=None),
        actor=msgspec.structs.replace(alert.actor, user=None, source_ips=()),
    )
    for parts in ({"user": "*"}, {"namespace": "*"}, {"resource": "*"}, {"network": "0.0.0.0/0"}):
        assert not hides(matcher_of(parts), bare), parts


def test_all_addresses_must_lie_in_the_network() -> None:
    alert = make_alert()

    def seen_from(*addresses: str) -> bool:
        actor = msgspec.structs.replace(alert.actor, source_ips=addresses)
        return hides(Matcher(network="10.0.0.0/8"), msgspec.structs.replace(alert, actor=actor))

    assert seen_from("10.1.2.3", "10.9.9.9")
    # A client sets X-Forwarded-For as it likes.
    assert not seen_from("10.1.2.3", "203.0.113.9")
    assert not seen_from("10.1.2.3", "no address")


def test_subresources_are_named_with_a_slash() -> None:
    alert = make_alert()
    target = msgspec.structs.replace(alert.target, subresource="exec")
    alert = msgspec.structs.replace(alert, target=target)
    assert hides(Matcher(resource="pods/exec"), alert)
    assert hides(Matcher(resource="pods*"), alert)
    assert not hides(Matcher(resource="pods"), alert)


@pytest.mark.parametrize("change", [own, lambda alert: with_severity(alert, "critical")])
def test_critical_and_own_alerts_need_the_whole_rule_id(change: Any) -> None:
    alert = change(make_alert())
    assert not hides(Matcher(user="alice", cluster="prod"), alert)
    assert not hides(Matcher(rule="*", user="alice"), alert)
    assert not hides(Matcher(rule="5c1*"), alert)
    assert hides(Matcher(rule="5c1b"), alert)


@given(st.text("ab*\\", max_size=8), st.text("ab*\\", max_size=8))
def test_wildcards_mean_what_a_plain_search_says(pattern: str, text: str) -> None:
    pieces = re.split(r"(\\\*|\\\\|\*)", pattern)
    translated = "".join(
        ".*" if one == "*" else re.escape(one[1:] if one in (r"\*", "\\\\") else one)
        for one in pieces
    )
    alert = msgspec.structs.replace(make_alert(), cluster=text)
    expected = bool(text) and re.fullmatch(translated, text, re.DOTALL) is not None
    assert hides(Matcher(cluster=pattern), alert) is (expected if pattern else True)


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_an_escaped_text_matches_itself_alone(text: str, other: str) -> None:
    assert literal(escape(text)) == text
    alert = msgspec.structs.replace(make_alert(), cluster=text)
    assert hides(Matcher(cluster=escape(text)), alert)
    alert = msgspec.structs.replace(make_alert(), cluster=other)
    assert hides(Matcher(cluster=escape(text)), alert) is (text == other)


def test_many_wildcards_cost_no_time() -> None:
    alert = msgspec.structs.replace(make_alert(), cluster="a" * 100_000)
    assert not hides(Matcher(cluster="a*" * 200 + "b"), alert)


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"user": "*"},
        {"user": "**", "namespace": "*"},
        {"severity": "critical"},
        {"severity": "worse"},
        {"network": "10.0.0.0/99"},
        {"network": "office"},
        {"user": "x" * 500},
    ],
)
def test_what_means_everything_or_nothing_is_refused(parts: dict[str, str]) -> None:
    with pytest.raises(TocsinError):
        check(matcher_of(parts))


@pytest.mark.parametrize(
    ("owner", "reason", "seconds", "said"),
    [
        ("eve", " ", HOUR, "reason"),
        ("", "test", HOUR, "owner"),
        ("eve", "x" * 500, HOUR, "400"),
        ("eve", "test", 0.0, "90 days"),
        ("eve", "test", MAX_SECONDS + 1, "90 days"),
    ],
)
def test_a_silence_says_who_why_and_how_long(
    owner: str, reason: str, seconds: float, said: str
) -> None:
    with pytest.raises(TocsinError, match=said):
        new_silence(Matcher(rule="5c1b"), owner, reason, 1000.0, seconds)


def test_a_silence_is_over_when_it_expires_or_is_ended() -> None:
    silence = new_silence(Matcher(rule="5c1b"), "eve", "test", 1000.0, HOUR)
    ended = msgspec.structs.replace(silence, ended=1500.0)
    assert [silence.state(now) for now in (1000.0, 4599.0, 4600.0)] == [
        "active",
        "active",
        "expired",
    ]
    alert = make_alert()
    assert silence_of(alert, [ended, silence], 2000.0) is silence
    assert silence_of(alert, [ended], 2000.0) is None
    assert silence_of(alert, [silence], 4600.0) is None


@pytest.mark.parametrize("text", [*HOSTILE, "*", "a*b", "\\"])
def test_what_an_alert_proposes_hides_it_and_no_other_user(text: str) -> None:
    alert = hostile_alert(text)
    matcher = proposal(alert)
    assert hides(matcher, alert)
    if text:
        other = msgspec.structs.replace(
            alert, actor=msgspec.structs.replace(alert.actor, user="somebody")
        )
        assert not hides(matcher, other)


def test_the_words_of_a_matcher() -> None:
    matcher = Matcher(user="ci-*", network="10.0.0.0/8", severity="low")
    assert matcher.words == "user is ci-*, network in 10.0.0.0/8, severity at most low"
