"""What each channel sends: golden payloads, and hostile text that stays text."""

import dataclasses
import hashlib
import hmac
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.notify.stories import (
    about,
    about_alert,
    about_many,
    hostile_incident,
    make_incident,
)
from tests.unit.store.samples import HOSTILE, hostile_alert, make_alert
from tocsin.model.alert import Actor, Alert, Target
from tocsin.model.incident import Incident
from tocsin.model.text import visible
from tocsin.notify import (
    NOTIFIERS,
    AnyChannelSettings,
    AnyNotifier,
    ChannelName,
    make_notifier,
)
from tocsin.notify.message import Message, Subject
from tocsin.notify.text import fit

SECRET = "0123456789abcdef"
CONFIGURED: dict[str, dict[str, Any]] = {
    "slack": {"url": "https://hooks.slack.com/services/T0/B0/XXXX"},
    "teams": {"url": "https://prod.logic.azure.example/workflows/XXXX"},
    "pagerduty": {"routing_key": "XXXXROUTINGKEY"},
    "webhook": {"url": "https://soar.example/in?k=v", "secret": SECRET},
    "alertmanager": {"url": "http://am.monitoring:9093/"},
    "email": {
        "host": "mail.example",
        "sender": "tocsin@example.org",
        "to": ["oncall@example.org"],
        "username": "tocsin",
        "password": "XXXXPASSWORD",
    },
    "syslog": {"host": "siem.example"},
}
OVER_HTTP = ("slack", "teams", "pagerduty", "webhook", "alertmanager")
LINKED = {"dashboard_url": "https://tocsin.example/"}


def channel(kind: str, **changes: Any) -> AnyNotifier:
    values = {"type": kind, **CONFIGURED[kind], **changes}
    settings: AnyChannelSettings = msgspec.convert(values, AnyChannelSettings)
    return make_notifier("oncall", settings)


def payload(kind: str, told: Alert | Message, **changes: Any) -> Any:
    message = told if isinstance(told, Message) else about_alert(told, 1795000000.9)
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
    request = channel("alertmanager").request(about_alert(make_alert()))
    assert request.url == "http://am.monitoring:9093/api/v2/alerts"


def test_webhook_carries_incident_and_alerts_signed() -> None:
    alerts = [make_alert("a1"), make_alert("a2")]
    message = about(make_incident(), *alerts, now=1795000000.9)
    request = channel("webhook", **LINKED).request(message)
    assert request.url == CONFIGURED["webhook"]["url"]
    sent = msgspec.json.decode(request.body)
    assert msgspec.convert(sent.pop("incident"), Incident) == make_incident()
    assert msgspec.convert(sent.pop("alerts"), list[Alert]) == alerts
    assert sent == {
        "type": "notification",
        "reason": "new",
        "severity": "high",
        "title": "[high] alice created a privileged pod and took a token",
        "link": "https://tocsin.example/incidents/i1",
        "subjects": [
            {
                "title": "alice created a privileged pod and took a token",
                "severity": "high",
                "incident": "i1",
                "alerts": ["a1", "a2"],
            }
        ],
    }
    signed = b"1795000000." + request.body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert request.headers == {
        "X-Tocsin-Signature": f"t=1795000000,v1={expected}",
        "X-Tocsin-Delivery": "oncall-m1",
    }


def test_slack_tells_an_incident_in_one_message() -> None:
    alerts = [make_alert(f"a{n}", description=f"deed {n}") for n in range(3)]
    message = replaced(about(make_incident(), *alerts), alerts_left_out=7)
    *shown, link = payload("slack", message, **LINKED)["blocks"]
    texts = [text for text in strings(shown) if text not in BLOCK_WORDS]
    assert texts == [
        "[high] alice created a privileged pod and took a token",
        "alice created privileged pod web in shop, then took a token from it.",
        "Who: alice",
        "What: pod shop/web, node w1",
        "Techniques: T1611 Escape to Host, T1528 Steal Application Access Token",
        "Cluster: prod",
        "Alerts: 3 (2 high, 1 medium)",
        "State: open",
        "First seen: 2026-11-23T10:45:16.123456Z",
        "Last seen: 2026-11-23T10:46:00.000000Z",
        "2026-11-23T10:45:16Z [high] deed 0",
        "2026-11-23T10:45:16Z [high] deed 1",
        "2026-11-23T10:45:16Z [high] deed 2",
        "and 7 more",
        "incident i1",
    ]
    assert link["text"]["text"] == "<https://tocsin.example/incidents/i1|Open in Tocsin>"


def test_slack_tells_a_storm_in_one_message() -> None:
    subjects = tuple(
        Subject(f"incident i{n}", f"story {n}", "high", n + 1, make_incident(f"i{n}"))
        for n in range(3)
    )
    message = Message("m", "storm", subjects, (), (), 1795000000.0, 9_987, 12_000)
    shown = payload("slack", message, **LINKED)["blocks"]
    texts = [text for text in strings(shown) if text not in BLOCK_WORDS]
    assert texts[0] == "[high] 9990 incidents and single alerts: more than is told one by one"
    assert texts[1] == "12000 alerts of 9990 incidents, rules or single alerts are told together."
    assert texts[3] == "[high] story 0 https://tocsin.example/incidents/i0"
    assert texts[5] == "[high] story 2 (3 alerts) https://tocsin.example/incidents/i2"
    assert texts[6] == "and 9987 more"


@pytest.mark.parametrize(
    ("reason", "headline"),
    [
        ("new", "[high] T"),
        ("more", "[high] more of it: T"),
        ("worse", "[high] worse: T"),
        ("repeat", "[high] still open: T"),
        ("closed", "[high] closed: T"),
    ],
)
def test_the_headline_says_why(reason: str, headline: str) -> None:
    assert payload("slack", about(make_incident(title="T"), reason=reason))["text"] == headline


def test_forgeable_incidents_are_marked() -> None:
    text = json.dumps(payload("slack", about(make_incident(authenticated=False))))
    assert "may be forged" in text


def test_teams_card() -> None:
    sent = payload("teams", about(make_incident(), make_alert()), **LINKED)
    [attachment] = sent["attachments"]
    assert sent["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    runs = [run for block in card["body"] for run in block["inlines"]]
    assert {run["type"] for run in runs} == {"TextRun"}
    assert runs[0]["text"] == "[high] alice created a privileged pod and took a token"
    assert runs[0]["color"] == "attention"
    [action] = card["actions"]
    assert action == {
        "type": "Action.OpenUrl",
        "title": "Open in Tocsin",
        "url": "https://tocsin.example/incidents/i1",
    }


def test_pagerduty_event() -> None:
    sent = payload("pagerduty", about(make_incident(), make_alert()), **LINKED)
    payload_of_it = sent.pop("payload")
    assert sent == {
        "routing_key": "XXXXROUTINGKEY",
        "event_action": "trigger",
        "dedup_key": "i1",
        "client": "Tocsin",
        "links": [{"href": "https://tocsin.example/incidents/i1", "text": "Open in Tocsin"}],
    }
    details = payload_of_it.pop("custom_details")
    assert payload_of_it == {
        "summary": "[high] alice created a privileged pod and took a token",
        "source": "prod",
        "severity": "error",
        "component": "kubernetes",
        "class": "new",
    }
    assert details["Who"] == "alice"
    assert details["New alerts"] == [
        "2026-11-23T10:45:16Z [high] alice created privileged pod web in shop"
    ]


def test_pagerduty_is_told_the_end() -> None:
    assert payload("pagerduty", about(make_incident(), reason="closed"), **LINKED) == {
        "routing_key": "XXXXROUTINGKEY",
        "event_action": "resolve",
        "dedup_key": "i1",
    }


def test_alertmanager_fires_until_the_incident_is_closed() -> None:
    message = about(make_incident(), make_alert(), now=1795430716.0)
    [entry] = payload("alertmanager", message)
    assert entry["labels"]["incident"] == "i1"
    assert entry["endsAt"] == "2026-11-24T10:45:16.000000Z"
    [ended] = payload("alertmanager", replaced(message, reason="closed"))
    assert ended["labels"] == entry["labels"]
    [odd] = payload("alertmanager", about(make_incident(), make_alert(), now=1.0))
    assert "endsAt" not in odd, "an end before the start is refused with all other alerts"


def replaced(message: Message, **changes: Any) -> Message:
    return dataclasses.replace(message, **changes)


BLOCK_WORDS = {"header", "section", "context", "plain_text"}


@pytest.mark.parametrize("kind", OVER_HTTP)
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


def check_slack(message: Message) -> None:
    sent = payload("slack", message, **LINKED)
    blocks = sent["blocks"]
    *shown, link = blocks
    assert link["text"]["text"].startswith("<https://tocsin.example/")
    assert link["text"]["text"].endswith("|Open in Tocsin>")
    assert "mrkdwn" not in json.dumps(shown)
    for text in [sent["text"], *strings(shown)]:
        assert "<" not in text
        assert ">" not in text
        assert text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "").count("&") == 0
        assert text.isprintable()
        assert text
    header, description, fields, *lines, context = shown
    assert len(header["text"]["text"]) <= 150
    assert len(description["text"]["text"]) <= 3000
    assert 1 <= len(fields["fields"]) <= 10
    assert all(len(field["text"]) <= 2000 for field in fields["fields"])
    assert all(len(line["text"]["text"]) <= 3000 for line in lines)
    assert len(context["elements"][0]["text"]) <= 2000
    assert len(blocks) <= 50


def check_teams(message: Message) -> None:
    request = channel("teams", **LINKED).request(message)
    assert len(request.body) <= 28_000
    card = json.loads(request.body)["attachments"][0]["content"]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert "msteams" not in card
    for text in strings(card["body"]):
        assert text.replace("\u2060", "").isprintable()
        assert "{{" not in text


def check_pagerduty(message: Message) -> None:
    event = payload("pagerduty", message, **LINKED)
    assert len(event["dedup_key"]) <= 255
    assert 1 <= len(event["payload"]["summary"]) <= 1024
    assert all(text.isprintable() for text in strings(event["payload"]))
    [link] = event["links"]
    assert link["href"].startswith("https://tocsin.example/")


def check_alertmanager(message: Message) -> None:
    for entry in payload("alertmanager", message):
        assert all(entry["labels"].values())
        assert all(len(value) <= 200 for value in entry["labels"].values())
        assert all(text.isprintable() and len(text) <= 2000 for text in strings(entry))


def check_webhook(message: Message) -> None:
    sent = msgspec.json.decode(channel("webhook").request(message).body)
    assert msgspec.convert(sent["alerts"], list[Alert]) == list(message.alerts)


def check_all(text: str) -> None:
    alert = hostile_alert(text)
    rule = msgspec.structs.replace(alert.rule, title=text or "t", id=text or "i")
    messages = [
        about_alert(alert),
        about_alert(msgspec.structs.replace(alert, rule=rule)),
        about(hostile_incident(text or "x"), *(hostile_alert(text, f"a{n}") for n in range(3))),
        about_many(text or "x"),
    ]
    for message in messages:
        for check in (check_slack, check_teams, check_pagerduty, check_alertmanager, check_webhook):
            check(message)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    check_all(text)


@given(st.text())
@settings(deadline=None, max_examples=10)
def test_any_text_stays_text(text: str) -> None:
    check_all(text)


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
    assert channel("alertmanager", url=url).settings.place.startswith(url[:8])
    for kind in ("email", "syslog"):
        assert channel(kind, host="10.0.0.7").settings.place


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
        request = made.request(about_alert(make_alert()))
        text = repr(made.settings) + str(made.settings) + repr(request)
        assert "XXXX" not in text
        assert "k=v" not in text
        assert SECRET not in text


@pytest.mark.parametrize("host", ["", "169.254.169.254", "fe80::1", "a b", "a/b", "a\r\nb", "ü"])
def test_hosts_that_are_never_meant_are_refused(host: str) -> None:
    for kind in ("email", "syslog"):
        with pytest.raises(msgspec.ValidationError):
            channel(kind, host=host)
