"""Variables of a Wazuh file."""

import pytest

from tocsin.dialects.wazuh.variables import expand_variables
from tocsin.dialects.wazuh.xml import Element, read_xml
from tocsin.model.errors import LoadError

PATH = "rules/local_rules.xml"


def expanded(text: str) -> list[Element]:
    return expand_variables(read_xml(text, PATH), PATH)


def value(text: str) -> str:
    """Return the text of `<m>text</m>` below definitions of $X and $Long."""
    definitions = '<var name="X">v|w</var><var name="Long">l</var>'
    [element] = expanded(f"{definitions}<m>{text}</m>")
    return element.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$X", "v|w"),
        ("a$x", "av|w"),
        ("$X|$LONG,$X.$X $X$long", "v|w|l,v|w.v|w v|wl"),
        ("$(pod) $X", "$(pod) v|w"),
        ("^a$", "^a$"),
        ("a$|b", "a$|b"),
        ("$$X", "$v|w"),
    ],
)
def test_uses(text: str, expected: str) -> None:
    assert value(text) == expected


def test_attributes_and_children_are_filled_and_definitions_gone() -> None:
    [group] = expanded(
        '<var name="N">8</var><group name="g"><var name="M">m</var>'
        '<rule frequency="$N"><match>$M</match></rule></group>'
    )
    [rule] = group.children
    assert rule.attributes == {"frequency": "8"}
    assert rule.children[0].text == "m"


def test_without_definitions_the_sign_is_text() -> None:
    [element] = expanded("<m>$X</m>")
    assert element.text == "$X"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('<var name="X">v</var>\n<m>$Y $Z</m>', "2: variable $Y is not defined above its use"),
        ('<m>$X</m><var name="X">v</var>', "1: variable $X is not defined above its use"),
        ("<var>v</var>", "1: a variable has one attribute, `name`, and no other"),
        ('<var name="">v</var>', "1: a variable has one attribute, `name`, and no other"),
        ('<var name="X" y="1">v</var>', "1: a variable has one attribute, `name`"),
    ],
)
def test_faults(text: str, message: str) -> None:
    with pytest.raises(LoadError) as refused:
        expanded(text)
    assert message in str(refused.value)


def test_all_unknown_variables_are_reported_at_once() -> None:
    with pytest.raises(LoadError) as refused:
        expanded('<var name="X">v</var><m>$Y</m><m>$Z</m>')
    assert len(refused.value.faults) == 2


@pytest.mark.parametrize("uses", ["<m>$X$X</m>", "<m>$X</m>" * 2000])
def test_variables_make_no_bomb(uses: str) -> None:
    with pytest.raises(LoadError, match="too large"):
        expanded('<var name="X">' + "v" * 20_000 + "</var>" + uses)
