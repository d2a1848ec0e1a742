"""Logs made to cost time or to break something."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.dialects.wazuh.installed import installed, rule, session
from tocsin.dialects.wazuh.output import as_object, reserialised

DECODER = (
    '<decoder name="pods"><parent>json</parent><regex type="pcre2">'
    r'"kind": "\S+", "apiVersion": "\S+", "metadata": {"name": "(\S+)", "namespace": "(\S+)"'
    "</regex><order>pod,ns</order></decoder>"
)
CREATED = r'"verb": "create".+"resource": "pods".+"securityContext":(?! {"privileged": true})'
RULES = (
    rule(110009, 3, '<regex type="pcre2">"verb": "delete".+"resource": "pods"</regex>')
    + rule(110010, 3, f'<regex type="pcre2">{CREATED}</regex>')
    + rule(110020, 5, '<field name="verb">^\\w+\\.*x$</field>')
)
ADDITIVE = installed(RULES, DECODER, strict=False)
STRICT = installed(RULES, DECODER)

MEGABYTES = {
    "repeated": '{"verb": "create", "x": "' + '"verb": "create""resource": "pods""sec' * 80_000,
    "kinds": '{"kind": ' + '"kind": "a", "apiVersion": "b", "metadata": {"name": "c", ' * 50_000,
    "array": json.dumps({"a": [{"b": {"c": False}}] * 100_000}),
    "deep": '{"a":' * 500_000,
    "deep array": '{"a":' + "[" * 1_000_000,
    "long value": json.dumps({"verb": "x" * 3_000_000}),
    "dots": json.dumps({".".join("ab" * 500_000): 1}),
}


@pytest.mark.parametrize("name", MEGABYTES)
@pytest.mark.parametrize("installation", [ADDITIVE, STRICT], ids=["additive", "strict"])
def test_large_logs_are_quick(name: str, installation: object) -> None:
    running = session(ADDITIVE if installation is ADDITIVE else STRICT)
    log = MEGABYTES[name].encode()
    before = time.process_time()
    result = running.feed(log)
    assert time.process_time() - before < 1.0, "it is about 0.03 s"
    json.dumps(as_object(result))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON, min_size=1, max_size=4))
def test_any_document_is_judged(document: dict[str, object]) -> None:
    log = json.dumps(document).encode()
    for installation in (ADDITIVE, STRICT):
        result = session(installation).feed(reserialised(log))
        assert result.rule is not None
        json.dumps(as_object(result))


@given(st.binary())
def test_any_bytes_are_judged(log: bytes) -> None:
    for prefix in (b"", b'{"', b'{"a": ['):
        json.dumps(as_object(session(ADDITIVE).feed(reserialised(prefix + log))))
