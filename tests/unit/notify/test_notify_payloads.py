"""What each channel sends: golden payloads, and hostile text that stays text."""

import hashlib
import hmac
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.store.samples import HOSTILE, hostile_alert, make_alert
from tocsin.model.alert import Actor, Alert, Target
from tocsin.model.text import visible
from tocsin.notify import (
    NOTIFIERS,
    AnyChannelSettings,
    ChannelName,
    Notifier,
    make_notifier,
)
from tocsin.notify.base import Message
from tocsin.notify.text import fit

SECRET = "0123456789abcdef"
CONFIGURED: dict[str, dict[str, Any]] = {
    "slack": {"url": "https://hooks.slack.com/services/T0/B0/XXXX"},
    "webhook": {"url": "https://soar.example/in?k=v", "secret": SECRET},
    "alertmanager": {"url": "http://am.monitoring:9093/"},
}
LINKED = {"dashboard_url": "https://tocsin.example/"}


def channel(kind: str, **changes: Any) -> Notifier:
    values = {"type": kind, **CONFIGURED[kind], **changes}
    settings: AnyChannelSettings = msgspec.convert(values, AnyChannelSettings)
    return make_notifier("oncall", settings)


def payload(kind: str, alert: Alert, **changes: Any) -> Any:
    message = Message("oncall-" + alert.id, alert, 1795000000.9)
    return json.loads(channel(kind, **changes).request(message).body)


def test_the_registry_names_every_kind() -> None:
    assert set(NOTIFIERS) == set(CONFIGURED)
    for kind, notifier in NOTIFIERS.items():
        made = channel(kind)
        assert isinstance(made, notifier)
        assert made.info is notifier.info
        assert isinstance(made.settings, made.info.settings)
        assert made.settings.min_severity == "medium"
        assert (made.name, made.info.name) == ("oncall", kind)
        assert made.info.description


def test_slack_message() -> None:
    assert payload("slack", make_alert(), **LINKED) == {
        "text": "[high] Privileged pod created",
        "mrkdwn": False,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": [
            {"type": "header", "text": plain("[high] Privileged pod created")},
            {"type": "section", "text": plain("alice created privileged pod web in shop")},
            {
                "type": "section",
                "fields": [
                    plain("User: alice"),
                    plain("Action: create pods"),
                    plain("Namespace: shop"),
                    plain("Name: web"),
                    plain("Cluster: prod"),
                    plain("Source: 203.0.113.9"),
                    plain("Client: kubectl/v1.36.3"),
                    plain("Time: 2026-11-23T10:45:16.123456Z"),
                ],
            },
            {"type": "context", "elements": [plain("rule 5c1b (sigma) T1611 alert a1")]},
            {
                "type": "section",
                "text": {
                    "type": "mrkdwn",
                    "text": "<https://tocsin.example/alerts/a1|Open in Tocsin>",
                    "verbatim": True,
                },
            },
        ],
    }


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def test_alertmanager_alert() -> None:
    assert payload("alertmanager", make_alert(), **LINKED) == [
        {
            "labels": {
                "alertname": "Privileged pod created",
                "severity": "high",
                "cluster": "prod",
                "rule_id": "5c1b",
                "dialect": "sigma",
                "source": "audit",
                "namespace": "shop",
                "resource": "pods",
                "verb": "create",
                "user": "alice",
                "alert_id": "a1",
            },
            "annotations": {
                "summary": "User: alice, Action: create pods, Namespace: shop, Name: web, "
                "Cluster: prod, Source: 203.0.113.9, Client: kubectl/v1.36.3, "
                "Time: 2026-11-23T10:45:16.123456Z",
                "description": "alice created privileged pod web in shop",
            },
            "startsAt": "2026-11-23T10:45:16.123456Z",
            "generatorURL": "https://tocsin.example/alerts/a1",
        }
    ]
    request = channel("alertmanager").request(Message("m", make_alert(), 1.0))
    assert request.url == "http://am.monitoring:9093/api/v2/alerts"


def test_webhook_carries_the_whole_alert_signed() -> None:
    request = channel("webhook").request(Message("oncall-a1", make_alert(), 1795000000.9))
    assert request.url == CONFIGURED["webhook"]["url"]
    sent = msgspec.json.decode(request.body)
    assert sent["type"] == "alert"
    assert msgspec.convert(sent["alert"], Alert) == make_alert()
    signed = b"1795000000." + request.body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert request.headers == {
        "X-Tocsin-Signature": f"t=1795000000,v1={expected}",
        "X-Tocsin-Delivery": "oncall-a1",
    }


@pytest.mark.parametrize("kind", CONFIGURED)
def test_unknown_facts_are_left_out(kind: str) -> None:
    bare = make_alert(actor=Actor(), target=Target(), event=None, description="", evidence=[])
    text = json.dumps(payload(kind, bare))
    assert "None" not in text
    assert '""' not in text.replace('"description": ""', "").replace('"source": ""', "")


def test_impersonation_and_subresources_are_told() -> None:
    alert = make_alert(
        actor=Actor(user="alice", impersonated="admin"),
        target=Target("create", "", "pods", "exec", "shop", "web"),
    )
    summary = payload("alertmanager", alert)[0]["annotations"]["summary"]
    assert summary.startswith("User: alice as admin, Action: create pods/exec, ")


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def check_slack(alert: Alert) -> None:
    message = payload("slack", alert, **LINKED)
    *shown, link = message["blocks"]
    assert link["text"]["text"] == "<https://tocsin.example/alerts/a1|Open in Tocsin>"
    assert "mrkdwn" not in json.dumps(shown)
    for text in [message["text"], *strings(shown)]:
        assert "<" not in text
        assert ">" not in text
        assert text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "").count("&") == 0
        assert text.isprintable()
        assert text
    header, description, fields, context = shown
    assert len(header["text"]["text"]) <= 150
    assert len(description["text"]["text"]) <= 3000
    assert 1 <= len(fields["fields"]) <= 10
    assert all(len(field["text"]) <= 2000 for field in fields["fields"])
    assert len(context["elements"][0]["text"]) <= 2000


def check_alertmanager(alert: Alert) -> None:
    (entry,) = payload("alertmanager", alert)
    assert all(entry["labels"].values())
    assert all(len(value) <= 200 for value in entry["labels"].values())
    assert all(text.isprintable() and len(text) <= 2000 for text in strings(entry))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    alert = hostile_alert(text)
    rule = msgspec.structs.replace(alert.rule, title=text or "t", id=text or "i")
    for hostile in (alert, msgspec.structs.replace(alert, rule=rule)):
        check_slack(hostile)
        check_alertmanager(hostile)
        sent = msgspec.json.decode(channel("webhook").request(Message("m", hostile, 1.0)).body)
        assert msgspec.convert(sent["alert"], Alert) == hostile


@given(st.text())
@settings(deadline=None)
def test_any_text_stays_text(text: str) -> None:
    check_slack(hostile_alert(text))
    check_alertmanager(hostile_alert(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ü 漢", "plain ü 漢"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[2J\x00\x7f\x9b", r"\x1b[2J\x00\x7f\x9b"),
        ("\u202ex\u200b\u2028\ufeff", r"\u202ex\u200b\u2028\ufeff"),
        ("\U000e0041\ud800", r"\U000e0041\ud800"),
        ("\xa0\u3000", r"\xa0\u3000"),
        ("{{ .x }} $(id)", "{{ .x }} $(id)"),
    ],
)
def test_invisible_characters_are_shown(text: str, expected: str) -> None:
    assert visible(text) == expected


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [("abc", 4, "abc"), ("abcd", 4, "abcd"), ("abcde", 4, "abc…"), ("\0\0", 5, r"\x00…")],
)
def test_text_is_cut_between_characters(text: str, limit: int, expected: str) -> None:
    assert fit(text, limit) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://100.100.100.200/",
        "http://[fd00:ec2::254]/",
        "file:///etc/passwd",
        "ftp://files.example/",
        "gopher://x/",
        "//no.scheme/",
        "https://",
        "no url at all",
        "",
        "https://x:99999/",
        "https://a b/",
    ],
)
def test_addresses_that_are_never_meant_are_refused(url: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        channel("slack", url=url)
    with pytest.raises(msgspec.ValidationError):
        channel("slack", dashboard_url=url)


@pytest.mark.parametrize(
    "url", ["http://10.0.0.7:9093", "http://127.0.0.1:1/x", "https://[::1]/", "http://am.mon.svc"]
)
def test_private_addresses_are_the_operators_choice(url: str) -> None:
    assert channel("alertmanager", url=url).settings.url == url


@pytest.mark.parametrize(
    "wrong", [{"surprise": 1}, {"timeout": 0}, {"timeout": 3600}, {"min_severity": "loud"}]
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        channel("slack", **wrong)


def test_a_short_signing_secret_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        channel("webhook", secret="short")


@pytest.mark.parametrize("name", ["", "-x", "Upper", "a b", "x" * 64, "a\r\nb", "ü"])
def test_channel_names_are_plain(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(name, ChannelName)


def test_secrets_are_not_in_text_forms() -> None:
    for kind in CONFIGURED:
        made = channel(kind)
        request = made.request(Message("m", make_alert(), 1.0))
        text = repr(made.settings) + str(made.settings) + repr(request)
        assert "XXXX" not in text
        assert "k=v" not in text
        assert SECRET not in text
