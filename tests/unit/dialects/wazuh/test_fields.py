import json

import pytest

from tocsin.dialects.wazuh.fields import Fields, fold
from tocsin.dialects.wazuh.jsonfields import JsonOptions, read_json_fields


def fields(text: str, options: JsonOptions | None = None, cap: int | None = None) -> Fields:
    found = Fields(cap)
    read_json_fields(text.encode(), options or JsonOptions(), found)
    return found


def test_every_leaf_is_a_field_in_the_order_of_the_document() -> None:
    text = '{"a":{"b":"x","c":{"d":true}},"e":[],"f":{},"g":null,"h":""}'
    found = fields(text)
    expected = [("a.b", "x"), ("a.c.d", "true"), ("e", "[]"), ("g", "null"), ("h", "")]
    assert found.dynamic == expected


@pytest.mark.parametrize(
    ("text", "dstuser", "user"),
    [
        ('{"user":"alice"}', "alice", None),
        ('{"dstuser":"alice","user":"bob"}', "alice", "bob"),
        ('{"user":"alice","dstuser":"bob"}', "bob", None),
        ('{"user":{"username":"u"}}', None, None),
    ],
)
def test_the_user(text: str, dstuser: str | None, user: str | None) -> None:
    found = fields(text)
    assert (found.static.get("dstuser"), found.get("user")) == (dstuser, user)


def test_fixed_names_count_at_the_top_only() -> None:
    found = fields('{"srcip":"1","systemname":"s","system_name":"t","o":{"srcip":"2"}}')
    assert found.static == {"srcip": "1", "system_name": "s"}
    assert found.dynamic == [("system_name", "t"), ("o.srcip", "2")]


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ('[1,"x",true,null,{"k":1},[2]]', "1,x,true,null,"),
        ('["a",{},"b"]', "a,b"),
        ('["a"]', "a"),
        ("[]", None),
        ("[{}]", None),
    ],
)
def test_arrays_as_comma_separated_values(items: str, text: str | None) -> None:
    assert fields(f'{{"a":{items}}}', JsonOptions(array="csv")).get("a") == text


def test_nulls_can_be_left_out_but_not_of_arrays() -> None:
    found = fields('{"a":null,"b":[null]}', JsonOptions(null="discard"))
    assert found.dynamic == [("b", "[null]")]


def test_the_first_of_a_name_counts_whatever_its_case() -> None:
    found = fields('{"Verb":"get","verb":"delete"}')
    assert found.get("VERB") == "get"
    assert found.nested() == {"Verb": "get"}


def test_only_ascii_letters_have_case() -> None:
    assert fold("\N{KELVIN SIGN}Ä") == "\N{KELVIN SIGN}Ä"
    assert fold("KÄ") == "kÄ"


def test_a_cap_drops_the_rest() -> None:
    text = json.dumps({f"k{number}": "v" for number in range(300)})
    found = fields(text, cap=256)
    assert found.get("k255") == "v"
    assert found.get("k256") is None
    assert len(fields(text).dynamic) == 300


def test_data_is_nested_at_dots_and_what_is_in_the_way_stays() -> None:
    found = fields('{"a.b/c":"1","a":{"d":[1]},"x":"s","x.y":"t","e":"","data":"z"}')
    assert found.nested() == {"data": "z", "a": {"b/c": "1", "d": [1]}, "x": "s"}


def test_text_that_only_begins_like_an_array_stays_text() -> None:
    assert fields('{"a":"[1] x","b":"true"}').nested() == {"a": "[1] x", "b": "true"}


def test_hostile_names_and_values_do_not_nest_without_end() -> None:
    found = Fields()
    found.add("a." * 50_000, "1")
    found.add("b", "[" * 400 + "]" * 400)
    data = found.nested()
    json.dumps(data)
    assert data["b"] == found.get("b")


def test_a_deep_document_has_no_fields() -> None:
    assert not fields('{"a":' * 5000 + "1" + "}" * 5000).dynamic
