"""How long there is room for alerts at the rate they come in: for the limits and for the disk."""

from dataclasses import dataclass

from tocsin.model.ports import Retention
from tocsin.model.queries import Usage
from tocsin.runtime.doctor.disk import in_units

_DAY_SECONDS = 86400
# With less to go by, a burst would look like the usual rate.
_LEAST_DAYS = 1 / 24


@dataclass(frozen=True, slots=True)
class Forecast:
    """What becomes of the store if alerts go on coming as in the last day.

    Attributes:
        per_day: alerts a day.
        bytes_per_day: bytes a day.
        kept_days: how many days alerts are kept.
        limit: the setting that bounds it: `keep_days`, `max_alerts` or `max_bytes`.
        disk_days: days until the disk is full; None if the limits come first.
    """

    per_day: float
    bytes_per_day: float
    kept_days: float
    limit: str
    disk_days: float | None


def forecast(usage: Usage, keep: Retention, free_bytes: int, now: float) -> Forecast | None:
    """Return the forecast; None while there is nothing to go by.

    `free_bytes` is what the disk of the store still takes.
    """
    if not usage.recent or usage.oldest is None:
        return None
    per_day = usage.recent / min(1.0, max((now - usage.oldest) / _DAY_SECONDS, _LEAST_DAYS))
    bytes_per_day = per_day * usage.used_bytes / max(usage.alerts, usage.recent)
    bounds = {
        "keep_days": keep.keep_days,
        "max_alerts": keep.max_alerts / per_day,
        "max_bytes": keep.max_bytes / bytes_per_day,
    }
    limit = min(bounds, key=bounds.__getitem__)
    growth = bounds[limit] * bytes_per_day - usage.used_bytes - usage.free_bytes
    disk_days = free_bytes / bytes_per_day if growth > free_bytes else None
    return Forecast(per_day, bytes_per_day, bounds[limit], limit, disk_days)


def complaint(found: Forecast | None, keep: Retention) -> str | None:
    """Return what is wrong with a forecast in words for the operator, or None."""
    if found is None:
        return None
    rate = f"{found.per_day:,.0f} alerts ({in_units(found.bytes_per_day)}) a day"
    if found.disk_days is not None:
        return (
            f"the disk of the store is full in {_days(found.disk_days)} at the present rate of "
            f"{rate}: make room, lower alerts.max_bytes, or tune the noisiest rules"
        )
    if found.limit != "keep_days":
        return (
            f"alerts are kept for {_days(found.kept_days)} and not for {_days(keep.keep_days)} "
            f"at the present rate of {rate}: raise alerts.{found.limit}, or tune the noisiest "
            "rules"
        )
    return None


def _days(number: float) -> str:
    return f"{number:.1f} days" if number < 10 else f"{number:.0f} days"  # noqa: PLR2004 - digits
