"""The running `tocsin serve`: whether its processes work, and whether it keeps up."""

import httpx2
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from tocsin.runtime.config import Config
from tocsin.runtime.doctor.finding import Finding, fault, ok, warning

CHECK = "processes"

_SECONDS = 4.0
_MUCH_LAG = 200
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound, replaced


class Process(msgspec.Struct, frozen=True):
    """What a process says of itself."""

    ready: bool
    reason: str = ""


class Ready(msgspec.Struct, frozen=True):
    """The page `/readyz`."""

    processes: dict[str, Process]


def examine(config: Config) -> list[Finding]:
    """Ask the running Tocsin for its state."""
    host = _ANY_ADDRESS.get(config.health.host, config.health.host)
    host = f"[{host}]" if ":" in host else host
    url = f"http://{host}:{config.health.port}"
    try:
        with httpx2.Client(base_url=url, trust_env=False, timeout=_SECONDS) as http:
            ready = msgspec.json.decode(http.get("/readyz").content, type=Ready)
            numbers = sums(http.get("/metrics").text)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return [_not_running(url, config, str(error))]
    except (msgspec.DecodeError, ValueError):
        return [_not_running(url, config, "what answers there is not Tocsin")]
    return [*judge_ready(ready), *judge_numbers(numbers)]


def sums(page: str) -> dict[str, float]:
    """Return the samples of a page of metrics, added up over their labels.

    Raises:
        ValueError: it is no such page.
    """
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def judge_ready(ready: Ready) -> list[Finding]:
    """Judge the processes by what they say of themselves."""
    idle = {name: process for name, process in ready.processes.items() if not process.ready}
    if not idle:
        return [ok(CHECK, f"{', '.join(ready.processes)} do their work")]
    return [
        fault(
            CHECK,
            f"the {name} does not do its work: {process.reason or 'it does not say why'}",
            _COST.get(name, "a part of Tocsin stands still"),
            "see the log of `tocsin serve`; it tries again by itself",
        )
        for name, process in idle.items()
    ]


def judge_numbers(numbers: dict[str, float]) -> list[Finding]:
    """Judge the metrics that are to be 0, or small."""
    found = []
    lag = numbers.get("tocsin_detect_lag_posts", 0)
    if lag > _MUCH_LAG:
        found.append(
            warning(
                CHECK,
                f"{lag:.0f} posts wait to be evaluated",
                "alerts come late by as long as it takes to evaluate them",
                "look again in a minute; if it grows, the machine is too slow: tocsin bench",
            )
        )
    for name, what in _TO_BE_ZERO.items():
        if numbers.get(name):
            text = f"{what}: {numbers[name]:.0f} since Tocsin was started ({name})"
            why = "something was lost or delayed; it may be over"
            found.append(warning(CHECK, text, why, "see the log of `tocsin serve`"))
    return found


_COST = {
    "receiver": "no event is taken; the API servers hold them for some minutes",
    "detector": "events are stored and not judged, so no alert is raised",
    "notifier": "alerts are stored and nobody is told",
}
_TO_BE_ZERO = {
    "tocsin_detect_lost_posts_total": "stored posts that were damaged or missing",
    "tocsin_detect_store_errors_total": "times that alerts could not be stored at once",
    "tocsin_detect_rule_faults": "events on which compiled rules failed",
    "tocsin_ingest_spool_failed_commits": "commits of the spool that failed",
    "tocsin_ingest_file_gaps_total": "times that a followed log was cut before it was read",
}


def _not_running(url: str, config: Config, problem: str) -> Finding:
    return fault(
        CHECK,
        f"no running Tocsin answers at {url} ({problem})",
        "no event is taken and no alert is raised",
        f"tocsin serve --data {config.folder}; or name its configuration with --config",
    )
