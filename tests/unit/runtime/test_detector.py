import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.runtime.rulefiles import event, event_list, write_rule
from tocsin.ingest.quarantine import Quarantine
from tocsin.ingest.seal import Sealer, SealError, load_or_create_key
from tocsin.ingest.spool import FileBusyError, Lost, Post, PostMeta, SpoolWriter
from tocsin.ingest.spool.post import compress
from tocsin.model.errors import LoadError, TocsinError
from tocsin.model.ports import StoreUnavailable
from tocsin.runtime import detector as module
from tocsin.runtime.child import Link
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.detector import (
    READER,
    Detector,
)
from tocsin.runtime.pipeline import Outcome
from tocsin.store.sqlite import read_store
from tocsin.store.sqlite.store import SqliteStore

META = PostMeta("prod", None, None, "webhook", 1_700_000_000_000_000)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.01)
    write_rule(tmp_path / "rules" / "a.yml")
    variables = {
        "TOCSIN__RULES": f"[{tmp_path}/rules]",
        "TOCSIN__BUILTIN_RULES": "false",
        "TOCSIN__SPOOL__MIN_FREE_BYTES": "0",
    }
    return load_config(None, variables, tmp_path / "data")


def sealer(config: Config) -> Sealer:
    return Sealer(load_or_create_key(config.key_path))


@pytest.fixture
def post(config: Config) -> Iterator[Callable[[bytes], int]]:
    """Put bodies into the spool."""
    with closing(SpoolWriter(config.spool_folder, sealer(config), config.spool)) as writer:
        yield lambda body: writer.append(META, body).result()


Put = Callable[[bytes], int]


@pytest.fixture
def detector(config: Config, post: Put) -> Iterator[Detector]:
    del post
    made = Detector(config)
    yield made
    close(made)


def close(detector: Detector) -> None:
    detector._logs.close()
    detector._store.close()


def metric(detector: Detector, name: str) -> float:
    text = detector._report().metrics.decode()
    samples = (one for family in text_string_to_metric_families(text) for one in family.samples)
    return sum(sample.value for sample in samples if sample.name == f"tocsin_detect_{name}")


def found(config: Config) -> list[str]:
    with read_store(config.store_path) as store:
        events = [one.alert.event for one in store.follow(0, 1000)]
    return [event.audit_id for event in events if event]


def authenticated(config: Config) -> dict[str, bool]:
    with read_store(config.store_path) as store:
        rows = store.follow(0, 1000)
    return {row.alert.event.audit_id: row.authenticated for row in rows if row.alert.event}


def cursor(config: Config) -> int:
    with read_store(config.store_path) as store:
        return store.cursor(READER)


def findings(config: Config) -> list[tuple[str, str, str]]:
    with read_store(config.store_path) as store:
        return [(one.kind, one.key, one.message) for one in store.health.findings()]


def reasons(config: Config) -> list[str]:
    records = Quarantine(config.quarantine_folder, sealer(config)).records()
    return [record.reason for record in records]


def serve(detector: Detector, items: Sequence[Post | Lost]) -> None:
    """Have the spool return these."""

    def read(after: int, limit: int) -> list[Post | Lost]:
        del limit
        return [one for one in items if (one.last if isinstance(one, Lost) else one.seq) > after]

    reader: Any = detector._reader
    reader.read = read


def stored(seq: int, load: Callable[[], Iterator[bytes]]) -> Post:
    return Post(seq, META, 10, 2, load)


def good(seq: int) -> Post:
    return stored(seq, lambda: iter([compress(event_list(event(seq)))]))


def refusing(error: Exception) -> Callable[[], Iterator[bytes]]:
    def load() -> Iterator[bytes]:
        for cause in (error,):
            raise cause
        yield b""

    return load


def failing(detector: Detector, method: str, times: int, error: Exception) -> None:
    """Have a method of the store fail so many times, then work."""
    store: Any = detector._store
    original = getattr(store, method)
    left = iter(range(times))

    def call(*values: object, **named: object) -> object:
        if next(left, None) is not None:
            raise error
        return original(*values, **named)

    setattr(store, method, call)


FULL = StoreUnavailable("tocsin.db: database or disk is full")


def test_posts_become_alerts_in_the_store_and_in_the_log(
    detector: Detector, post: Put, config: Config
) -> None:
    for number in (1, 2):
        post(event_list(event(number), event(number + 10, "wget")))
    assert detector._step()
    assert found(config) == ["a-1", "a-2"]
    assert cursor(config) == 2
    lines = config.alert_log_path.read_bytes().splitlines()
    assert [msgspec.json.decode(line)["event"]["audit_id"] for line in lines] == ["a-1", "a-2"]
    assert not detector._step()
    assert metric(detector, "posts_total") == 2
    assert metric(detector, "events_total") == 4
    assert metric(detector, "alerts_total") == 2
    assert metric(detector, "rules") == 1


def test_what_nobody_vouched_for_stays_marked_until_somebody_does(config: Config) -> None:
    unproven = msgspec.structs.replace(META, source="unauthenticated")
    with closing(SpoolWriter(config.spool_folder, sealer(config), config.spool)) as writer:
        for meta, number in ((unproven, 1), (META, 2), (unproven, 2), (unproven, 3)):
            writer.append(meta, event_list(event(number))).result()
        made = Detector(config)
        assert made._step()
        assert authenticated(config) == {"a-1": False, "a-2": True, "a-3": False}
        writer.append(META, event_list(event(1))).result()
        assert made._step()
        assert authenticated(config) == {"a-1": True, "a-2": True, "a-3": False}
        close(made)


def test_the_same_post_again_changes_nothing(detector: Detector, post: Put, config: Config) -> None:
    for _ in range(3):
        post(event_list(event(1)))
    detector._step()
    assert found(config) == ["a-1"]
    assert metric(detector, "alerts_total") == 1


def test_a_restart_goes_on_where_the_last_commit_was(
    detector: Detector, post: Put, config: Config
) -> None:
    post(event_list(event(1)))
    detector._step()
    post(event_list(event(2)))
    again = Detector(config)
    assert again._cursor == 1
    again._step()
    assert found(config) == ["a-1", "a-2"]
    assert metric(again, "posts_total") == 1
    close(again)


def test_the_position_moves_only_with_the_commit(
    detector: Detector, post: Put, config: Config
) -> None:
    post(event_list(event(1)))
    failing(detector, "record", 1, FULL)
    with pytest.raises(StoreUnavailable):
        detector._step()
    assert detector._cursor == 0
    assert cursor(config) == 0
    assert not found(config)
    assert detector._step()
    assert found(config) == ["a-1"]
    assert cursor(config) == 1


def test_what_is_heard_is_stored_with_the_position(
    detector: Detector, post: Put, config: Config
) -> None:
    post(event_list(event(1), event(2)))
    failing(detector, "record", 2, FULL)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            detector._step()
    detector._step()
    with read_store(config.store_path) as store:
        (source,) = store.sources.sources()
        assert store.sources.observations("prod")
    assert (source.cluster, source.source) == (META.cluster, META.source)
    assert (source.events, source.posts) == (2, 1)


def test_what_comes_again_while_the_store_fails_is_counted_once(
    detector: Detector, post: Put, config: Config
) -> None:
    post(event_list(event(1)) + b"x")
    failing(detector, "record", 3, FULL)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            detector._step()
    detector._step()
    assert len(reasons(config)) == 1
    assert metric(detector, "posts_total") == 1
    assert metric(detector, "quarantined_total") == 1


def run_until(detector: Detector, condition: Callable[[Link], bool]) -> None:
    """Run the detector as its process does, until something is so."""
    ours, theirs = Pipe()
    link = Link(theirs)
    thread = threading.Thread(target=detector.run, args=(link,))
    thread.start()
    deadline = time.monotonic() + 8
    try:
        while not condition(link):
            assert thread.is_alive(), "the detector ended"
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        link.stopping.set()
        thread.join()
        ours.close()
        theirs.close()


@pytest.fixture
def running(config: Config, post: Put) -> Detector:
    """A detector for `run_until`, which closes it."""
    del post
    return Detector(config)


def test_a_store_that_fails_and_recovers_loses_nothing(
    running: Detector, post: Put, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    post(event_list(event(1)))
    failing(running, "record", 5, FULL)
    with caplog.at_level(logging.WARNING):
        run_until(running, lambda _: running._cursor == 1)
    assert found(config) == ["a-1"]
    assert "alerts cannot be stored: tocsin.db: database or disk is full" in caplog.text
    assert metric(running, "store_errors_total") == 5
    assert running._report().ready


def test_while_the_store_fails_the_detector_is_not_ready(running: Detector, post: Put) -> None:
    post(event_list(event(1)))
    failing(running, "record", 1_000_000, FULL)
    run_until(running, lambda _: not running._report().ready)
    assert "disk is full" in running._report().reason


def test_pruning_that_fails_stops_nothing(running: Detector, post: Put, config: Config) -> None:
    post(event_list(event(1)))
    failing(running, "prune", 1, FULL)
    run_until(running, lambda _: running._cursor == 1)
    assert found(config) == ["a-1"]


def test_a_log_that_cannot_be_written_catches_up(
    running: Detector, post: Put, config: Config
) -> None:
    post(event_list(event(1)))
    log: Any = running._logs
    catch_up, left = log.catch_up, iter(range(2))

    def fail(source: SqliteStore) -> object:
        if next(left, None) is not None:
            raise OSError(28, "No space left on device")
        return catch_up(source)

    log.catch_up = fail
    run_until(running, lambda _: config.alert_log_path.stat().st_size > 0)
    assert len(config.alert_log_path.read_bytes().splitlines()) == 1


def test_a_busy_file_is_tried_again_and_said(detector: Detector, config: Config) -> None:
    serve(detector, [good(1), stored(2, refusing(FileBusyError("locked"))), good(3)])
    assert detector._step()
    assert found(config) == ["a-1"]
    assert cursor(config) == 1
    assert not detector._step(), "it would be tried again without a pause"
    report = detector._report()
    assert not report.ready
    assert report.reason == "the spool cannot be read now: locked"
    serve(detector, [good(1), good(2), good(3)])
    assert detector._step()
    assert detector._report().ready
    assert found(config) == ["a-1", "a-2", "a-3"]


def test_a_stalled_spool_is_said(detector: Detector) -> None:
    detector._reader.read = lambda *_: []  # type: ignore[method-assign]
    detector._reader.stalled = "0001.db: locked"
    assert not detector._step()
    assert detector._report().reason == "0001.db: locked"
    assert not detector._report().ready


def test_lost_posts_are_reported_and_passed(detector: Detector, config: Config) -> None:
    serve(detector, [good(1), Lost(2, 4, "damaged", "0001.db"), good(5), Lost(6, 6, "missing")])
    assert detector._step()
    assert cursor(config) == 6
    assert found(config) == ["a-1", "a-5"]
    assert sorted(findings(config)) == [
        ("spool", "lost-2", "posts 2 to 4 are damaged in 0001.db"),
        ("spool", "lost-6", "posts 6 to 6 are missing in the spool"),
    ]
    assert metric(detector, "lost_posts_total") == 4
    assert metric(detector, "posts_total") == 2


def test_a_loss_that_shows_only_while_reading_is_reported(
    detector: Detector, config: Config
) -> None:
    serve(detector, [stored(1, refusing(SealError("changed"))), good(2)])
    assert detector._step()
    assert found(config) == ["a-2"]
    assert findings(config) == [("spool", "lost-1", "posts 1 to 1 are damaged in the spool")]
    assert metric(detector, "lost_posts_total") == 1


def test_a_loss_is_counted_once_while_the_store_fails(detector: Detector, config: Config) -> None:
    serve(detector, [Lost(1, 2, "missing")])
    failing(detector, "record", 2, FULL)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            detector._step()
    detector._step()
    assert metric(detector, "lost_posts_total") == 2
    assert cursor(config) == 2


def test_a_post_that_our_own_fault_cannot_evaluate_stops_nothing(
    detector: Detector, post: Put, config: Config
) -> None:
    def fail(body: bytes, cluster: str) -> Outcome:
        if b"a-1" in body:
            message = "a fault of ours"
            raise ZeroDivisionError(message)
        return process(body, cluster)

    pipeline: Any = detector._pipeline
    process: Callable[[bytes, str], Outcome] = pipeline.process
    pipeline.process = fail
    for number in (1, 2):
        post(event_list(event(number)))
    detector._step()
    assert found(config) == ["a-2"]
    assert reasons(config) == ["post 1 could not be evaluated: ZeroDivisionError"]


def test_what_is_no_event_is_set_aside_with_a_finding(
    detector: Detector, post: Put, config: Config
) -> None:
    post(b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"verb":7}]}')
    post(event_list(event(2)))
    detector._step()
    assert found(config) == ["a-2"]
    [reason] = reasons(config)
    [(kind, cluster, message)] = findings(config)
    assert (kind, cluster) == ("quarantine", "prod")
    assert message == f"events set aside, the last: {reason}"


def test_every_event_that_is_set_aside_is_counted(
    detector: Detector, post: Put, config: Config
) -> None:
    post(event_list(*({"verb": number} for number in range(2500))))
    detector._step()
    assert metric(detector, "quarantined_total") == 2500
    assert len(reasons(config)) == 100


def test_a_post_of_several_pieces_is_evaluated(
    detector: Detector, post: Put, config: Config
) -> None:
    pad = {"pad": "x" * 5_000_000}
    first, last = event(1, requestObject=pad), event(3, requestObject=pad)
    post(event_list(first, event(2, "wget"), last))
    assert detector._step()
    assert found(config) == ["a-1", "a-3"]


def test_rules_are_reloaded_when_told(running: Detector, config: Config) -> None:
    folder = config.rule_paths[0]
    write_rule(folder / "b.yml", 2, "wget")

    def reloaded(link: Link) -> bool:
        link.reloading.set()
        return len(running._pipeline.engine.rules) == 2

    run_until(running, reloaded)
    assert metric(running, "rules") == 2


def test_a_bad_rule_file_is_shown_but_does_not_unready(detector: Detector, config: Config) -> None:
    (config.rule_paths[0] / "b.yml").write_text("title: [")
    detector._rules.reload(detector._pipeline)
    report = detector._report()
    assert (report.ready, report.reason) == (True, "")
    assert "b.yml:" in report.findings[0]
    assert metric(detector, "rule_file_faults") == 1


def test_without_any_rule_that_loads_it_does_not_start(config: Config) -> None:
    (config.rule_paths[0] / "a.yml").write_text("title: [")
    with pytest.raises(LoadError, match=r"a\.yml:"):
        Detector(config)


def test_with_some_rules_that_load_it_starts(config: Config, post: Put) -> None:
    (config.rule_paths[0] / "b.yml").write_text("title: [")
    post(event_list(event(1)))
    detector = Detector(config)
    detector._step()
    assert found(config) == ["a-1"]
    assert metric(detector, "rule_file_faults") == 1
    close(detector)


def test_a_store_that_stays_locked_is_one_sentence(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> SqliteStore:
        message = "tocsin.db: another process held the write lock for 5 s"
        raise StoreUnavailable(message)

    monkeypatch.setattr(module, "own_store", refuse)
    with pytest.raises(TocsinError, match=r"the store is locked by another process: tocsin\.db"):
        Detector(config)


def test_a_damaged_store_is_replaced_and_filled_again(config: Config, post: Put) -> None:
    post(event_list(event(1)))
    for _ in range(2):
        detector = Detector(config)
        assert detector._step()
        assert found(config) == ["a-1"]
        close(detector)
        config.store_path.write_bytes(b"damaged" * 1000)
    detector = Detector(config)
    assert ("store", "damaged") in [finding[:2] for finding in findings(config)]
    close(detector)


def test_rules_that_are_given_up_are_a_finding_and_a_metric(
    config: Config, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = Outcome(events=2, unevaluated=Counter({"rule 110011": 2}))
    monkeypatch.setattr(detector, "_evaluate", lambda _: given_up)
    serve(detector, [good(1), good(2)])
    detector._step()
    message = "rule 110011 was not evaluated on 4 events: it cost too much to search them"
    assert findings(config) == [("unevaluated", "rule 110011", message)]
    assert metric(detector, "unevaluated_total") == 4
