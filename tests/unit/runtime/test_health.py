import asyncio
import re
import time
from collections import Counter
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

import tocsin
from tocsin.ingest.metrics import IngestMetrics
from tocsin.ingest.server import listen
from tocsin.runtime.health import MAX_FINDINGS, _application, serve_health
from tocsin.runtime.metrics import DetectMetrics, exposition
from tocsin.runtime.process import STALE_SECONDS, Child
from tocsin.runtime.report import Report


class Process:
    """A process that is not asked for more than whether it lives."""

    def __init__(self, *, alive: bool) -> None:
        self._alive = alive

    def is_alive(self) -> bool:
        return self._alive


def child(name: str, report: Report, *, alive: bool = True, heard: float | None = None) -> Child:
    process: Any = Process(alive=alive)
    now = time.monotonic()
    return Child(
        name, print, (), process=process, report=report, heard=now if heard is None else heard
    )


def ask(path: str, *children: Child, method: str = "GET") -> httpx2.Response:
    async def run() -> httpx2.Response:
        transport = httpx2.ASGITransport(_application(children))
        async with httpx2.AsyncClient(transport=transport, base_url="http://x") as http:
            return await http.request(method, path)

    return asyncio.run(run())


READY = Report(ready=True)


def test_it_is_served_on_a_port_of_its_own() -> None:
    async def run() -> int:
        sock = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/readyz"
        async with serve_health(sock, [child("detector", READY)]), httpx2.AsyncClient() as http:
            return (await http.get(url)).status_code

    assert asyncio.run(run()) == 200


def test_livez_answers_while_the_supervisor_lives() -> None:
    answer = ask("/livez", child("detector", READY, alive=False))
    assert (answer.status_code, answer.text) == (200, "ok\n")


def test_ready_when_every_process_is() -> None:
    answer = ask("/readyz", child("receiver", READY), child("detector", READY))
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "processes": {
            "receiver": {"ready": True, "reason": "", "findings": []},
            "detector": {"ready": True, "reason": "", "findings": []},
        },
    }


@pytest.mark.parametrize(
    "unready",
    [
        child("detector", Report(ready=False, reason="the disk is full")),
        child("detector", Report(ready=True, reason="the disk is full"), alive=False),
    ],
)
def test_not_ready_when_one_process_is_not(unready: Child) -> None:
    answer = ask("/readyz", child("receiver", READY), unready)
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "processes": {
            "receiver": {"ready": True, "reason": "", "findings": []},
            "detector": {"ready": False, "reason": "the disk is full", "findings": []},
        },
    }


def test_a_process_that_is_silent_for_long_is_not_ready() -> None:
    silent = child("detector", READY, heard=time.monotonic() - STALE_SECONDS - 1)
    assert ask("/readyz", silent).status_code == 503


def test_a_process_that_was_never_started_is_not_ready() -> None:
    answer = ask("/readyz", Child("detector", print, ()))
    assert answer.status_code == 503
    assert answer.json()["processes"]["detector"]["reason"] == "starting"


def test_findings_are_shown_up_to_a_limit_and_do_not_unready() -> None:
    findings = tuple(f"{number}.yml:1: no rule" for number in range(100))
    answer = ask("/readyz", child("detector", Report(ready=True, findings=findings)))
    assert answer.status_code == 200
    assert answer.json()["processes"]["detector"]["findings"] == list(findings[:MAX_FINDINGS])


def families(text: str) -> list[Metric]:
    return list(text_string_to_metric_families(text))


def full_page() -> tuple[httpx2.Response, list[Metric]]:
    detect, ingest = CollectorRegistry(), CollectorRegistry()
    DetectMetrics(detect).alerts.labels("high").inc()
    IngestMetrics(ingest)
    children = (
        child("receiver", Report(ready=True, metrics=exposition(ingest))),
        child("detector", Report(ready=True, metrics=exposition(detect))),
        child("notifier", Report(ready=False)),
    )
    children[1].restarts = 3
    answer = ask("/metrics", *children)
    return answer, families(answer.text)


def test_metrics_are_one_valid_page() -> None:
    answer, found = full_page()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    names = Counter(family.name for family in found)
    assert {"tocsin_up", "tocsin_restarts", "tocsin_build", "tocsin_detect_alerts"} <= set(names)
    assert set(names.values()) == {1}
    assert all(re.fullmatch(r"tocsin_[a-z_]+", name) for name in names)
    assert all(family.documentation for family in found)
    assert (
        Counter(re.findall(r"^# TYPE (\S+)", answer.text, re.MULTILINE)).most_common(1)[0][1] == 1
    )


def test_metrics_of_the_processes_themselves() -> None:
    _, found = full_page()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in found
        for sample in family.samples
    }
    assert samples["tocsin_up", "receiver"] == 1
    assert samples["tocsin_up", "notifier"] == 0
    assert samples["tocsin_restarts_total", "detector"] == 3
    assert samples["tocsin_build", tocsin.__version__] == 1
    assert samples["tocsin_detect_alerts_total", "high"] == 1


def test_nothing_else_is_served() -> None:
    assert ask("/").status_code == 404
    assert ask("/readyz", method="POST").status_code == 405
