"""Test rules with data: run the `<rule>.test.yml` that stands beside a rule file.

    - name: a privileged pod
      events:
        - verb: create
          objectRef: {resource: pods, namespace: shop, name: web}
          requestObject: {spec: {containers: [{securityContext: {privileged: true}}]}}
      expect:
        alerts:
          - {severity: high, attack: [T1611], user: alice}
    - name: a recorded pod without privileges
      events:
        - {capture: seed-policy.jsonl.zst#0e7d1c2a-...}
      expect: none

Events may leave out what does not matter: the rest is filled in as an API server would.
`after: 30s` says how long after the event before one comes, `repeat: 5` that so many requests
like it come, each as long after the one before. A capture is looked for beside the test file,
then among the recordings that ship with Tocsin.
Expectations are about the rules of the file under test; those of other files play no part.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
import zstandard

from tocsin.dialects.loaded import Loaded
from tocsin.dialects.yaml import Document, read_documents
from tocsin.model.alert import Alert
from tocsin.model.errors import Fault, LoadError, Location, TocsinError
from tocsin.model.event import AuditEvent
from tocsin.model.times import parse_duration
from tocsin.normalize.decode import decode
from tocsin.rules.ir import Grade
from tocsin.runtime.pipeline import Pipeline
from tocsin.runtime.rules import TEST_SUFFIX, Sets, content_folder, load_rules, rule_files

# Of one event in a test.
MAX_REPEAT = 10_000

_CLUSTER = "test"
_START = datetime(2026, 11, 23, 10)  # noqa: DTZ001 - in UTC, as all times of events
_ONE_MILLISECOND = timedelta(milliseconds=1)
_CODES = {"create": 201}
_EVENT_KEYS = frozenset(info.encode_name for info in msgspec.structs.fields(AuditEvent))


class _Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One alert that must come; what is left out may be anything."""

    rule: str | None = None
    severity: str | None = None
    level: str | int | None = None
    user: str | None = None
    attack: tuple[str, ...] = ()
    fields: dict[str, object] = {}


class _Alerts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alerts: tuple[_Expected, ...]


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One test: events in the order of arrival, and the alerts that they must raise."""

    name: str
    events: Annotated[tuple[dict[str, object], ...], msgspec.Meta(min_length=1)]
    expect: _Alerts | Literal["none"]

    @property
    def expected(self) -> tuple[_Expected, ...]:
        """The alerts that must come."""
        return () if self.expect == "none" else self.expect.alerts


@dataclass(slots=True)
class TestReport:
    """What running tests yields.

    `faults` are what is wrong with the files themselves, so that their tests did not run;
    `untested` are rule files without a test file.
    """

    __test__ = False  # not a test case, whatever pytest thinks

    passed: int = 0
    failures: list[Fault] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    untested: list[Path] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many tests ran."""
        return self.passed + len(self.failures)


def run_tests(roots: Iterable[Path], sets: Sets | None = None) -> TestReport:
    """Run the tests of all rule files in the given files and folders.

    `sets` holds texts to add to the named sets that the rules refer to.
    """
    report = TestReport()
    for root in roots:
        if not root.exists():
            report.faults.append(Fault("no such rule file or folder", Location(str(root))))
        for rule_file in files_under_test(root):
            try:
                _run_file(rule_file, sets or {}, report)
            except LoadError as error:
                report.faults.extend(error.faults)
    return report


def sidecar(rule_file: Path) -> Path:
    """Return where the tests of a rule file stand."""
    return rule_file.with_name(rule_file.stem + TEST_SUFFIX)


def has_hit_and_miss(tests: Path) -> bool:
    """Return whether a test file has a case that must alert and one that must not.

    Raises:
        LoadError: the file cannot be read.
    """
    return {bool(case.expected) for _, case in read_cases(tests)} == {True, False}


def files_under_test(root: Path) -> Iterator[Path]:
    """Yield rule files; the path of a test file stands for its rule file."""
    if root.name.endswith(TEST_SUFFIX):
        yield root.with_name(root.name.removesuffix(TEST_SUFFIX) + ".yml")
    else:
        yield from rule_files(root)


def _run_file(rule_file: Path, sets: Sets, report: TestReport) -> None:
    tests = sidecar(rule_file)
    if not tests.exists():
        report.untested.append(rule_file)
        return
    loaded = load_rules([rule_file], sets, builtin=False, grades=get_args(Grade))
    if loaded.faults:
        raise LoadError(loaded.faults)
    pipelines = _pipelines(loaded)
    for at, case in read_cases(tests):
        problem = _problem(case, next(pipelines), tests.parent, at)
        if problem is None:
            report.passed += 1
        else:
            report.failures.append(Fault(f"{case.name}: {problem}", at))


def read_cases(tests: Path) -> list[tuple[Location, Case]]:
    """Return the tests of a test file, each with its place.

    Raises:
        LoadError: the file is no list of tests.
    """
    return [
        (document.at(index), _case(value, document.at(index)))
        for document in read_documents(tests.read_text(encoding="utf-8"), str(tests))
        for index, value in enumerate(_listed(document))
    ]


def _listed(document: Document) -> list[object]:
    if not isinstance(document.value, list):
        raise LoadError([Fault("a test file is a list of tests", document.at())])
    return document.value


def _case(value: object, at: Location) -> Case:
    try:
        return msgspec.convert(value, Case)
    except msgspec.ValidationError as error:
        raise LoadError([Fault(str(error), at)]) from error


def _pipelines(loaded: Loaded) -> Iterator[Pipeline]:
    """Yield a pipeline for each case: the same one, unless the rules remember events."""
    remember = loaded.correlations or any(rule.first_seen for rule in loaded.rules)
    one = Pipeline(loaded.rules, correlations=loaded.correlations)
    while True:
        yield one
        if remember:
            one = Pipeline(loaded.rules, correlations=loaded.correlations)


def _problem(case: Case, pipeline: Pipeline, folder: Path, at: Location) -> str | None:
    """Return what is wrong with the alerts that a case raises, None when all is well."""
    outcome = pipeline.process(b"\n".join(case_lines(case, folder, at)), _CLUSTER)
    if outcome.rejects:
        return f"the event cannot be read: {outcome.rejects[0].reason}"
    engine = pipeline.engine
    own = {rule.id for rule in engine.rules} | {one.id for one in engine.correlations}
    return _difference(case.expected, [one for one in outcome.alerts if one.rule.id in own])


def case_lines(case: Case, folder: Path, at: Location) -> Iterator[bytes]:
    """Yield the events of a case as JSON, each at its time.

    Raises:
        LoadError: an event says too little, or names a recorded one that is not there.
    """
    moment, numbers = _START, count(1)
    for event in case.events:
        after, times = _timing(event, at)
        said = {key: value for key, value in event.items() if key not in ("after", "repeat")}
        for _ in range(times):
            moment += after
            yield from event_lines(said, next(numbers), folder, at, moment)


def _timing(event: Mapping[str, object], at: Location) -> tuple[timedelta, int]:
    """Return how long after the one before an event comes, and how often."""
    after, times = event.get("after", "0"), event.get("repeat", 1)
    if not isinstance(times, int) or not 0 < times <= MAX_REPEAT:
        raise LoadError([Fault(f"repeat is a number from 1 to {MAX_REPEAT}", at)])
    try:
        return parse_duration(str(after), "after"), times
    except TocsinError as error:
        raise LoadError([Fault(str(error), at)]) from error


def _difference(expected: Iterable[_Expected], alerts: list[Alert]) -> str | None:
    left = list(alerts)
    for one in expected:
        found = next((alert for alert in left if not _mismatches(one, alert)), None)
        if found is None:
            return _missing(one, left)
        left.remove(found)
    if left:
        return f"unexpected alert: {_shown(left[0])}"
    return None


def _missing(expected: _Expected, left: list[Alert]) -> str:
    if not left:
        return "no alert where one was expected"
    return f"no alert as expected; {_shown(left[0])}: {'; '.join(_mismatches(expected, left[0]))}"


def _shown(alert: Alert) -> str:
    return f"{alert.rule.severity} {alert.rule.title!r} ({alert.description})"


def _mismatches(expected: _Expected, alert: Alert) -> list[str]:
    """Return in what an alert differs from what is expected."""
    techniques = {technique.technique for technique in alert.rule.attack}
    wanted: dict[str, tuple[object, object]] = {
        "rule": (expected.rule, alert.rule.id),
        "severity": (expected.severity, alert.rule.severity),
        "level": (_text(expected.level), alert.rule.level),
        "user": (expected.user, alert.actor.user),
    }
    pairs = {name: pair for name, pair in wanted.items() if pair[0] is not None}
    pairs |= {name: (value, alert.fields.get(name)) for name, value in expected.fields.items()}
    return [
        *(f"{name} is {got!r}, not {want!r}" for name, (want, got) in pairs.items() if want != got),
        *(f"ATT&CK {one} is missing" for one in expected.attack if one not in techniques),
    ]


def _text(value: str | int | None) -> str | None:
    return None if value is None else str(value)


def event_lines(
    event: dict[str, object],
    number: int,
    folder: Path,
    at: Location,
    moment: datetime = _START,
) -> list[bytes]:
    """Return the events that an entry of `events` stands for, as JSON.

    Raises:
        LoadError: the entry says too little, or names a recorded event that is not there.
    """
    reference = event.get("capture")
    if reference is None:
        return [msgspec.json.encode(_filled(event, number, moment, at))]
    if len(event) > 1:
        raise LoadError([Fault("a recorded event is taken as it is: capture stands alone", at)])
    name, _, audit_id = str(reference).partition("#")
    for place in (folder, content_folder() / "demo"):
        if (place / name).is_file():
            found = _recorded(place / name).get(audit_id)
            if found:
                return found
            raise LoadError([Fault(f"{name} has no event with auditID {audit_id!r}", at)])
    raise LoadError([Fault(f"no such recording: {name}", at)])


@lru_cache(maxsize=4)
def _recorded(path: Path) -> dict[str, list[bytes]]:
    """Return the events of a recording by auditID; a request may have several stages."""
    with path.open("rb") as file:
        if path.suffix == ".zst":
            body = zstandard.ZstdDecompressor().stream_reader(file).read()
        else:
            body = file.read()
    batch = decode(body)
    events: dict[str, list[bytes]] = {}
    for index, event in enumerate(batch.events):
        events.setdefault(event.audit_id, []).append(batch.raw(index))
    return events


def _filled(
    event: dict[str, object], number: int, moment: datetime, at: Location
) -> dict[str, object]:
    """Return a whole audit event: what a test left out is filled in as an API server would.

    Each event is a request of its own, told by its `number`, unless it brings an auditID.
    """
    verb = event.get("verb")
    if not isinstance(verb, str):
        raise LoadError([Fault("an event needs a verb", at)])
    unknown = event.keys() - _EVENT_KEYS
    if unknown:
        message = f"audit events have no key {', '.join(sorted(unknown))}"
        raise LoadError([Fault(message, at)])
    user = {"username": "alice", "groups": ["system:authenticated"], **_mapping(event, "user")}
    reference = {"apiVersion": "v1", **_mapping(event, "objectRef")}
    return {
        "level": _level(event),
        "auditID": f"00000000-0000-4000-8000-{number:012}",
        "stage": "ResponseComplete",
        "requestURI": _uri(reference),
        "sourceIPs": ["192.0.2.1"],
        "userAgent": "test",
        "responseStatus": {"code": _CODES.get(verb, 200)},
        "requestReceivedTimestamp": _stamp(moment),
        "stageTimestamp": _stamp(moment + _ONE_MILLISECOND),
        "annotations": {"authorization.k8s.io/decision": "allow"},
        **event,
        "user": user,
        **({"objectRef": reference} if "objectRef" in event else {}),
    }


def _stamp(moment: datetime) -> str:
    return f"{moment.isoformat(timespec='microseconds')}Z"


def _mapping(event: dict[str, object], key: str) -> dict[str, object]:
    value = event.get(key)
    return value if isinstance(value, dict) else {}


def _level(event: dict[str, object]) -> str:
    if "responseObject" in event:
        return "RequestResponse"
    return "Request" if "requestObject" in event else "Metadata"


def _uri(reference: dict[str, object]) -> str:
    """Return the path of an object: /apis/GROUP/VERSION/namespaces/NS/RESOURCE/NAME/SUB."""
    group = reference.get("apiGroup")
    root = ("apis", group) if group else ("api", None)
    namespace = reference.get("namespace")
    parts = (
        *root,
        reference["apiVersion"],
        "namespaces" if namespace else None,
        namespace,
        *(reference.get(key) for key in ("resource", "name", "subresource")),
    )
    return "/" + "/".join(str(part) for part in parts if part)
