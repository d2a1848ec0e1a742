"""Decide what can be looked at from here, look at all of it at once, and bring it into order."""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tocsin.connect.files import read_required
from tocsin.connect.manifest import ApiServerPod, read_manifest
from tocsin.model.errors import TocsinError
from tocsin.model.ports import StoreUnavailable
from tocsin.runtime.config import Config
from tocsin.runtime.doctor import (
    answer,
    certificates,
    clock,
    commands,
    counters,
    disk,
    files,
    kubeconfig,
    line,
    manifest,
    policy,
    processes,
    rules,
    sources,
    spool,
    standing,
    tls,
)
from tocsin.runtime.doctor.finding import Finding, fault, skipped
from tocsin.runtime.doctor.limits import gather
from tocsin.runtime.rules import load_rules, rules_in_force

# In the order of an event's way.
CHECKS = (
    manifest.CHECK,
    policy.CHECK,
    kubeconfig.CHECK,
    line.DNS,
    line.PORT,
    tls.CHECK,
    answer.CHECK,
    clock.CHECK,
    counters.CHECK,
    disk.CHECK,
    files.CHECK,
    processes.CHECK,
    spool.CHECK,
    rules.CHECK,
    sources.CHECK,
    standing.HEALTH,
    standing.CHANNELS,
    commands.CHECK,
    certificates.EXPIRY,
    certificates.SENDERS,
)
LIMIT_SECONDS = 15.0
_NO_STORE = "there is no store yet: `tocsin serve` has not run with this data folder"


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is to look at from here; None where it is not.

    Attributes:
        config: Tocsin's own configuration, on its machine.
        webhook: a webhook kubeconfig, on a control-plane node.
        policy: an audit policy.
        manifest: the manifest of the node's API server.
        access: a kubeconfig to ask an API server with, instead of those configured.
        only: checks to be made, all if it is empty.
    """

    config: Config | None = None
    webhook: Path | None = None
    policy: Path | None = None
    manifest: Path | None = None
    access: Path | None = None
    only: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Part:
    """Some checks that are made together, one after the other."""

    checks: Collection[str]
    look: Callable[[], list[Finding]]


def examine(plan: Plan, now: Callable[[], float] = time.time) -> list[Finding]:
    """Make all checks that the plan allows and return what they found, in the order of CHECKS.

    It takes at most 15 seconds: what has no result by then says so.
    """
    parts = [part for part in _parts(plan, now) if not plan.only or plan.only & set(part.checks)]
    outcomes = gather([part.look for part in parts], LIMIT_SECONDS)
    found: list[Finding] = []
    for part, outcome in zip(parts, outcomes, strict=True):
        if isinstance(outcome, Exception):
            wanted = [check for check in part.checks if not plan.only or check in plan.only]
            found.append(_failed(wanted[0], outcome))
        else:
            found += [one for one in outcome if not plan.only or one.check in plan.only]
    return sorted(found, key=lambda finding: CHECKS.index(finding.check))


def _parts(plan: Plan, now: Callable[[], float]) -> Iterator[_Part]:
    webhook, config = plan.webhook, plan.config
    if webhook is not None:
        yield _Part((kubeconfig.CHECK, *line.STEPS), lambda: _line(webhook, now))
    if plan.manifest is not None:
        yield _Part((manifest.CHECK, disk.CHECK), lambda: _manifest(plan))
    yield _Part((rules.CHECK, policy.CHECK), lambda: _rules(plan))
    if config is not None:
        yield from _own(config, now)
    for access in _accesses(plan):
        yield _Part((counters.CHECK,), partial(counters.examine, access))


def _accesses(plan: Plan) -> list[Path]:
    """Return the kubeconfigs to ask API servers with."""
    if plan.access is not None:
        return [plan.access]
    configured = plan.config.api_servers.values() if plan.config else ()
    return [access.kubeconfig_path for access in configured]


def _own(config: Config, now: Callable[[], float]) -> Iterator[_Part]:
    """Yield what can be looked at on Tocsin's machine."""
    yield _Part((disk.CHECK,), lambda: disk.examine_data(config))
    yield _Part((files.CHECK,), lambda: files.examine(config))
    yield _Part((processes.CHECK,), lambda: processes.examine(config))
    yield _Part((commands.CHECK,), lambda: commands.examine(config))
    yield _Part(
        (certificates.EXPIRY, certificates.SENDERS),
        lambda: certificates.examine(config, datetime.fromtimestamp(now(), UTC)),
    )
    if not config.store_path.exists():
        checks = (spool.CHECK, sources.CHECK, standing.HEALTH, standing.CHANNELS)
        yield _Part(checks, lambda: [skipped(check, _NO_STORE) for check in checks])
        return
    yield _Part((spool.CHECK,), lambda: spool.examine(config))
    yield _Part((sources.CHECK, clock.CHECK), lambda: sources.examine(config, now()))
    yield _Part((standing.HEALTH, standing.CHANNELS), lambda: standing.examine(config, now()))


def _line(path: Path, now: Callable[[], float]) -> list[Finding]:
    attempt = kubeconfig.open_webhook(path)
    found = list(attempt.findings)
    if attempt.opened is not None:
        found += kubeconfig.judge_webhook(attempt.opened, datetime.fromtimestamp(now(), UTC))
    if attempt.site is not None:
        found += line.walk(attempt.site, attempt.opened, now)
    return found


def _manifest(plan: Plan) -> list[Finding]:
    pod = _pod(plan)
    if pod is None:
        return []
    webhook = str(plan.webhook.resolve()) if plan.webhook else None
    found = manifest.judge(pod, webhook, lambda path: Path(path).exists())
    log = pod.on_node(pod.flags.get(manifest.LOG, "-"))
    if log is not None and Path(log).parent.is_dir():
        found += disk.examine_log(Path(log).parent, manifest.log_growth(pod))
    return found


def _rules(plan: Plan) -> list[Finding]:
    loaded = rules_in_force(plan.config) if plan.config else load_rules([])
    found = rules.judge(loaded) if plan.config else []
    path = _policy_file(plan)
    if path is not None:
        return [*found, *policy.examine_file(path, loaded.rules)]
    if plan.config is not None and plan.config.store_path.exists():
        return [*found, *policy.examine_events(plan.config, loaded.rules)]
    return [*found, skipped(policy.CHECK, "no policy is known", "--policy FILE or --manifest FILE")]


def _policy_file(plan: Plan) -> Path | None:
    """Return the policy that was named, or the one that the API server is started with.

    Without a manifest it is what `tocsin setup` puts beside the webhook kubeconfig.
    """
    if plan.policy is not None:
        return plan.policy
    pod = _pod(plan)
    if pod is not None:
        named = pod.on_node(pod.flags.get(manifest.POLICY, ""))
        return Path(named) if named else None
    beside = plan.webhook and plan.webhook.with_name("policy.yaml")
    return beside if beside and beside.exists() else None


def _pod(plan: Plan) -> ApiServerPod | None:
    if plan.manifest is None:
        return None
    text = read_required(plan.manifest).decode(errors="replace")
    return read_manifest(text, name=str(plan.manifest))


def _failed(check: str, error: Exception) -> Finding:
    """Return what to say of a check that did not come to an end."""
    cause = error.__cause__ if isinstance(error, TocsinError) else error
    if isinstance(cause, PermissionError):
        return skipped(check, f"{error}: it needs root, or the user of `tocsin serve`", "use sudo")
    if isinstance(error, TocsinError | StoreUnavailable | OSError):
        return fault(check, str(error), "what is behind it could not be looked at", "see above")
    what = f"the check itself failed: {type(error).__name__}: {error}"
    return fault(check, what, "this is a fault of Tocsin's", "please report it")
