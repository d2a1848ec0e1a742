import pytest

from tocsin.lifeline import health
from tocsin.lifeline.health import Condition, alert_of, alert_of_finding, key_of, recovery_of
from tocsin.model.ports import HealthFinding

SINCE = 1_700_000_000.0


def condition(rule: str = health.SILENT) -> Condition:
    key = key_of(rule, "prod", "cp-1", "webhook")
    return Condition(key, "prod/cp-1: nothing", "prod", "cp-1", {"source": "webhook"})


def finding(key: str, kind: str = health.KIND, since: float = SINCE) -> HealthFinding:
    return HealthFinding(kind, key, "what is wrong", since, since, 1)


def test_an_alert_like_any_other() -> None:
    alert = alert_of(condition(), SINCE)
    assert alert.time == "2023-11-14T22:13:20.000000Z"
    assert (alert.source, alert.cluster, alert.event) == ("health", "prod", None)
    assert (alert.rule.id, alert.rule.dialect) == ("tocsin-line-silent", "tocsin")
    assert alert.rule.severity == "high"
    assert [technique.technique for technique in alert.rule.attack] == ["T1562.008"]
    assert alert.rule.attack[0].name
    assert alert.description == "prod/cp-1: nothing"
    assert alert.fields == {"node": "cp-1", "source": "webhook"}


def test_one_alert_per_episode() -> None:
    assert alert_of(condition(), SINCE).id == alert_of(condition(), SINCE).id
    assert alert_of(condition(), SINCE).id != alert_of(condition(), SINCE + 1).id
    assert alert_of(condition(), SINCE).id != alert_of(condition(health.SKEW), SINCE).id


def test_good_news() -> None:
    heard = recovery_of(finding(condition().key), SINCE + 100)
    assert heard is not None
    assert (heard.rule.id, heard.rule.severity) == ("tocsin-line-heard", "info")
    assert heard.description == "prod/cp-1 is heard again"
    assert heard.fields["node"] == "cp-1"
    canary = recovery_of(finding(key_of(health.SILENT, "prod", None, "canary")), SINCE + 100)
    assert canary is not None
    assert canary.description == "prod is heard again"
    filled = recovery_of(finding(condition(health.GAP).key), SINCE + 100)
    assert filled is not None
    assert filled.description == "prod/cp-1 has sent the events that were missing"


def test_no_news() -> None:
    assert recovery_of(finding(condition(health.SKEW).key), SINCE + 100) is None
    forgotten = SINCE + 6.5 * 86_400
    assert recovery_of(finding(condition(health.GAP).key), forgotten) is None


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("spool", "tocsin-posts-lost"),
        ("notify", "tocsin-channel-dead"),
        ("store", "tocsin-store-damaged"),
    ],
)
def test_serious_findings_of_other_parts(kind: str, rule: str) -> None:
    alert = alert_of_finding(finding("lost-7", kind))
    assert alert is not None
    assert (alert.rule.id, alert.description) == (rule, "what is wrong")


def test_what_an_attacker_can_cause_at_will_is_no_alert() -> None:
    assert alert_of_finding(finding("prod", "quarantine")) is None
