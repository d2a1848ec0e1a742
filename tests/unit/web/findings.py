"""What the pages about alerts and rules are shown with: rules in force, events, their alerts."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.unit.audit import encoded, event_list, item
from tests.unit.runtime.spooled import spool
from tests.unit.web.sites import make_site
from tocsin.model.alert import Alert
from tocsin.normalize.decode import decode
from tocsin.runtime.pipeline import new_engine
from tocsin.runtime.rules import InForce, load_rules
from tocsin.runtime.workbench import make_workbench
from tocsin.store import SqliteStore
from tocsin.web.site import Site

CLUSTER = "prod"
RULES = """\
title: Secret read
id: 00000000-0000-4000-8000-000000000001
description: Somebody read a Secret.
references: ["https://example.org/secrets", "javascript:alert(1)"]
falsepositives: [A backup]
tags: [attack.credential-access, attack.t1552.007]
logsource: {product: kubernetes, service: audit}
detection:
  selection: {verb: get, objectRef.resource: secrets}
  known: {user.username: backup}
  condition: selection and not known
level: high
fields: [objectRef.name]
---
title: Pod created
id: 00000000-0000-4000-8000-000000000002
tags: [attack.execution, attack.t1610]
logsource: {product: kubernetes, service: audit}
detection:
  selection: {verb: create, objectRef.resource: pods}
  condition: selection
level: low
"""


def rule_file(folder: Path) -> Path:
    """Return the file of the rules, made if it is not there."""
    path = folder / "rules.yml"
    path.write_text(RULES)
    return path


def in_force(folder: Path) -> InForce:
    """Return the rules of the file, as if it were the only one."""
    loaded = load_rules([rule_file(folder)], builtin=False)
    assert not loaded.faults
    return InForce(loaded.rules)


def ago(seconds: float) -> str:
    """Return a time as API servers write it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def secret_read(number: int = 1, **changes: object) -> dict[str, object]:
    """Return the event of a Secret that somebody read, a request of its own per number."""
    base: dict[str, object] = {
        "auditID": f"9a1b6b4e-0000-4000-8000-{number:012}",
        "verb": "get",
        "objectRef": {"resource": "secrets", "namespace": "shop", "name": "db", "apiVersion": "v1"},
        "requestURI": "/api/v1/namespaces/shop/secrets/db",
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": ago(60 + number),
        "stageTimestamp": ago(60 + number),
    }
    return item(**(base | changes))


def found(folder: Path, events: Sequence[dict[str, object]]) -> list[Alert]:
    """Return the alerts of the rules on some events."""
    batch = decode(event_list(map(encoded, events)))
    assert not batch.rejects
    return new_engine(in_force(folder).rules).evaluate(batch.events, batch.raw, CLUSTER)


def seed(store: SqliteStore, folder: Path, *events: dict[str, object]) -> list[Alert]:
    """Store the alerts of events that an API server sent and that are retained."""
    alerts = found(folder, events)
    store.record(alerts, {}, time.time())
    spool(folder / "spool", event_list(map(encoded, events)), cluster=CLUSTER, start=time.time())
    return alerts


def site_with_rules(store: SqliteStore, folder: Path, **changes: Any) -> Site:
    """Return a site with the rules in force."""
    loaded = in_force(folder)
    bench = make_workbench(lambda: loaded, store.sources, {})
    return make_site(store, folder, rules=lambda: loaded.rules, workbench=bench, **changes)
