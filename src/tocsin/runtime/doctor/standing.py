"""What Tocsin already knows is wrong: its health findings, and what it could not tell people."""

from collections.abc import Mapping, Sequence

from tocsin.model.ports import Backlog, HealthFinding
from tocsin.notify.timing import longest_wait
from tocsin.runtime.config import Config
from tocsin.runtime.doctor.finding import Finding, ok, warning
from tocsin.store.sqlite import read_store

HEALTH, CHANNELS = "health", "notifications"

_MENDS = {
    "quarantine": "tocsin quarantine list",
    "notify": "tocsin notify test",
}
_LATE_SECONDS = 300.0


def examine(config: Config, now: float) -> list[Finding]:
    """Read what the store keeps."""
    with read_store(config.store_path) as store:
        findings, backlog = store.health.findings(), store.outbox.backlog()
    return [*judge_health(findings), *judge_channels(_waits(config), backlog, now)]


def judge_health(findings: Sequence[HealthFinding]) -> list[Finding]:
    """Return the health findings that stand."""
    return [
        warning(
            HEALTH,
            f"{found.kind} {found.key}: {found.message}",
            f"Tocsin found this itself, {found.count} times",
            _MENDS.get(found.kind, "see the log of `tocsin serve`"),
        )
        for found in findings
    ] or [ok(HEALTH, "Tocsin has found nothing wrong with itself")]


def _waits(config: Config) -> dict[str, float]:
    return {name: longest_wait(settings) for name, settings in config.notify.items()}


def judge_channels(
    channels: Mapping[str, float], backlog: Mapping[str, Backlog], now: float
) -> list[Finding]:
    """Judge whether people are told about alerts.

    Args:
        channels: how many seconds each may wait by its own settings.
        backlog: what they have not been told.
        now: in seconds since the epoch.
    """
    if not channels:
        return [
            warning(
                CHANNELS,
                "nobody is told about alerts: no channel is configured",
                "an alert that nobody sees helps nobody",
                "name a channel under `notify` in the configuration, then: tocsin notify test",
            )
        ]
    late = [
        warning(
            CHANNELS,
            f"{name}: {state.pending} notifications wait since {now - state.oldest:.0f} s, "
            f"the last error: {state.error or 'none'}",
            "people are told late, or not at all",
            f"tocsin notify test {name}",
        )
        for name, state in backlog.items()
        if state.oldest is not None and now - state.oldest > _LATE_SECONDS + channels.get(name, 0.0)
    ]
    return late or [ok(CHANNELS, f"people are told through {', '.join(sorted(channels))}")]
