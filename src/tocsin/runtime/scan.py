"""Hold the rules about pods, roles and the like against the objects that are already there."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice

import msgspec

from tocsin.inventory.asevent import SOURCE, UNKNOWN_USER, as_event, is_made_by_workload
from tocsin.inventory.fitting import judges_objects
from tocsin.model.alert import SEVERITIES, Alert
from tocsin.rules.ir import Rule
from tocsin.runtime.inventory import Inventory
from tocsin.runtime.pipeline import Pipeline

# Objects that are evaluated together.
_BATCH = 200


def scan(
    inventory: Inventory,
    rules: Sequence[Rule],
    shipped: Collection[str],
    cluster: str,
    now: datetime,
) -> list[Alert]:
    """Return what the rules find in the objects, the worst first.

    Args:
        inventory: the objects.
        rules: those that judge requests rather than objects are left out.
        shipped: names of the roles and bindings that Kubernetes ships.
        cluster: whose objects they are.
        now: when they were found.
    """
    pipeline = Pipeline([rule for rule in rules if judges_objects(rule)])
    events = _events(inventory, shipped)
    found: list[Alert] = []
    while batch := list(islice(events, _BATCH)):
        body = msgspec.json.encode({"kind": "EventList", "items": batch})
        found += pipeline.process(body, cluster).alerts
    moment = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    findings = [_as_finding(alert, moment) for alert in found]
    findings.sort(key=lambda one: (-SEVERITIES.index(one.rule.severity), one.rule.title))
    return findings


def _events(inventory: Inventory, shipped: Collection[str]) -> Iterator[dict[str, object]]:
    for kind, objects in inventory.objects.items():
        for manifest in objects:
            if not is_made_by_workload(manifest):
                yield as_event(kind, manifest, shipped)


def _as_finding(alert: Alert, moment: str) -> Alert:
    """Return the alert of an event that never was as what it is: an object found as it is."""
    known = alert.actor.user != UNKNOWN_USER
    return msgspec.structs.replace(
        alert,
        source=SOURCE,
        time=moment,
        last_seen=moment,
        actor=msgspec.structs.replace(alert.actor, user=alert.actor.user if known else None),
        event=None,
        evidence=[],
    )
