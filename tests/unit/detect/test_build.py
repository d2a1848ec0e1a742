"""The alert as a contract: every key there, times in one form, no secret, no endless text."""

import json
from collections.abc import Iterator

import msgspec
import pytest

from tests.unit.audit import alerts_of, item, new_engine, rule, text_is
from tocsin.detect.times import utc
from tocsin.model.alert import Alert, Technique, to_json_line
from tocsin.rules.template import MAX_VALUE

CREATE = text_is("verb", "create", "get", "post")


def alert_of(event: dict[str, object], *, message: str = "", fields: tuple[str, ...] = ()) -> Alert:
    engine = new_engine(rule(CREATE, message=message, fields=fields))
    (alert,) = alerts_of(engine, event)
    return alert


def plain(alert: Alert) -> dict[str, object]:
    found = json.loads(to_json_line(alert))
    assert isinstance(found, dict)
    return found


def test_alert_says_all_of_the_contract() -> None:
    found = plain(
        alert_of(
            item(
                impersonatedUser={"username": "bob"},
                user={
                    "username": "alice",
                    "groups": ["dev"],
                    "extra": {"authentication.kubernetes.io/credential-id": ["JTI=1"]},
                },
                responseObject={"metadata": {"name": "web", "uid": "u-1"}},
            ),
            message="$(user.username) in $(objectRef.namespace)",
            fields=("user.groups", "sourceIPs", "responseStatus.code", "nope"),
        )
    )
    identifier, evidence = found.pop("id"), found.pop("evidence")
    assert isinstance(identifier, str)
    assert len(identifier) == 32
    assert isinstance(evidence, list)
    assert len(evidence) == 1
    assert found == {
        "time": "2026-11-23T10:45:16.223456Z",
        "cluster": "prod",
        "source": "audit",
        "rule": {
            "id": "r1",
            "title": "Rule r1",
            "dialect": "sigma",
            "severity": "high",
            "level": "high",
            "tags": [],
            "attack": [],
            "source": "rule.yml:7",
        },
        "description": "alice in shop",
        "actor": {
            "user": "alice",
            "groups": ["dev"],
            "impersonated": "bob",
            "credential": "JTI=1",
            "source_ips": ["10.0.0.7"],
            "user_agent": "kubectl/v1.36.3",
        },
        "target": {
            "verb": "create",
            "api_group": "",
            "resource": "pods",
            "subresource": None,
            "namespace": "shop",
            "name": "web",
            "uid": "u-1",
        },
        "event": {
            "audit_id": "9a1b6b4e-0000-4000-8000-000000000001",
            "stage": "ResponseComplete",
            "level": "RequestResponse",
            "request_uri": "/api/v1/namespaces/shop/pods",
            "code": 201,
            "received": "2026-11-23T10:45:16.123456Z",
        },
        "fields": {
            "user.groups": "dev",
            "sourceIPs": "10.0.0.7",
            "responseStatus.code": "201",
            "nope": None,
        },
        "count": 1,
        "first_seen": "2026-11-23T10:45:16.223456Z",
        "last_seen": "2026-11-23T10:45:16.223456Z",
    }


def test_what_is_unknown_is_null_or_an_empty_list() -> None:
    bare: dict[str, object] = {"auditID": "a", "stage": "s", "requestURI": "/", "verb": "get"}
    found = plain(alert_of(bare))
    assert found["actor"] == {
        "user": None,
        "groups": [],
        "impersonated": None,
        "credential": None,
        "source_ips": [],
        "user_agent": None,
    }
    target = found["target"]
    assert isinstance(target, dict)
    assert target == dict.fromkeys(target) | {"verb": "get"}
    assert found["event"] == {
        "audit_id": "a",
        "stage": "s",
        "level": None,
        "request_uri": "/",
        "code": None,
        "received": "1970-01-01T00:00:00.000000Z",
    }
    assert found["time"] == "1970-01-01T00:00:00.000000Z"


def test_generated_name_is_that_of_the_answer() -> None:
    body = {"metadata": {"name": "web-x7k2p", "uid": "u-2"}}
    found = alert_of(item(objectRef={"resource": "pods"}, responseObject=body))
    assert (found.target.name, found.target.uid) == ("web-x7k2p", "u-2")
    assert alert_of(item(objectRef={"resource": "pods"})).target.name is None


def test_name_of_the_answer_that_is_no_text_is_left_out() -> None:
    body = {"metadata": {"name": 7, "uid": ["u"]}}
    found = alert_of(item(objectRef={"resource": "pods"}, responseObject=body))
    assert (found.target.name, found.target.uid) == (None, None)


def test_field_with_several_values_is_a_list() -> None:
    found = alert_of(item(), fields=("user.groups", "user", "objectRef.subresource"))
    assert found.fields == {
        "user.groups": ["dev", "system:authenticated"],
        "user": None,
        "objectRef.subresource": None,
    }


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-23T10:45:16.123456Z", "2026-11-23T10:45:16.123456Z"),
        ("2026-11-23T10:45:16Z", "2026-11-23T10:45:16.000000Z"),
        ("2026-11-23T10:45:16.5+02:00", "2026-11-23T08:45:16.500000Z"),
        ("2026-11-23T10:45:16.123456789Z", "2026-11-23T10:45:16.123456Z"),
        ("2026-11-23 10:45:16", "2026-11-23T10:45:16.000000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
        (None, "1970-01-01T00:00:00.000000Z"),
        ("", "1970-01-01T00:00:00.000000Z"),
        ("yesterday", "1970-01-01T00:00:00.000000Z"),
        ("<b>twenty-seven letters</b>Z", "1970-01-01T00:00:00.000000Z"),
        ("0001-01-01T00:00:00+23:59", "1970-01-01T00:00:00.000000Z"),
    ],
)
def test_times_have_one_form(text: str | None, time: str) -> None:
    assert utc(text) == time


def texts(value: object) -> Iterator[str]:
    """Yield every text in a JSON value."""
    if isinstance(value, dict):
        yield from (text for each in value.values() for text in texts(each))
    elif isinstance(value, list):
        yield from (text for each in value for text in texts(each))
    elif isinstance(value, str):
        yield value


SECRET = "hunter2hunter2"
LEAKING = [
    item(requestURI=f"/api/v1/pods?access_token={SECRET}"),
    item(userAgent=f"curl Bearer {SECRET}"),
    item(user={"username": f"token={SECRET}", "groups": [f"password={SECRET}"]}),
    item(impersonatedUser={"username": f"secret={SECRET}"}),
    item(objectRef={"resource": "pods", "name": f"token={SECRET}"}),
    item(objectRef={"resource": f"token={SECRET}", "subresource": f"token={SECRET}"}),
    item(objectRef={"resource": "pods", "namespace": f"token={SECRET}"}),
    item(sourceIPs=[f"token={SECRET}"]),
    item(auditID=f"token={SECRET}"),
    item(requestObject={"a": f"password: {SECRET}"}),
    item(requestObject={"a": ["mysql", "--password", SECRET]}),
    item(responseObject={"metadata": {"name": f"token={SECRET}", "uid": f"token={SECRET}"}}),
    item(
        verb="get",
        objectRef={"resource": "pods", "subresource": "exec"},
        requestURI=f"/api/v1/x?command=mysql&command=--password&command={SECRET}",
    ),
]


@pytest.mark.parametrize("number", range(len(LEAKING)))
def test_no_secret_gets_into_an_alert(number: int) -> None:
    alert = alert_of(
        LEAKING[number],
        message="$(user.username) $(requestObject.a) $(exec.command) $(requestURI)",
        fields=("requestObject.a", "exec.command", "exec.commandLine", "user.groups", "auditID"),
    )
    assert SECRET.encode() not in to_json_line(alert)
    assert b"[redacted]" in to_json_line(alert)


def test_endless_texts_are_cut() -> None:
    long = "x" * 100_000
    everywhere = item(
        auditID=long,
        requestURI=long,
        userAgent=long,
        user={"username": long, "groups": [long] * 100, "extra": None},
        sourceIPs=[long] * 100,
        objectRef=dict.fromkeys(("resource", "subresource", "namespace", "name", "uid"), long),
        requestObject={"a": [long] * 100},
    )
    alert = alert_of(everywhere, message="$(requestObject.a)", fields=("requestObject.a",))
    assert max(map(len, texts(plain(alert)))) <= 4096
    assert len(alert.description) == MAX_VALUE
    assert len(to_json_line(alert)) < 600_000


def test_line_of_json_is_ascii_whatever_stands_in_it() -> None:
    nasty = "a\r\n\x1b[2J\x00\x7f\u202e\u2028<&>'\"\\🔔"
    line = to_json_line(alert_of(item(userAgent=nasty)))
    assert line.isascii()
    assert line.endswith(b"\n")
    assert not [byte for byte in line[:-1] if byte < 32 or byte == 127]
    assert json.loads(line)["actor"]["user_agent"] == nasty
    assert msgspec.json.decode(line, type=Alert).actor.user_agent == nasty


def test_line_of_ascii_is_kept_as_it_is() -> None:
    alert = alert_of(item())
    assert to_json_line(alert) == msgspec.json.encode(alert) + b"\n"
    assert Technique("T1611").tactics == ()
