import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing import Pipe
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from tests.unit.audit import event
from tocsin.cli.serve import check
from tocsin.connect.clusters import add_cluster
from tocsin.connect.credentials import revoke
from tocsin.ingest.spool import PostMeta
from tocsin.model.ports import LineUpdate, SourceState
from tocsin.runtime import watcher as module
from tocsin.runtime.child import Link
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.listener import Listener
from tocsin.runtime.metrics import exposition
from tocsin.runtime.watcher import Watcher, watch
from tocsin.runtime.watchmetrics import WatchMetrics
from tocsin.store import SqliteStore, own_store

HOUR = 3600.0


@pytest.fixture
def config(tmp_path: Path) -> Config:
    variables = {
        "TOCSIN__SPOOL__MIN_FREE_BYTES": "0",
        "TOCSIN__BUILTIN_RULES": "false",
        "TOCSIN__API_SERVERS__PROD__KUBECONFIG": str(tmp_path / "none"),
        "TOCSIN__NOTIFY__CHAT": "{type: slack, url: 'https://x', min_severity: high}",
    }
    made = load_config(None, variables, tmp_path / "data")
    check(made)
    return made


@pytest.fixture
def store(config: Config) -> Iterator[SqliteStore]:
    with own_store(config.store_path, {"chat": "high"}, 1.0) as opened:
        yield opened


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def watcher(config: Config, store: SqliteStore, registry: CollectorRegistry) -> Watcher:
    return Watcher(config, store, WatchMetrics(registry))


def silent(watcher: Watcher) -> SourceState:
    """A source that was not heard since the watcher started."""
    started = watcher._started
    return SourceState(
        cluster="prod",
        node="cp-1",
        source="webhook",
        first_received=started - 5000,
        last_received=started,
        last_event=started,
        posts=1000,
    )


def found(store: SqliteStore) -> list[str]:
    return [one.alert.rule.id for one in store.follow(0, 100)]


def findings(store: SqliteStore) -> list[str]:
    return [one.key for one in store.health.findings() if one.kind == "line"]


def test_silence_is_told_once_and_its_end_too(
    watcher: Watcher, store: SqliteStore, config: Config
) -> None:
    state = silent(watcher)
    store.record([], {}, 1.0, line=LineUpdate([state]))
    now = state.last_received
    watcher.look(now + 299)
    assert found(store) == []
    for later in (301, 303, 305):
        watcher.look(now + later)
    assert found(store) == ["tocsin-line-silent"]
    assert findings(store) == ["tocsin-line-silent prod/cp-1 webhook"]
    assert len(store.outbox.topics("chat", now + 305)) == 1, "people are notified at once"
    # A watcher that was started again knows what stands.
    again = Watcher(config, store, WatchMetrics(CollectorRegistry()))
    again._started = now + 400
    again.look(now + 401)
    assert found(store) == ["tocsin-line-silent"]
    heard = SourceState(
        cluster="prod",
        node="cp-1",
        source="webhook",
        first_received=state.first_received,
        last_received=now + 402,
        posts=1001,
    )
    store.record([], {}, 2.0, line=LineUpdate([heard]))
    again.look(now + 403)
    assert found(store) == ["tocsin-line-silent", "tocsin-line-heard"]
    assert findings(store) == []


def test_a_revoked_cluster_is_missed_by_nobody(
    watcher: Watcher, store: SqliteStore, config: Config
) -> None:
    state = silent(watcher)
    store.record([], {}, 1.0, line=LineUpdate([state]))
    watcher.look(state.last_received + 301)
    add_cluster(config.folder, "prod")
    revoke(config.folder, "prod", datetime.now(UTC))
    watcher.look(state.last_received + 302)
    assert found(store) == ["tocsin-line-silent"], "nor is it heard again"
    assert findings(store) == []


def test_a_crash_between_finding_and_alert_loses_no_alert(
    watcher: Watcher, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = silent(watcher)
    store.record([], {}, 1.0, line=LineUpdate([state]))
    monkeypatch.setattr(watcher, "_tell", lambda alerts, now: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        watcher.look(state.last_received + 301)
    assert findings(store)
    monkeypatch.undo()
    watcher.look(state.last_received + 350)
    assert found(store) == ["tocsin-line-silent"]


def test_findings_of_other_parts_become_alerts_once(watcher: Watcher, store: SqliteStore) -> None:
    store.health.report("spool", "lost-2", "posts 2 to 4 are damaged", 10.0)
    store.health.report("quarantine", "prod", "events set aside", 10.0)
    for now in (20.0, 30.0):
        store.health.report("spool", "lost-2", "posts 2 to 4 are damaged", now)
        watcher.look(now)
    assert found(store) == ["tocsin-posts-lost"]
    assert {one.kind for one in store.health.findings()} == {"spool", "quarantine"}


def test_alerts_can_be_off(config: Config, store: SqliteStore) -> None:
    quiet = load_config(None, {"TOCSIN__WATCH__ALERTS": "false"}, config.folder)
    watcher = Watcher(quiet, store, WatchMetrics(CollectorRegistry()))
    state = silent(watcher)
    store.record([], {}, 1.0, line=LineUpdate([state]))
    watcher.look(state.last_received + 301)
    assert found(store) == []
    assert findings(store)


def test_a_full_disk_and_a_certificate_near_its_end(config: Config, store: SqliteStore) -> None:
    full = load_config(None, {"TOCSIN__SPOOL__MIN_FREE_BYTES": str(1 << 60)}, config.folder)
    watcher = Watcher(full, store, WatchMetrics(CollectorRegistry()))
    watcher.look(watcher._started + 395 * 24 * HOUR)
    assert sorted(found(store)) == ["tocsin-credential-expiring", "tocsin-disk-low"]


def test_an_api_server_that_cannot_be_asked(watcher: Watcher, store: SqliteStore) -> None:
    (probe,) = watcher.probes
    probe._fail("refused")
    watcher.look(probe.failing_since + 151)
    assert found(store) == ["tocsin-canary-unsent"]


def test_a_canary_that_does_not_come_back(watcher: Watcher, store: SqliteStore) -> None:
    (probe,) = watcher.probes
    probe.sent.append(5000.0)
    watcher.look(5106.0)
    assert found(store) == ["tocsin-line-silent"]


def test_what_a_look_shows_as_metrics(
    watcher: Watcher, store: SqliteStore, registry: CollectorRegistry
) -> None:
    listener = Listener(store.sources, b"k" * 32, 300)
    meta = PostMeta("prod", None, None, "webhook", 1_795_430_720_000_000)
    listener.begin(meta)
    listener.look([event()])
    listener.note(meta, 1, 0)
    store.record([], {}, 1.0, line=listener.update(1.0))
    watcher.look(1_795_430_725.0)
    text = exposition(registry).decode()
    labels = '{cluster="prod",node="",source="webhook"}'
    assert f"tocsin_watch_source_age_seconds{labels} 5.0" in text
    assert f"tocsin_watch_source_skew_seconds{labels} 4.0" in text
    assert 'tocsin_watch_api_server_up{cluster="prod"} 1.0' in text
    assert 'tocsin_watch_dropped_events{cluster="prod"} 0.0' in text


def test_the_process_watches_until_told_to_stop(
    config: Config, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    store.health.report("store", "damaged", "the store was damaged", 10.0)
    ours, theirs = Pipe()
    link = Link(theirs)
    thread = threading.Thread(target=watch, args=(link, config))
    thread.start()
    try:
        while not found(store):
            assert thread.is_alive()
            assert not link.stopping.wait(0.01)
        assert found(store) == ["tocsin-store-damaged"]
    finally:
        link.stopping.set()
        thread.join()
        ours.close()
        theirs.close()
