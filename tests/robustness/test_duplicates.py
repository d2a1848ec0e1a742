"""Bar R12: batches that come several times, in any order and over restarts, alert once."""

import random
from pathlib import Path

import pytest

from tests.robustness.harness import running
from tests.robustness.traffic import History, Oracle, Traffic, captured_bodies, check, event_list


@pytest.mark.robustness
@pytest.mark.timeout(120)
def test_r12_duplicates_alert_once(tmp_path: Path) -> None:
    chance, traffic = random.Random(12), Traffic("dup", 12)
    bodies = [*captured_bodies(), *(traffic.batch(100) for _ in range(20))]
    copies = [body for body in bodies for _ in range(chance.randint(1, 5))]
    chance.shuffle(copies)
    history = History()
    with running(tmp_path / "tocsin") as tocsin:
        for part in (copies[::2], copies[1::2]):
            sender = tocsin.sender()
            for body in part:
                history.answer(history.send(body), sender.post(body))
            sender.close()
            # Some are evaluated before the restart, some after it.
            assert tocsin.stop()[0] == 0
            tocsin.start()
        tocsin.drain()
        assert tocsin.stop()[0] == 0
        alerts = check(tocsin, history, Oracle(tocsin.rules))
    assert len(history.acked) == len(copies)
    assert len(alerts) > 60


@pytest.mark.robustness
@pytest.mark.timeout(120)
def test_r12_an_event_in_other_company_is_the_same_event(tmp_path: Path) -> None:
    traffic = Traffic("alone", 1)
    event, others = traffic.event(marked=True), [traffic.event() for _ in range(50)]
    log_line = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1",' + event[1:] + b"\n"
    bodies = (event_list([event]), event_list([*others, event]), log_line)
    with running(tmp_path / "tocsin") as tocsin:
        for body in bodies:
            assert tocsin.post(body) == 200
        tocsin.drain()
        marked = [alert for alert in tocsin.alerts() if alert.rule.title == "Marked by a test"]
    assert len(marked) == 1
    assert len(marked[0].evidence) == 1
