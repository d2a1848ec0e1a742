"""Events as people see them: secrets are taken out, everything else stays."""

import json

import msgspec
import pytest

from tests.unit.audit import encoded, item
from tocsin.normalize.redact import MARK
from tocsin.normalize.shown import TOO_DEEP, UNREADABLE, shown_event

SECRET = "hunter2hunter2"


def shown(**changes: object) -> str:
    return json.dumps(msgspec.to_builtins(shown_event(encoded(item(**changes)))))


def test_an_ordinary_event_is_shown_as_it_is() -> None:
    assert shown_event(encoded(item())) == item()


def test_numbers_stay_as_they_were_written() -> None:
    raw = encoded(item()).replace(b'"code":201', b'"code":201,"x":1.50e3,"y":99999999999999999999')
    assert b'"x":1.50e3,"y":99999999999999999999' in msgspec.json.encode(shown_event(raw))


CONTENT = {"data": {"a": SECRET}, "stringData": {"b": SECRET}}
APPLIED = {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": SECRET}}
OF_SECRET = {"resource": "secrets", "namespace": "shop"}


@pytest.mark.parametrize(
    "changes",
    [
        {"requestObject": {"kind": "Secret", **CONTENT}},
        {"requestObject": {"kind": "List", "items": [{"kind": "Secret", **CONTENT}]}},
        {"objectRef": OF_SECRET, "responseObject": {"items": [CONTENT]}},
        {"objectRef": OF_SECRET, "responseObject": {"metadata": APPLIED}},
        {
            "objectRef": OF_SECRET,
            "requestObject": [{"op": "add", "path": "/data", "value": SECRET}],
        },
        {"responseObject": {"kind": "TokenRequest", "status": {"token": SECRET}}},
        {"requestObject": {"spec": {"env": [{"name": "DB_PASSWORD", "value": SECRET}]}}},
        {"requestObject": {"spec": {"command": ["mysql", "--password", SECRET]}}},
        {"requestObject": {"spec": {"command": ["mysql", "--password", f"\n{SECRET}"]}}},
        {"requestObject": {"spec": {"command": ["a\nb\tc\fd\re", "--password", SECRET]}}},
        {"requestURI": f"/api/v1/nodes/n/proxy/run?token={SECRET}"},
        {"annotations": {f"password={SECRET}": "x"}},
        {"requestObject": {"metadata": {"note": f'{{"apiKey": "{SECRET}"}}'}}},
    ],
)
def test_secrets_are_taken_out(changes: dict[str, object]) -> None:
    text = shown(**changes)
    assert SECRET not in text
    assert MARK in text
    assert "alice" in text


def test_which_keys_a_secret_has_stays() -> None:
    assert '"data": {"a": "[redacted]"}' in shown(requestObject={"kind": "Secret", **CONTENT})


def test_depth_is_bounded() -> None:
    deep = b'{"user":{"username":"alice"},"requestObject":' + b"[" * 500 + b"]" * 500 + b"}"
    assert TOO_DEEP in json.dumps(shown_event(deep))
    too_deep = b'{"requestObject":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert shown_event(too_deep) == {UNREADABLE: len(too_deep)}


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b"1", b'{"kind":{}', b"\xff"])
def test_what_is_no_event_is_told(raw: bytes) -> None:
    assert shown_event(raw) == {UNREADABLE: len(raw)}


def test_hostile_types_do_no_harm() -> None:
    odd = {"kind": ["Secret"], "name": 1, "value": {"value": [None, True, 1]}}
    assert shown_event(encoded(item(requestObject=odd)))["requestObject"] == odd
