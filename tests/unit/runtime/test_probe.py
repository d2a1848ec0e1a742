import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.unit.runtime.test_apiserver import Server, kubeconfig, serving
from tocsin.lifeline.canary import canary_key, sent_at
from tocsin.model.errors import TocsinError
from tocsin.runtime import probe as module
from tocsin.runtime.apiserver import ApiServer
from tocsin.runtime.config import ApiAccess
from tocsin.runtime.probe import Probe, read_losses
from tocsin.store import SqliteStore, own_store

KEY = b"k" * 32
NOW = 1_700_000_000.0
METRICS = """\
# HELP apiserver_audit_error_total [ALPHA] Counter of audit events that failed to be audited.
# TYPE apiserver_audit_error_total counter
apiserver_audit_error_total{{plugin="webhook"}} {webhook}
apiserver_audit_error_total{{plugin="buffered"}} 0
apiserver_audit_event_total 12345
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.7e+09
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(trustme.CA()) as running:
        running.body = METRICS.format(webhook=0).encode()
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with own_store(tmp_path / "tocsin.db", {}, 1.0) as opened:
        yield opened


def probing(store: SqliteStore, path: Path, *, canary: bool = True) -> Probe:
    return Probe("prod", ApiAccess(str(path), canary), KEY, store.sources)


def ask(probe: Probe, path: Path, now: float = NOW) -> None:
    probe.ask(ApiServer.from_kubeconfig(path), now)


def test_a_canary_and_the_counters(server: Server, store: SqliteStore, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, server)
    probe = probing(store, path)
    ask(probe, path)
    (canary, headers), (metrics, others) = server.requests
    assert canary == "/api/v1/namespaces/default/configmaps/tocsin-canary"
    assert sent_at(canary_key(KEY), "prod", headers["Audit-ID"]) == NOW
    assert metrics == "/metrics"
    assert "Audit-ID" not in others
    assert list(probe.sent) == [NOW]


def test_without_a_canary(server: Server, store: SqliteStore, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, server)
    probe = probing(store, path, canary=False)
    ask(probe, path)
    assert [one for one, _ in server.requests] == ["/version", "/metrics"]
    assert not probe.sent


def test_losses_are_noticed_also_over_a_restart(
    server: Server, store: SqliteStore, tmp_path: Path
) -> None:
    path = kubeconfig(tmp_path, server)
    ask(probing(store, path), path)
    server.body = METRICS.format(webhook=7).encode()
    probe = probing(store, path)
    ask(probe, path, NOW + 60)
    assert probe.losses.lost == {"webhook": 7}
    assert probing(store, path).losses == probe.losses


def test_metrics_may_be_refused(
    server: Server, store: SqliteStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = kubeconfig(tmp_path, server)
    server.status = 403
    probe = probing(store, path)
    for _ in range(3):
        ask(probe, path)
    assert len(probe.sent) == 3, "a refused canary is recorded all the same"
    assert caplog.text.count("does not show its metrics to Tocsin (HTTP 403)") == 1


def test_a_credential_that_is_not_accepted(
    server: Server, store: SqliteStore, tmp_path: Path
) -> None:
    path = kubeconfig(tmp_path, server)
    server.status = 401
    probe = probing(store, path)
    with pytest.raises(TocsinError, match="does not accept the credential in"):
        ask(probe, path)
    assert not probe.sent


def test_it_fails_and_recovers(
    server: Server, store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    path = tmp_path / "config"
    probe = probing(store, path)
    stopping, changed = threading.Event(), threading.Event()
    original = probe._fail

    def fail(error: str) -> None:
        original(error)
        changed.set()

    monkeypatch.setattr(probe, "_fail", fail)
    thread = threading.Thread(target=probe.run, args=(stopping,))
    thread.start()
    try:
        assert changed.wait(5)
        assert probe.failing_since
        assert "there is no file" in probe.error
        text = kubeconfig(tmp_path, server).read_text()
        path.write_text(text)
        while probe.failing_since:
            assert not stopping.wait(0.01)
        assert probe.error == ""
        assert probe.sent
    finally:
        stopping.set()
        thread.join()


def test_counters_among_much_else() -> None:
    page = b"x_total 1\n" * 10_000 + METRICS.format(webhook=3).encode() + b"\xff 2\n"
    assert read_losses(page) == ("1700000000.0", {"webhook": 3, "buffered": 0})
    assert read_losses(b"") == ("", {})
