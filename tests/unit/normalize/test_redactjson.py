"""Secrets in whole documents, where the keys tell what is one."""

import json
import time

import pytest

from tocsin.normalize.redact import MARK
from tocsin.normalize.redactjson import redact_document, redact_json

ROOM = 65_536
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@pytest.mark.parametrize(
    ("document", "redacted"),
    [
        ({"password": "x"}, {"password": MARK}),
        ({"token": 123456}, {"token": MARK}),
        ({"api-key": ["a", "b"]}, {"api-key": [MARK, MARK]}),
        ({"uri": "/x?password=abc&a=1"}, {"uri": f"/x?password={MARK}&a=1"}),
        ({"token": ""}, {"token": ""}),
        ({"token": None, "secret": True}, {"token": None, "secret": True}),
        ({"secret": {"secretName": "s"}}, {"secret": {"secretName": "s"}}),
        (
            {"kind": "Secret", "data": {"a": "eA=="}, "stringData": "y", "type": "Opaque"},
            {"kind": "Secret", "data": {"a": MARK}, "stringData": MARK, "type": "Opaque"},
        ),
        (
            {"o": {"kind": "ConfigMap", "data": {"a": "eA=="}, "x": "Bearer abcdefgh"}},
            {"o": {"kind": "ConfigMap", "data": {"a": "eA=="}, "x": f"Bearer {MARK}"}},
        ),
        (
            {"kind": "SecretList", "items": [{"metadata": {"name": "a"}, "data": {"a": "eA=="}}]},
            {"kind": "SecretList", "items": [{"metadata": {"name": "a"}, "data": {"a": MARK}}]},
        ),
        (
            {"kind": "SecretList", "items": '[{"data":{"a":"eA=="}}]'},
            {"kind": "SecretList", "items": MARK},
        ),
        (
            {"kind": "Secret", "metadata": {"annotations": {LAST_APPLIED: "eA=="}}},
            {"kind": "Secret", "metadata": {"annotations": {LAST_APPLIED: MARK}}},
        ),
        (
            {
                "kind": "Event",
                "objectRef": {"resource": "secrets"},
                "requestObject": [{"op": "add", "path": "/data/a", "value": "eA=="}],
                "responseObject": {"data": {"a": "eA=="}},
                "annotations": {"data": "x"},
            },
            {
                "kind": "Event",
                "objectRef": {"resource": "secrets"},
                "requestObject": [{"op": "add", "path": "/data/a", "value": MARK}],
                "responseObject": {"data": {"a": MARK}},
                "annotations": {"data": "x"},
            },
        ),
        (
            {"env": [{"name": "DB_PASSWORD", "value": "x"}, {"name": "LEVEL", "value": "x"}]},
            {"env": [{"name": "DB_PASSWORD", "value": MARK}, {"name": "LEVEL", "value": "x"}]},
        ),
        ({"kind": ["Secret"], "data": "x"}, {"kind": ["Secret"], "data": "x"}),
    ],
    ids=str,
)
def test_documents_stay_documents(document: object, redacted: object) -> None:
    assert json.loads(redact_json(json.dumps(document), ROOM)) == redacted


def test_a_text_without_secrets_stays_as_it_is() -> None:
    assert redact_json('{"a":  1}', ROOM) == '{"a":  1}'


@pytest.mark.parametrize("text", ["password=hunter2", "[" * 100_000 + '"password=hunter2"'])
def test_what_is_no_document_is_a_text(text: str) -> None:
    assert "hunter2" not in redact_json(text, ROOM)


SECRET = {"password": "hunter2"}


@pytest.mark.parametrize(
    "document",
    [
        {"a": [SECRET] * 30_000},
        {"a": [{**SECRET, "b": [[1, "x"]]}] * 10_000},
        {str(number): SECRET for number in range(15_000)},
        {**SECRET, "a": "x" * 3_000_000},
    ],
    ids=["list", "deep list", "object", "text"],
)
def test_a_large_document_is_cut_and_costs_little(document: object) -> None:
    text = json.dumps(document)
    before = time.thread_time()
    shown = redact_json(text, ROOM)
    assert time.thread_time() - before < 0.5, "it is about 0.02 s"
    assert len(shown) == ROOM
    assert "hunter2" not in shown
    whole = json.dumps(document).replace("hunter2", MARK)
    assert shown == whole[:ROOM]


def test_a_large_text_without_secrets_is_cut() -> None:
    assert redact_json("x" * 100_000, ROOM) == "x" * ROOM


def test_members_without_room_are_left_out() -> None:
    assert redact_document({"a": "x" * 10, "b": 1, "c": [1]}, 10) == {"a": "x" * 10}
