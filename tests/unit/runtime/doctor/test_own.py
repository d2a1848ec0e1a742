"""What is looked at on Tocsin's own machine."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import trustme

from tests.unit.runtime.doctor.webhook import saying, write_webhook
from tests.unit.runtime.rulefiles import write_rule
from tests.unit.runtime.test_apiserver import serving
from tests.unit.runtime.test_health import READY, child
from tocsin.connect.clusters import add_cluster
from tocsin.connect.pki import Authority, ensure_server_certificate
from tocsin.ingest.follow import Checkpoint
from tocsin.ingest.server import listen
from tocsin.ingest.spool import SpoolSettings
from tocsin.ingest.spool.layout import committed_path, write_number
from tocsin.model.ports import Backlog, HealthFinding, SourceState
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.doctor import (
    certificates,
    counters,
    disk,
    files,
    processes,
    rules,
    sources,
    spool,
    standing,
)
from tocsin.runtime.doctor.counters import Counts
from tocsin.runtime.doctor.counters import judge as judge_counts
from tocsin.runtime.doctor.counters import read as read_counts
from tocsin.runtime.doctor.finding import Finding
from tocsin.runtime.health import serve_health
from tocsin.runtime.report import Report
from tocsin.runtime.rules import load_rules
from tocsin.store.sqlite import own_store

NOW = 1_795_000_000.0


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(None, {}, tmp_path / "data")


def only(found: list[Finding]) -> Finding:
    [one] = found
    assert one.state == "ok" or (one.why and one.mend)
    return one


# Disk


def test_the_disk_is_full(config: Config) -> None:
    config.spool_folder.mkdir(parents=True)
    assert only(disk.examine_data(config)).state == "ok"
    full = msgspec.structs.replace(config, spool=SpoolSettings(min_free_bytes=1 << 60))
    one = only(disk.examine_data(full))
    assert one.state == "fault"
    assert "1048576.0 TiB are kept free" in one.what
    assert "503" in one.why


def test_the_disk_is_nearly_full() -> None:
    assert disk.judge_spool(Path("/x"), 150, 100).state == "warning"
    assert disk.judge_spool(Path("/x"), 200, 100).state == "ok"
    assert disk.judge_spool(Path("/x"), 99, 100).state == "fault"


def test_the_disk_of_the_audit_log(tmp_path: Path) -> None:
    (tmp_path / "audit.log").write_bytes(b"x" * 1000)
    assert only(disk.examine_log(tmp_path, 2000)).state == "ok"
    one = only(disk.examine_log(tmp_path, 1 << 60))
    assert one.state == "warning"
    assert disk.judge_log(tmp_path, 10, 10).state == "warning"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (3 << 40, "3.0 TiB")],
)
def test_bytes_for_people(number: int, text: str) -> None:
    assert disk.in_units(number) == text


# Processes


@pytest.fixture
def served(config: Config, request: pytest.FixtureRequest) -> Iterator[Config]:
    """Serve the health pages of a detector with the given report."""
    sock = listen("127.0.0.1", 0)
    stop = threading.Event()

    async def run() -> None:
        async with serve_health(sock, [child("detector", request.param)]):
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    health = msgspec.structs.replace(config.health, host="0.0.0.0", port=sock.getsockname()[1])  # noqa: S104 - as configured for a scraper
    yield msgspec.structs.replace(config, health=health)
    stop.set()
    thread.join()


@pytest.mark.parametrize("served", [READY], indirect=True)
def test_processes_that_work(served: Config) -> None:
    assert only(processes.examine(served)).what == "detector do their work"


@pytest.mark.parametrize(
    "served",
    [Report(ready=False, reason="the disk is full", metrics=b"tocsin_detect_lag_posts 999.0\n")],
    indirect=True,
)
def test_a_process_that_does_not_work(served: Config) -> None:
    broken, lagging = processes.examine(served)
    assert broken.what == "the detector does not do its work: the disk is full"
    assert "no alert is raised" in broken.why
    assert (lagging.state, lagging.what) == ("warning", "999 posts wait to be evaluated")


def test_what_is_to_be_zero() -> None:
    assert processes.judge_numbers({"tocsin_detect_lag_posts": 3}) == []
    one = only(processes.judge_numbers({"tocsin_detect_lost_posts_total": 2}))
    assert one.what.startswith("stored posts that were damaged or missing: 2")


def test_nothing_runs(config: Config) -> None:
    health = msgspec.structs.replace(config.health, port=1)
    one = only(processes.examine(msgspec.structs.replace(config, health=health)))
    assert one.state == "fault"
    assert "tocsin serve --data" in one.mend


def test_something_else_runs(config: Config) -> None:
    with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi") as port:
        health = msgspec.structs.replace(config.health, port=port)
        one = only(processes.examine(msgspec.structs.replace(config, health=health)))
    assert "what answers there is not Tocsin" in one.what


# Spool


def test_what_is_acknowledged_is_evaluated(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    config.spool_folder.mkdir(parents=True)
    write_number(committed_path(config.spool_folder), 7)
    with own_store(config.store_path, {}, NOW) as store:
        store.record([], {"detector": 7}, NOW)
    assert only(spool.examine(config)).state == "ok"
    write_number(committed_path(config.spool_folder), 9)
    monkeypatch.setattr(spool, "_SECONDS", 0.1)
    one = only(spool.examine(config))
    assert one.state == "fault"
    assert "posts 8 to 9 are stored and not evaluated" in one.what


def test_a_detector_that_is_a_moment_late(config: Config) -> None:
    config.spool_folder.mkdir(parents=True)
    write_number(committed_path(config.spool_folder), 3)
    with own_store(config.store_path, {}, NOW) as store:
        timer = threading.Timer(0.1, lambda: store.record([], {"detector": 3}, NOW))
        timer.start()
        assert only(spool.examine(config)).state == "ok"
        timer.join()


# Health findings, channels


def test_what_tocsin_knows_itself(config: Config) -> None:
    with own_store(config.store_path, {}, NOW) as store:
        store.health.report("quarantine", "prod", "events set aside", NOW)
    health, channels = standing.examine(config, NOW)
    assert health.what == "quarantine prod: events set aside"
    assert health.mend == "tocsin quarantine list"
    assert (channels.state, channels.check) == ("warning", "notifications")
    assert "nobody is told" in channels.what


def test_channels_that_work_or_do_not() -> None:
    waiting = Backlog(pending=3, oldest=NOW - 1000, error="no route")
    one = only(standing.judge_channels({"ops": 0.0}, {"ops": waiting}, NOW))
    assert "3 notifications wait since 1000 s, the last error: no route" in one.what
    assert one.mend == "tocsin notify test ops"
    assert only(standing.judge_channels({"ops": 0.0}, {"ops": Backlog(dead=1)}, NOW)).state == "ok"
    daily = {"ops": 86400.0}
    assert only(standing.judge_channels(daily, {"ops": waiting}, NOW)).state == "ok"
    finding = HealthFinding("line", "x", "y", NOW, NOW, 1)
    assert only(standing.judge_health([finding])).state == "warning"
    assert only(standing.judge_health([])).state == "ok"


# Sources and their clocks


def heard(**changes: object) -> SourceState:
    state = SourceState(
        cluster="prod",
        node="cp-1",
        source="webhook",
        first_received=NOW - 9000,
        last_received=NOW - 3,
        last_event=NOW - 4,
        skew=0.5,
        events=100,
        posts=9,
    )
    return msgspec.structs.replace(state, **changes)


def test_who_is_heard() -> None:
    one = only(sources.judge({"prod"}, [heard()], NOW))
    assert (one.state, one.what) == (
        "ok",
        "prod/cp-1 (webhook): last heard 3 s ago, 100 events in all",
    )
    assert only(sources.judge({"prod"}, [heard(last_received=NOW - 9999)], NOW)).state == "warning"
    assert "no event was ever heard" in only(sources.judge({"prod"}, [], NOW)).what
    assert "no event was ever heard" in only(sources.judge({"prod"}, [heard(events=0)], NOW)).what
    assert only(sources.judge([], [], NOW)).what == "no cluster is connected"


@pytest.mark.parametrize(
    ("skew", "source", "state", "said"),
    [
        (-3600, "webhook", "fault", "the clock of prod/cp-1 (webhook) is 1 h ahead of Tocsin's"),
        (3600, "webhook", "fault", "come 1 h late: its clock is behind Tocsin's"),
        (3600, "file", "ok", "agree"),
        (-20, "file", "warning", "20 s ahead"),
        (90, "webhook", "ok", "agree"),
    ],
)
def test_the_clock_of_an_api_server(skew: float, source: str, state: str, said: str) -> None:
    one = only(sources.judge_clocks([heard(skew=skew, source=source)], NOW))
    assert (one.check, one.state) == ("clock", state)
    assert said in one.what


def test_an_old_clock_tells_nothing() -> None:
    assert sources.judge_clocks([heard(skew=-3600, last_received=NOW - 9999)], NOW) == []


def test_clusters_come_from_the_list(config: Config) -> None:
    add_cluster(config.folder, "prod")
    with own_store(config.store_path, {}, NOW):
        pass
    assert only(sources.examine(config, NOW)).what == "prod: no event was ever heard of it"


# Rules


def test_rules_in_force(tmp_path: Path) -> None:
    assert only(rules.judge(load_rules([]))).what.endswith(" rules are in force")
    broken = tmp_path / "broken.yml"
    broken.write_text("title: x\n")
    loaded = load_rules([write_rule(tmp_path / "good.yml"), broken], builtin=False)
    one = only(rules.judge(loaded))
    assert one.state == "fault"
    assert str(broken) in one.what


def test_rules_that_cannot_match(tmp_path: Path) -> None:
    path = write_rule(tmp_path / "rule.yml")
    path.write_text(path.read_text().replace("userAgent:", "objectRef.resourcee:"))
    one = only(rules.judge(load_rules([path], builtin=False)))
    assert one.state == "warning"
    assert f"{path}:" in one.what


# Certificates and senders


def test_certificates_that_expire(config: Config) -> None:
    pki = config.folder / "pki"
    ensure_server_certificate(pki)
    client = Authority.load_or_create(pki).issue_client("prod")
    add_cluster(config.folder, "prod", certificate=client)
    now = datetime.now(UTC)
    expiry, senders = certificates.examine(config, now)
    assert (expiry.state, senders.state) == ("ok", "ok")
    found = certificates.examine(config, now + timedelta(days=362))
    assert [one.state for one in found if one.check == "certificates"] == ["fault"]
    assert "of cluster 'prod' expires on" in found[0].what
    assert "tocsin clusters rotate prod" in found[0].mend


def test_senders_without_a_credential() -> None:
    one = only(certificates.judge_networks(["10.0.0.0/8"]))
    assert one.state == "warning"
    assert "Senders from 10.0.0.0/8 are let in without proof" in one.what
    assert "tocsin setup adopt" in one.mend


# Files


def test_logs_that_are_followed(tmp_path: Path) -> None:
    log, checkpoint = tmp_path / "audit.log", tmp_path / "audit.pos"
    text = f"[{{path: {log}, checkpoint: {checkpoint}, cluster: prod}}]"
    config = load_config(None, {"TOCSIN__FILES": text}, tmp_path / "data")
    assert "cannot be read: No such file" in only(files.examine(config)).what
    log.write_bytes(b"x" * 2000)
    assert "has never been read" in only(files.examine(config)).what
    checkpoint.write_text("{")
    assert "is damaged" in only(files.examine(config)).what
    at_end = Checkpoint(str(log), log.stat().st_ino, "", 2000)
    checkpoint.write_bytes(msgspec.json.encode(at_end))
    assert only(files.examine(config)).state == "ok"


def test_how_far_a_log_is_read() -> None:
    path, position = Path("/audit.log"), Checkpoint("/audit.log", 5, "", 0)
    assert "was rotated" in files.judge(path, 6, 10, position).what
    assert "128.0 MiB are not read yet" in files.judge(path, 5, 1 << 27, position).what
    assert files.judge(path, 5, 1 << 20, position).state == "ok"


# The API server's counters


PAGE = b"""# HELP apiserver_audit_event_total [ALPHA] Counter of audit events
# TYPE apiserver_audit_event_total counter
apiserver_audit_event_total 1000
apiserver_audit_error_total{plugin="webhook"} 20
apiserver_audit_error_total{plugin="log"} 0
process_start_time_seconds 1.7950000e+09
apiserver_request_total{code="200"} 7
"""


def test_the_counters_of_an_api_server() -> None:
    first = read_counts(PAGE)
    assert (first.events, first.lost) == (1000, {"webhook": 20, "log": 0})
    one = only(judge_counts(first, first))
    assert one.state == "warning"
    assert "gave up 20 audit events in its back end webhook since" in one.what
    later = read_counts(PAGE.replace(b"} 20", b"} 25"))
    one = only(judge_counts(first, later))
    assert one.state == "fault"
    assert "5 of them just now" in one.what
    other = later._replace(started="another")
    assert only(judge_counts(first, other)).state == "warning"
    assert only(judge_counts(first, Counts("x", 5, {}))).state == "ok"
    assert only(judge_counts(first, Counts("x", 0, {}))).state == "fault"


@pytest.mark.parametrize(
    ("status", "state", "said"),
    [
        (200, "ok", "of 1000 audit events the API server lost none"),
        (403, "skipped", "/metrics answers 403"),
        (500, "skipped", "/metrics answers 500"),
    ],
)
def test_an_api_server_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, state: str, said: str
) -> None:
    monkeypatch.setattr(counters, "_SECONDS", 0)
    ca = trustme.CA()
    with serving(ca) as server:
        server.body, server.status = PAGE.replace(b"} 20", b"} 0"), status
        path = write_webhook(tmp_path, server.url, ca)
        [one] = counters.examine(path)
        assert len(server.requests) == (2 if status == 200 else 1)
    assert one.state == state
    assert said in one.what
    assert counters.examine(path)[0].state == "skipped"
