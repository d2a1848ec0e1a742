"""A2: what an attacker chooses never becomes more than the one argument it stands in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.respond.command.alerts import alert_on
from tocsin.respond.actions.base import Refusal
from tocsin.respond.command.template import FIELD_TYPES, FieldType, expand

TEMPLATE = ["delete", "pod", "$(pod)", "-n", "$(ns)"]
HOSTILE = [
    "",
    "; reboot",
    "$(id)",
    "`id`",
    "a\nb",
    "a\tb",
    "'a'",
    '"a"',
    "-n kube-system",
    "--all",
    "-A",
    "../secrets",
    "a/b",
    "*",
    "a?b",
    "[a-z]",
    "~",
    "a=b",
    "a,b",
    "x" * 65_536,
    "a\0b",
    "w\u0435b",
    "\uff41",
    "web\u202e",
    "Web",
    "web-",
    "-web",
    "a..b",
    "web…",
]


def test_a2_one_word_is_one_argument() -> None:
    alert = alert_on(fields={"pod": "web-0", "ns": "shop"})
    assert expand(TEMPLATE, alert) == ["delete", "pod", "web-0", "-n", "shop"]


@pytest.mark.parametrize("field", ["pod", "ns"])
@pytest.mark.parametrize("value", HOSTILE)
def test_a2_hostile_values_refuse_the_command(field: str, value: str) -> None:
    alert = alert_on(fields={"pod": "web", "ns": "shop", field: value})
    refusal = expand(TEMPLATE, alert)
    assert isinstance(refusal, Refusal)
    assert refusal.reason.startswith(f"$({field}) is ")
    assert len(refusal.reason) < 500
    assert refusal.reason.isprintable()


@pytest.mark.parametrize("value", [None, ["a", "b"], 5, {"a": "b"}])
def test_what_is_no_single_text_is_refused(value: object) -> None:
    alert = alert_on(fields={"pod": value, "ns": "shop"})
    assert isinstance(expand(TEMPLATE, alert), Refusal)


def test_what_is_known_of_the_event_fills_in_too() -> None:
    words = ["$(namespace)/$(name)", "$(user)", "$(source_ip)", "$(verb)", "$(unknown)"]
    assert expand(words[:-1], alert_on()) == ["shop/web", "mallory", "10.0.0.7", "create"]
    assert isinstance(expand(words, alert_on()), Refusal)


def test_what_has_no_end_is_text() -> None:
    assert expand(["$(pod", "$pod", "a)"], alert_on()) == ["$(pod", "$pod", "a)"]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("uid", "9a1b6b4e-0000-4000-8000-000000000001", "9a1b6b4e"),
        ("user", "system:serviceaccount:shop:web", "a b"),
        ("user", "alice@example.com", "@x"),
        ("role", "system:node", "a/b"),
        ("ip", "2001:db8::1", "10.0.0.7;"),
        ("ip", "10.0.0.7", "fe80::1%eth0"),
        ("word", "create", "a b"),
        ("number", "42", "-1"),
        ("label", "a" * 63, "a" * 64),
        ("name", "a.b-c", "a" * 254),
    ],
)
def test_types(kind: FieldType, good: str, bad: str) -> None:
    assert expand(["$(x)"], alert_on(fields={"x": good}), {"x": kind}) == [good]
    assert isinstance(expand(["$(x)"], alert_on(fields={"x": bad}), {"x": kind}), Refusal)


def test_sizes_are_bounded() -> None:
    long: dict[str, object] = {f"f{number}": "a" * 253 for number in range(60)}
    assert isinstance(expand([f"$({name})" for name in long], alert_on(fields=long)), Refusal)
    assert isinstance(expand(["$(f0)" * 5], alert_on(fields=long)), Refusal)
    assert isinstance(expand(["x"] * 65, alert_on()), Refusal)
    assert isinstance(expand(["a\0"], alert_on()), Refusal)


@given(value=st.text(), kind=st.sampled_from(FIELD_TYPES))
def test_a2_no_value_adds_a_word_or_an_option(value: str, kind: FieldType) -> None:
    answer = expand(["run", "$(x)", "end"], alert_on(fields={"x": value}), {"x": kind})
    if not isinstance(answer, Refusal):
        assert answer == ["run", value, "end"]
        assert value[0] not in "-/."
        assert not set(value) & set(" \t\n\"'`$;|&<>*?(){}[]\\\0=,~!#%")
