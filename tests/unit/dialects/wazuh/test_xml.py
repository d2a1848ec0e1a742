"""The reader of Wazuh's files, which look like XML and are not."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.dialects.wazuh import xml
from tocsin.dialects.wazuh.xml import Element, read_xml
from tocsin.model.errors import LoadError

PATH = "rules/local_rules.xml"


def fault(text: str) -> str:
    with pytest.raises(LoadError) as refused:
        read_xml(text, PATH)
    return str(refused.value)


def only(text: str) -> Element:
    [element] = read_xml(text, PATH)
    return element


def test_roots_attributes_children_and_lines() -> None:
    first, second = read_xml(
        '<!-- two roots -->\n<group name="a,b,">\n <rule id=\'1\' level= "3"/>\n</group>'
        "ignored<group\n name='c'>text</group>",
        PATH,
    )
    assert first == Element("group", {"name": "a,b,"}, "", first.children, 2)
    assert first.children == (Element("rule", {"id": "1", "level": "3"}, "", (), 3),)
    assert second == Element("group", {"name": "c"}, "text", (), 4)


@pytest.mark.parametrize(
    "text",
    [
        "a&lt;b &amp; c",
        "g>h",
        "i&j && k",
        r"e\<f",
        r"(?\<=x)y\</r>",
        "E:\\\\",
        " not trimmed\n ",
        "$(pod)",
        "ä 🔔",
    ],
)
def test_text_is_taken_as_it_stands(text: str) -> None:
    assert only(f"<r>{text}</r>").text == text


def test_backslash_that_is_escaped_itself_escapes_no_bracket() -> None:
    assert only(r"<field>E:\\</field>").text == r"E:\\"


@pytest.mark.parametrize("comment", ["<!-- <b> -->", "<! <b> !>", "<!---->", "<!--\n-->"])
def test_comments_leave_no_trace(comment: str) -> None:
    assert only(f"<a>x{comment}y</a>").text == "xy"


def test_element_with_children_loses_its_text() -> None:
    assert only("<a>x<b>y</b>z</a>").text == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<a>\n<b>(?<=x)y</b></a>", ":2: element '=x)y</b' is not closed: a raw `<` opens"),
        ("<a>\na<b && c>d</a>", ":2: attribute '&&' has no quoted value"),
        ("<a><![CDATA[x<y]]></a>", ":1: <![CDATA[ is not supported"),
        ('<?xml version="1.0"?><a/>', ":1: XML declarations and processing instructions"),
        ('<a x="1" x="2"/>', ":1: attribute 'x' stands twice"),
        ('<a x ="1"/>', ":1: attribute 'x' has no quoted value"),
        ('<a x="1"y="2"/>', ":1: attribute 'x' is followed by neither blank nor `>`"),
        ('<a x="1', ":1: the value of attribute 'x' is not closed"),
        ("<a><b></a>", ":1: element 'b' is not closed"),
        ("<a>", ":1: element 'a' is not closed"),
        ("<a x", ":1: attribute 'x' has no quoted value"),
        ("<a ", ":1: element 'a' is not closed"),
        ("<a></a", ":1: closing tag has no end"),
        ("\n\n</a>", ":3: </a> closes nothing"),
        ("<a>< b</a>", ":1: an element without a name"),
        ("<a>\n<!-- x </a>", ":2: comment is not closed"),
    ],
)
def test_faults_name_the_line(text: str, message: str) -> None:
    assert fault(text).startswith(PATH + message)


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE x [<!ENTITY a "ha">]>',
        '<a/>\n<!doctype x SYSTEM "file:///etc/passwd">',
        '<!ENTITY % p SYSTEM "http://localhost/">',
    ],
)
def test_document_types_are_refused_where_they_stand(text: str) -> None:
    line = text.count("\n") + 1
    assert re.match(rf"{PATH}:{line}: <!\w+ is not supported", fault(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<a>" * 200_000, "nested deeper than"),
        ("<a/>" * 200_000, "more than 50000 elements"),
        ("<a>" + "x" * (xml.MAX_TEXT_BYTES + 1) + "</a>", "has more than 20480 bytes"),
        ("<a>" + "ä" * (xml.MAX_TEXT_BYTES // 2 + 1) + "</a>", "has more than 20480 bytes"),
        ('<a x="' + "x" * 30_000 + '"/>', "name or value has more than 20480 bytes"),
        ("<" + "a" * 30_000 + "/>", "name or value has more than 20480 bytes"),
        (" " * (xml.MAX_BYTES + 1), "file is larger than"),
        ("<!-- " * 200_000, "comment is not closed"),
        ("<a>" + "\\" * 1_000_000, "is not closed"),
        ("<a " + 'x="1" ' * 200_000, "stands twice"),
        ("<a " + " ".join(f'x{i}="1"' for i in range(100_000)), "more than 32 attributes"),
    ],
)
def test_bounds_hold_before_they_cost(text: str, message: str) -> None:
    started = time.process_time()
    assert message in fault(text)
    assert time.process_time() - started < 2


def test_text_of_the_maximal_length_is_read() -> None:
    assert len(only("<a>" + "x" * xml.MAX_TEXT_BYTES + "</a>").text) == xml.MAX_TEXT_BYTES


@given(st.text(st.sampled_from("<>/!-='\" \\\nab&$"), max_size=60))
def test_whatever_comes_is_read_or_refused(text: str) -> None:
    try:
        elements = read_xml(text, PATH)
    except LoadError as refused:
        lines = [fault.location.line for fault in refused.faults]
    else:
        lines = [element.line for element in elements]
    assert all(0 < line <= text.count("\n") + 1 for line in lines)


@given(st.text(st.sampled_from("ab &>$\n;"), max_size=20))
def test_texts_survive_their_element(text: str) -> None:
    assert only(f'<a x="{text}">{text}</a>') == Element("a", {"x": text}, text, (), 1)
