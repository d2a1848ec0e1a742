"""The API server's own count of audit events that it could not deliver."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tocsin.runtime.apiserver import ApiServer, UnreachableError
from tocsin.runtime.doctor.finding import Finding, fault, ok, skipped, warning
from tocsin.runtime.doctor.processes import sums
from tocsin.runtime.probe import read_losses

CHECK = "counters"

_EVENTS = "apiserver_audit_event_total"
_SECONDS = 2.0
_OK, _REFUSED = 200, (401, 403)


class Counts(NamedTuple):
    """One reading; `started` tells an API server from others, and from its former life."""

    started: str
    events: float
    lost: Mapping[str, int]


def examine(kubeconfig: Path) -> list[Finding]:
    """Read the counters twice, some seconds apart."""
    server = ApiServer.from_kubeconfig(kubeconfig)
    try:
        first = server.get("/metrics")
        if first.status != _OK:
            mend = "allow its user to get the non-resource URL /metrics, or name another kubeconfig"
            why = f"{server.url}/metrics answers {first.status} to {kubeconfig}"
            return [skipped(CHECK, why, mend if first.status in _REFUSED else "")]
        time.sleep(_SECONDS)
        second = server.get("/metrics")
    except UnreachableError as error:
        return [skipped(CHECK, str(error))]
    return judge(read(first.body), read(second.body))


def read(page: bytes) -> Counts:
    """Return what a page of metrics says of audit events."""
    started, lost = read_losses(page)
    lines = [line for line in page.splitlines() if line.startswith(_EVENTS.encode())]
    events = sums(b"\n".join([*lines, b""]).decode(errors="replace"))
    return Counts(started, events.get(_EVENTS, 0), lost)


def judge(before: Counts, after: Counts) -> list[Finding]:
    """Judge two readings; of two API servers behind one address they tell no growth."""
    if not after.events:
        what = "the API server has recorded no audit event since it was started"
        why = "it has no audit policy, or one that leaves everything out; or no back end"
        return [fault(CHECK, what, why, "tocsin doctor --manifest FILE, on a control-plane node")]
    former = before.lost if before.started == after.started else after.lost
    return [
        _judge_lost(plugin, count, count - former.get(plugin, 0))
        for plugin, count in after.lost.items()
        if count
    ] or [ok(CHECK, f"of {after.events:.0f} audit events the API server lost none")]


def _judge_lost(plugin: str, count: int, growth: int) -> Finding:
    what = f"the API server gave up {count} audit events in its back end {plugin}"
    why = _REASONS.get(plugin, "it could not deliver them")
    if growth > 0:
        mend = "on its control-plane node: tocsin doctor"
        return fault(CHECK, f"{what}, {growth} of them just now", why, mend)
    mend = "if the node keeps an audit log: tocsin backfill FILE... brings them back"
    return warning(CHECK, f"{what} since it was started", why, mend)


_REASONS = {
    "webhook": "Tocsin was away for longer than the API server is patient",
    "buffered": "more events came than --audit-webhook-batch-throttle-qps lets out",
    "truncate": "they were larger than --audit-webhook-truncate-max-event-size allows",
}
