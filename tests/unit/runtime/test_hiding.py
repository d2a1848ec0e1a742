"""Suppression and silences as the detector applies them, and their configuration."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.unit.runtime.rulefiles import event, event_list, rule
from tests.unit.store.samples import make_alert
from tocsin.detect.suppress import Suppression
from tocsin.ingest.seal import Sealer, load_or_create_key
from tocsin.ingest.spool import PostMeta, SpoolWriter
from tocsin.model.alert import RuleRef
from tocsin.model.errors import LoadError
from tocsin.model.matcher import Matcher
from tocsin.model.ports import AlertFilter, StoreUnavailable
from tocsin.model.silence import new_silence
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.detector import Detector
from tocsin.runtime.hiding import hidden, silenced, suppressing, suppressions
from tocsin.runtime.rules import rules_in_force
from tocsin.store.sqlite import own_store

META = PostMeta("prod", None, None, "webhook", 1_700_000_000_000_000)
RULE = "00000000-0000-4000-8000-000000000001"
SUPPRESS = "tocsin: {suppress: {by: [user.username, requestURI], window: 1m, after: 2}}\n"
EVERYTHING = AlertFilter(hidden="with")

Put = Callable[..., None]


def config_of(folder: Path, text: str = rule(), **variables: str) -> Config:
    rules = folder / "rules" / "a.yml"
    rules.parent.mkdir(exist_ok=True)
    rules.write_text(text)
    settings = {
        "TOCSIN__RULES": f"[{folder}/rules]",
        "TOCSIN__BUILTIN_RULES": "false",
        "TOCSIN__SPOOL__MIN_FREE_BYTES": "0",
    }
    return load_config(None, settings | variables, folder / "data")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_of(tmp_path, rule() + SUPPRESS)


@pytest.fixture
def post(config: Config) -> Iterator[Put]:
    """Put events into the spool, one post each."""
    sealer = Sealer(load_or_create_key(config.key_path))
    with closing(SpoolWriter(config.spool_folder, sealer, config.spool)) as writer:

        def put(*events: dict[str, Any]) -> None:
            for one in events:
                writer.append(META, event_list(one)).result()

        yield put


@pytest.fixture
def detector(config: Config, post: Put) -> Iterator[Detector]:
    del post
    made = Detector(config)
    yield made
    made._logs.close()
    made._store.close()


def marks(detector: Detector) -> dict[str, str | None]:
    """Return what hides each stored alert, by the number of its event."""
    rows = detector._store.follow(0, 99, EVERYTHING)
    return {row.alert.event.audit_id: row.hidden_by for row in rows if row.alert.event}


def test_a_rule_is_suppressed_after_so_many(detector: Detector, post: Put) -> None:
    post(*(event(number) for number in range(1, 5)))
    post(event(5, user={"username": "bob"}))
    assert detector._step()
    assert marks(detector) == {
        "a-1": None,
        "a-2": None,
        "a-3": "suppress",
        "a-4": "suppress",
        "a-5": None,
    }
    assert detector._store.silences.hidden()[0].count == 2
    report = detector._report().metrics.decode()
    assert f'tocsin_detect_hidden_total{{by="suppress",rule="{RULE}"}} 2.0' in report
    assert "tocsin_detect_suppress_keys 2.0" in report


def test_a_restart_changes_nothing(detector: Detector, post: Put, config: Config) -> None:
    post(event(1), event(2), event(3))
    assert detector._step()
    again = Detector(config)
    post(event(4), event(5, requestURI="/other"))
    assert again._step()
    assert marks(again) == {
        "a-1": None,
        "a-2": None,
        "a-3": "suppress",
        "a-4": "suppress",
        "a-5": None,
    }
    again._logs.close()
    again._store.close()


def test_a_store_that_fails_uses_nothing_up(
    detector: Detector, post: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(event(1), event(2), event(3))

    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(detector._store, "record", fail)
        with pytest.raises(StoreUnavailable):
            detector._step()
    assert detector._step()
    assert marks(detector) == {"a-1": None, "a-2": None, "a-3": "suppress"}


def test_a_silence_counts_from_the_next_commit_until_its_end(
    detector: Detector, post: Put, config: Config
) -> None:
    silences = detector._store.silences
    post(event(1))
    detector._step()
    added = silences.add(new_silence(Matcher(user="al*"), "eve", "a test", 1e9, 7e6))
    # Its time is over, as alerts are stored now.
    post(event(2))
    detector._step()
    active = silences.add(new_silence(Matcher(user="al*"), "eve", "a test", time.time(), 3600.0))
    post(event(3))
    detector._step()
    silences.end(active.id, "eve", time.time())
    post(event(4, requestURI="/other"))
    detector._step()
    assert marks(detector) == {"a-1": None, "a-2": None, "a-3": active.mark, "a-4": None}
    assert silences.silence(added.id) == added
    (count,) = silences.hidden()
    assert (count.hidden_by, count.rule_id, count.count) == (active.mark, RULE, 1)
    log = config.alert_log_path.read_text()
    assert ("a-3" in log, "a-4" in log) == (False, True)


def test_what_is_silenced_uses_up_nothing(tmp_path: Path) -> None:
    with own_store(tmp_path / "tocsin.db", {}, 1000.0) as store:
        added = store.silences.add(new_silence(Matcher(verb="create"), "eve", "x", 1000.0, 60.0))
        suppression = Suppression(suppressions([], [], settings(tmp_path).suppress))

        def hides(alert_id: str, now: float) -> dict[str, str]:
            return hidden(store, suppression, [make_alert(alert_id)], [], now)

        assert hides("a", 1001.0) == {"a": added.mark}
        assert hides("b", 1061.0) == {}
        assert hides("c", 1061.0) == {"c": "suppress"}


def test_the_word_of_the_authenticated_sender_counts(tmp_path: Path) -> None:
    with own_store(tmp_path / "tocsin.db", {}, 1000.0) as store:
        suppression = Suppression(suppressions([], [], settings(tmp_path).suppress))
        forged = [make_alert("f"), make_alert("a")]
        assert hidden(store, suppression, [], forged, 1.0) == {"a": "suppress"}
        assert hidden(store, suppression, [make_alert("a")], forged, 1.0) == {}


def settings(folder: Path) -> Config:
    text = "{5c1b: {by: [user.username], window: 1m}}"
    return config_of(folder, TOCSIN__SUPPRESS=text)


def test_own_alerts_are_silenced_by_the_rule_id_alone(tmp_path: Path) -> None:
    reference = RuleRef("canary-lost", "Canary lost", "tocsin", "high", "high")
    own = make_alert("a", rule=reference)
    with own_store(tmp_path / "tocsin.db", {}, 1000.0) as store:
        store.silences.add(new_silence(Matcher(cluster="prod"), "eve", "x", 1000.0, 60.0))
        assert silenced(store, [own], 1001.0) == {}
        named = store.silences.add(
            new_silence(Matcher(rule="canary-lost"), "eve", "x", 1000.0, 60.0)
        )
        assert silenced(store, [own], 1001.0) == {"a": named.mark}


def test_the_configuration_comes_before_the_rule(tmp_path: Path) -> None:
    overriding = f"{{{RULE}: {{by: [verb, annotations.x], window: 2h, after: 7}}}}"
    config = config_of(tmp_path, rule() + SUPPRESS, TOCSIN__SUPPRESS=overriding)
    (found,) = rules_in_force(config).rules
    assert found.suppress is not None
    assert (found.suppress.window, found.suppress.after) == (7200.0, 7)
    assert found.fields == ("annotations.x",)
    (kept,) = suppressing([found], {})
    assert kept == found


def test_correlations_are_suppressed_too(tmp_path: Path) -> None:
    correlation = """\
---
title: Again and again
id: 00000000-0000-4000-8000-000000000009
correlation:
  type: event_count
  rules: [00000000-0000-4000-8000-000000000001]
  group-by: [user.username]
  timespan: 5m
  condition: {gte: 2}
level: high
tocsin: {suppress: {by: [user.username], window: 1h}}
"""
    loaded = rules_in_force(config_of(tmp_path, rule() + correlation))
    assert not loaded.faults
    found = suppressions(loaded.rules, loaded.correlations, {})
    assert list(found) == ["00000000-0000-4000-8000-000000000009"]


def test_rules_of_other_dialects_are_named_in_the_configuration(tmp_path: Path) -> None:
    config = config_of(tmp_path, TOCSIN__SUPPRESS="{'100200': {by: [verb], window: 5m}}")
    found = suppressions(rules_in_force(config).rules, [], config.suppress)
    assert list(found) == ["100200"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{by: [verb], window: soon}", "no length of time"),
        ("{by: [verb], window: '0'}", "longer than 0"),
        ("{by: [verb], window: 5m, after: 0}", "1 to 1000"),
        ("{window: 5m}", "by"),
    ],
)
def test_settings_that_mean_nothing_are_refused(tmp_path: Path, value: str, said: str) -> None:
    with pytest.raises(LoadError, match=said):
        config_of(tmp_path, TOCSIN__SUPPRESS=f"{{x: {value}}}")


def test_changed_rules_take_effect(detector: Detector, post: Put, tmp_path: Path) -> None:
    (tmp_path / "rules" / "a.yml").write_text(rule())
    detector._rules.reload(detector._pipeline)
    detector._suppression.replace(detector._suppressions())
    post(event(1), event(2), event(3))
    detector._step()
    assert set(marks(detector).values()) == {None}
