"""Messages with placeholders, and event text that stays text."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tocsin.rules.template import MAX_VALUE, fill, placeholders, shorten


def filled(template: str, **fields: list[str]) -> str:
    return fill(template, lambda name: fields.get(name, []))


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("no field", "no field"),
        ("$(user) did it", "alice did it"),
        ("$(user)$(user)", "alicealice"),
        ("by $(user): $(list).", "by alice: a, b."),
        ("$(nobody)", "-"),
        ("$(empty)", "-"),
        ("$()", ""),
        ("costs $5 $ (user) $(user", "costs $5 $ (user) $(user"),
        ("", ""),
    ],
)
def test_placeholders_are_replaced(template: str, text: str) -> None:
    assert filled(template, user=["alice"], list=["a", "b"], empty=[""]) == text


def test_event_text_is_never_a_template() -> None:
    assert filled("$(a) $(b)", a=["$(b)"], b=["$(a) {a} %s"]) == "$(b) $(a) {a} %s"


def test_long_values_are_cut_and_marked() -> None:
    assert shorten("x" * MAX_VALUE) == "x" * MAX_VALUE
    cut = filled("$(a)!", a=["x" * 10_000])
    assert len(cut) == MAX_VALUE + 1
    assert cut.endswith("x…!")


def test_names_of_placeholders_are_known() -> None:
    assert placeholders("$(a) and $(b.c) and $(a) $() $(") == ["a", "b.c", "a"]


@given(st.text())
def test_text_without_placeholders_is_kept(text: str) -> None:
    assume(not placeholders(text) and "$()" not in text)
    assert filled(text) == text
