"""Bar S9: whatever an event is padded with or however it is written, its alerts are the same."""

import copy
import json
import random
from pathlib import Path

import msgspec
import pytest

from tests.robustness.harness import running
from tests.robustness.traffic import captured_events, event_list
from tocsin.model.alert import Alert

KIB = 1024
Json = dict[str, "Json"]


def privileged_pod() -> Json:
    """Return the recorded creation of a privileged pod."""
    event: Json = next(
        copy.deepcopy(event)  # type: ignore[arg-type]
        for event in captured_events()
        if event["verb"] == "create" and b'"privileged":true' in msgspec.json.encode(event)
    )
    return event


def encoded(event: object) -> bytes:
    return msgspec.json.encode(event)


def with_annotations(event: Json, size: int) -> bytes:
    annotations = {f"pad/{number}": "x" * KIB for number in range(size // KIB)}
    event["requestObject"]["metadata"]["annotations"] = annotations  # type: ignore[assignment]
    event["responseObject"]["metadata"]["annotations"] = annotations  # type: ignore[assignment]
    return encoded(event)


def with_env(event: Json, size: int) -> bytes:
    for body in ("requestObject", "responseObject"):
        for container in event[body]["spec"]["containers"]:
            container["env"] = [{"name": f"E{n}", "value": "x" * KIB} for n in range(size // KIB)]  # type: ignore[index]
    return encoded(event)


def shuffled(value: object, chance: random.Random) -> object:
    """Return the same JSON with the members of every object in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(item, chance)) for key, item in value.items()]
        chance.shuffle(items)
        return dict(items)
    return [shuffled(item, chance) for item in value] if isinstance(value, list) else value


def escaped(value: object) -> str:
    """Return JSON with every character of every text as a Unicode escape."""
    match value:
        case dict():
            members = (f"{escaped(key)}:{escaped(item)}" for key, item in value.items())
            return "{" + ",".join(members) + "}"
        case list():
            return "[" + ",".join(map(escaped, value)) + "]"
        case str():
            return '"' + "".join(f"\\u{ord(char):04x}" for char in value) + '"'
        case _:
            return json.dumps(value)


def variants() -> dict[str, bytes]:
    """Return bodies with the same event, written or padded differently."""
    pad = b'{"pad":"%s"}' % (b"x" * 1536 * KIB)
    plain = encoded(privileged_pod())
    return {
        "plain": event_list([plain]),
        "256 KiB of annotations": event_list([with_annotations(privileged_pod(), 256 * KIB)]),
        "1 MiB of annotations": event_list([with_annotations(privileged_pod(), 1024 * KIB)]),
        "1 MiB of environment": event_list([with_env(privileged_pod(), 1024 * KIB)]),
        "1.5 MiB in front": event_list([b'{"pad":%s,' % pad + plain[1:]]),
        "1.5 MiB at the end": event_list([plain[:-1] + b',"pad":%s}' % pad]),
        "another order": event_list([encoded(shuffled(privileged_pod(), random.Random(9)))]),
        "escapes": event_list([escaped(privileged_pod()).encode()]),
        "nulls": event_list([plain[:-1] + b',"impersonatedUser":null,"annotations":null}']),
        "byte order mark": b"\xef\xbb\xbf" + event_list([plain]),
        "a log line": b'{"kind":"Event","apiVersion":"audit.k8s.io/v1",' + plain[1:] + b"\n",
        "blanks": json.dumps({"items": [privileged_pod()]}, indent=8).encode(),
    }


def essence(alert: Alert) -> tuple[object, ...]:
    """Return what an alert says, without what tells one request from another."""
    return alert.rule, alert.description, alert.actor, alert.target, alert.fields


@pytest.mark.robustness
@pytest.mark.timeout(90)
def test_s9_padding_changes_nothing(tmp_path: Path) -> None:
    audit_id = str(privileged_pod()["auditID"]).encode()
    escaped_id = "".join(f"\\u{byte:04x}" for byte in audit_id).encode()
    said: dict[str, set[str]] = {}
    with running(tmp_path / "tocsin", {"builtin_rules": True}) as tocsin:
        for number, (name, body) in enumerate(variants().items()):
            # Each is a request of its own, so that each must give alerts of its own.
            own = b"%08d" % number + audit_id[8:]
            changed = body.replace(audit_id, own).replace(escaped_id, own)
            assert own in changed
            assert tocsin.post(changed) == 200
            tocsin.drain()
            alerts = [a for a in tocsin.alerts() if a.event and a.event.audit_id == own.decode()]
            said[name] = {repr(essence(alert)) for alert in alerts}
        assert tocsin.quarantined() == []
    assert any("Privileged container" in text for text in said["plain"])
    for name, texts in said.items():
        assert texts == said["plain"], name
