"""Bars S1, S2, S3, S4 and S9: a hostile body costs at most its own event, and hides nothing."""

import subprocess
import sys
import textwrap
import time

import msgspec
import pytest

from tests.security.poison import bad_items, bodies, corpus, values, variants, with_value
from tests.unit.audit import HERE, encoded, event_list, item, rule, text_is
from tocsin.normalize.batch import Reject
from tocsin.rules import ir
from tocsin.runtime.pipeline import Outcome, Pipeline

READS_BODY = rule(
    ir.Test("requestObject.spec.a", ir.Present(wanted=True), HERE),
    "reads-body",
    fields=("requestObject.spec.a", "requestObject.spec.a.b"),
)
PRIVILEGED = rule(text_is("podspec.containers.securityContext.privileged", "true"), "privileged")
ANY = rule(text_is("verb", "create"), "any")


def str_only(part: object) -> str:
    return part if isinstance(part, str) else ""


def process(body: bytes) -> Outcome:
    return Pipeline([READS_BODY, PRIVILEGED, ANY]).process(body, "prod")


def reasons(rejects: list[Reject]) -> str:
    return "; ".join(reject.reason for reject in rejects)


FINE = ""
# Of each value: why its event is set aside, and what a rule reads of it where it is judged.
GOLDEN_VALUES: dict[str, tuple[str, object]] = {
    "duplicate keys": (FINE, "last"),
    "NaN": ("invalid character", None),
    "-Infinity": ("invalid character", None),
    "1e999": (FINE, "1e999"),
    "lone surrogate": ("surrogate", "\ufffd"),
    "NUL escape": (FINE, "\x00"),
    "invalid UTF-8": ("not valid UTF-8", "\ufffd"),
    "overlong UTF-8": ("not valid UTF-8", "\ufffd\ufffd"),
    "2^53+1": (FINE, "9007199254740993"),
    "2^64": (FINE, "18446744073709551616"),
    "0.10": (FINE, "0.10"),
    "4301 digits": ("body cannot be read", None),
    "10^6 digits": ("body cannot be read", None),
    "depth 900": (FINE, None),
    "depth 5000": ("nested too deeply", None),
    "deep arrays": ("nested too deeply", None),
    "deep objects": ("nested too deeply", None),
    "key __class__": (FINE, None),
    "raw control byte": ("invalid", None),
    "bad escape": ("invalid escape", None),
    "trailing comma": ("trailing comma", None),
    "comment": ("malformed", None),
    "single quotes": ("invalid character", None),
}


@pytest.mark.parametrize(("name", "value"), list(values()), ids=str_only)
def test_s2_values(name: str, value: bytes) -> None:
    reason, read = GOLDEN_VALUES[name]
    outcome = process(event_list([with_value(value)]))
    assert len(outcome.rejects) == (1 if reason else 0)
    assert reason in reasons(outcome.rejects)
    found = [alert for alert in outcome.alerts if alert.rule.id == "reads-body"]
    if read is not None:
        (alert,) = found
        assert read in alert.fields.values()
    for alert in outcome.alerts:
        assert msgspec.json.decode(msgspec.json.encode(alert)) is not None


# Of each body: how many events are judged, and why something is set aside.
GOLDEN_BODIES: dict[str, tuple[int, str]] = {
    "empty": (0, "the body is empty"),
    "blank": (0, "the body is empty"),
    "byte order mark": (1, FINE),
    "only a byte order mark": (0, "the body is empty"),
    "trailing garbage": (1, "trailing characters"),
    "two documents": (2, "trailing characters"),
    "truncated in an event": (0, "ends in the middle of an event"),
    "truncated after an event": (0, "ends in the middle of an event"),
    "truncated after a comma": (1, "truncated"),
    "unclosed depth 10^6": (0, "ends in the middle of an event"),
    "unclosed objects": (0, "nested too deeply"),
    "closing brackets": (0, "malformed"),
    "an unclosed string": (0, "ends in the middle of an event"),
    "no JSON": (0, "malformed"),
    "zero bytes": (0, "malformed"),
    "UTF-16": (0, "not valid UTF-8"),
    "a number": (0, "Expected `object`"),
    "null": (0, "Expected `object`"),
    "a string": (0, "Expected `object`"),
    "no items": (0, "missing required field"),
    "items is no list": (0, "missing required field"),
    "empty list": (0, FINE),
    "another kind": (1, "are not those of an EventList"),
    "another group": (1, "are not those of an EventList"),
    "array with trash": (1, "trailing characters"),
    "array without comma": (0, "trailing characters"),
}


@pytest.mark.parametrize(("name", "body"), list(bodies()), ids=str_only)
def test_s2_bodies(name: str, body: bytes) -> None:
    count, reason = GOLDEN_BODIES[name]
    outcome = process(body)
    assert outcome.events == count
    assert reason in reasons(outcome.rejects)
    assert bool(outcome.rejects) is bool(reason)


GOOD = [encoded(item(auditID=f"good-{number}")) for number in range(399)]
# Of these nothing can be read; all others are judged by their other fields.
HOPELESS = {
    *("another kind", "a pod", "an empty object", "an object of other things", "null"),
    *("number", "list", "text", "NaN", "-Infinity"),
    *("raw control byte", "bad escape", "trailing comma"),
}


@pytest.mark.parametrize(("name", "bad"), list(bad_items()), ids=str_only)
def test_s1_one_bad_in_400(name: str, bad: bytes) -> None:
    outcome = process(event_list([*GOOD[:200], bad, *GOOD[200:]]))
    assert outcome.events == (399 if name in HOPELESS else 400)
    judged = {alert.event.audit_id for alert in outcome.alerts if alert.event}
    assert judged >= {f"good-{number}" for number in range(399)}
    (reject,) = outcome.rejects
    assert reject.raw == bad
    assert reject.reason
    assert len(reject.reason) < 300


@pytest.mark.parametrize(("name", "body"), list(corpus()), ids=str_only)
def test_s2_nothing_takes_long_or_escapes(name: str, body: bytes) -> None:
    pipeline = Pipeline([READS_BODY, PRIVILEGED, ANY])
    pipeline.process(event_list([encoded(item())]), "prod")
    started = time.process_time()
    pipeline.process(body, "prod")
    # 50 ms for what an attacker gets cheaply, more when coverage counts every line.
    limit = 0.05 + len(body) / 1_000_000
    assert time.process_time() - started < limit * (20 if sys.gettrace() else 1)


@pytest.mark.parametrize(("name", "body"), list(variants()), ids=str_only)
def test_s9_padding_hides_nothing(name: str, body: bytes) -> None:
    found = [alert for alert in process(body).alerts if alert.rule.id == "privileged"]
    (alert,) = found
    assert alert.actor.user == "alice"
    assert alert.target.resource == "pods"


@pytest.mark.parametrize("first", ["get", "create"])
def test_s3_last_of_duplicate_keys_wins(first: str) -> None:
    last = "create" if first == "get" else "get"
    one = encoded(item(verb=first))[:-1] + b',"verb":"%s"}' % last.encode()
    nested = one.replace(b'"username":"alice"', b'"username":"bob","username":"alice"')
    for body in (event_list([nested]), event_list([b"7", nested]), nested):
        found = process(body).alerts
        assert [alert.rule.id for alert in found] == (["any"] if last == "create" else [])
        assert all(alert.actor.user == "alice" for alert in found)


@pytest.mark.robustness
def test_s6_endless_list_is_read_within_bounds() -> None:
    program = textwrap.dedent(
        """
        import resource
        from tocsin.runtime.pipeline import Pipeline
        pipeline = Pipeline([])
        body = b"[" + b"{}," * 800_000 + b"{}]"
        pipeline.process(b"[{},{}]", "prod")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcome = pipeline.process(body, "prod")
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(grown // 1024, sum(reject.count for reject in outcome.rejects), len(outcome.rejects))
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    grown, counted, kept = map(int, done.stdout.split())
    assert grown < 64
    assert counted == 800_001
    assert kept <= 1001
