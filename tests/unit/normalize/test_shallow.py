import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.audit import encoded, item
from tocsin.normalize.decode import decode
from tocsin.normalize.shallow import members

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
# Keys of an audit event need no escapes.
KEYS = st.text(st.characters(exclude_characters='"\\', min_codepoint=32, exclude_categories=["Cs"]))


@given(st.dictionaries(KEYS, VALUES), st.sampled_from([None, 2]))
def test_members_are_those_of_the_decoder(value: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=indent).encode()
    assert {key: json.loads(raw) for key, raw in members(text).items()} == value


@given(st.binary(max_size=200))
def test_any_bytes_come_to_an_end(text: bytes) -> None:
    members(b"{" + text)


def test_of_equal_keys_the_last_one_counts() -> None:
    assert members(b'{"a":1,"a":[2]}') == {"a": b"[2]"}


def test_a_body_too_deep_to_read_does_not_hide_its_event() -> None:
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    raw = encoded(item(verb="patch", auditID="deep"))[:-1] + b',"requestObject":' + deep + b"}"
    batch = decode(raw)
    (event,) = batch.events
    assert (event.audit_id, event.verb, bytes(event.request_object)) == ("deep", "patch", b"")
    assert [reject.reason for reject in batch.rejects] == ["nested too deeply"]
