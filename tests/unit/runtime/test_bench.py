from pathlib import Path

import pytest

from tocsin.normalize.decode import decode
from tocsin.runtime import bench
from tocsin.runtime.bench import Bench
from tocsin.runtime.benchlive import EVENTS_PER_POST, posts
from tocsin.runtime.benchrules import bench_rules
from tocsin.runtime.benchwazuh import bench_wazuh
from tocsin.runtime.recording import NAMES, bodies
from tocsin.runtime.rules import load_rules


def test_the_rules_to_measure_with() -> None:
    rules = bench_rules()
    assert len(rules) == 150
    assert len({rule.id for rule in rules}) == 150
    assert not {rule.id for rule in rules} & {rule.id for rule in load_rules([]).rules}


def test_all_stages_are_measured_on_the_same_events(monkeypatch: pytest.MonkeyPatch) -> None:
    posted = sorted(bodies(NAMES[0]), key=len)[40:45]
    monkeypatch.setattr(bench, "NAMES", NAMES[:1])
    monkeypatch.setattr(bench, "bodies", lambda _: posted)
    rounds: list[int] = []
    measured = Bench(bench_rules()[:20], bench_wazuh(None)).run(2, lambda: rounds.append(1))
    assert len(rounds) == 2
    assert measured.rules == 20
    assert measured.events == sum(len(decode(body).events) for body in posted)
    assert measured.bytes_per_event > 500
    assert measured.cold_milliseconds > 0
    assert 0 <= measured.rules_per_event < measured.rules
    names = [stage.name for stage in measured.stages]
    assert names == ["orjson.loads", "decode", "decode + match", "detect", "Wazuh, 4 rules"]
    assert measured.stages[0].ratio == 1
    for stage in measured.stages:
        assert stage.microseconds * stage.events_per_second == pytest.approx(1e6)


def test_the_wazuh_rules_to_measure_with(tmp_path: Path) -> None:
    (tmp_path / "r.xml").write_text(
        '<group name="g,"><rule id="100001" level="5"><decoded_as>json</decoded_as>'
        "<description>d</description></rule></group>"
    )
    found = bench_wazuh(tmp_path)
    assert list(found) == ["Wazuh, 4 rules", "Wazuh, 5 rules"]
    for one in found.values():
        assert not one.installation.warnings


def test_no_two_live_posts_hold_the_same_request() -> None:
    endless = posts()
    first, second = (decode(next(endless)).events for _ in range(2))
    assert len(first) == len(second) == EVENTS_PER_POST
    assert not {event.audit_id for event in first} & {event.audit_id for event in second}
