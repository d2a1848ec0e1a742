"""Measure the hot path: decode, match, detect, beside `orjson.loads` of the same events.

CPU time of one thread, the contenders in turn within one run, the best of several rounds:
on a shared machine only the ratios mean something. Garbage collection is set
as it is in production (`pipeline.settle`).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import orjson

from tocsin.model.alert import to_json_line
from tocsin.normalize.decode import decode
from tocsin.rules.ir import Rule
from tocsin.runtime.pipeline import Pipeline, new_engine, settle
from tocsin.runtime.recording import NAMES, bodies, events
from tocsin.runtime.wazuh import Wazuh

NO_WAZUH: Mapping[str, Wazuh] = {}


@dataclass(frozen=True, slots=True)
class Stage:
    """One measured stage; `ratio` is its speed over that of `orjson.loads`."""

    name: str
    microseconds: float
    events_per_second: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Measured:
    """The result of one run, with what it was measured on."""

    events: int
    bytes_per_event: int
    rules: int
    alerts: int
    rules_per_event: float
    cold_milliseconds: float
    stages: tuple[Stage, ...]


class Bench:
    """The recordings, and the rules to measure with; those of Wazuh are measured by themselves."""

    def __init__(self, rules: Sequence[Rule], wazuh: Mapping[str, Wazuh] = NO_WAZUH) -> None:
        self._bodies = [body for name in NAMES for body in bodies(name)]
        self._items = [event for body in self._bodies for event in events(body)]
        self._rules = rules
        self._pipeline = Pipeline(rules)
        self._wazuh = {name: Pipeline([], [one]) for name, one in wazuh.items()}

    def run(self, rounds: int, progress: Callable[[], None]) -> Measured:
        """Measure all stages; `progress` is called after each round."""
        cold = self._cold_build()
        alerts = self._detect(self._pipeline)
        contenders: dict[str, Callable[[], object]] = {
            "orjson.loads": self._yardstick,
            "decode": self._decode,
            "decode + match": self._match,
            "detect": partial(self._detect, self._pipeline),
            **{name: partial(self._detect, one) for name, one in self._wazuh.items()},
        }
        settle()
        best = dict.fromkeys(contenders, float("inf"))
        for _ in range(rounds):
            for name, run in contenders.items():
                start = time.process_time()
                run()
                best[name] = min(best[name], time.process_time() - start)
            progress()
        return self._measured(best, alerts, cold)

    def _cold_build(self) -> float:
        """Return the milliseconds that compiling for all kinds of request takes."""
        engine = new_engine(self._rules)
        start = time.process_time()
        for body in self._bodies:
            engine.match(decode(body).events)
        return (time.process_time() - start) * 1000

    def _yardstick(self) -> None:
        for item in self._items:
            orjson.loads(item)

    def _decode(self) -> None:
        for body in self._bodies:
            decode(body)

    def _match(self) -> None:
        match = self._pipeline.engine.match
        for body in self._bodies:
            match(decode(body).events)

    def _detect(self, pipeline: Pipeline) -> int:
        alerts = 0
        for body in self._bodies:
            for alert in pipeline.process(body, "bench").alerts:
                to_json_line(alert)
                alerts += 1
        return alerts

    def _measured(self, best: dict[str, float], alerts: int, cold: float) -> Measured:
        events = len(self._items)
        yardstick = best["orjson.loads"]
        return Measured(
            events=events,
            bytes_per_event=sum(map(len, self._items)) // events,
            rules=len(self._rules),
            alerts=alerts,
            rules_per_event=self._rules_per_event(),
            cold_milliseconds=cold,
            stages=tuple(
                Stage(name, seconds / events * 1e6, events / seconds, yardstick / seconds)
                for name, seconds in best.items()
            ),
        )

    def _rules_per_event(self) -> float:
        """Return how many rules an event meets after dispatch, on average."""
        total = 0
        for body in self._bodies:
            for event in decode(body).events:
                total += self._pipeline.engine.candidates(event)
        return total / len(self._items)
