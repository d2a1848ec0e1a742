"""How long there is room, and what is said when there is not."""

import pytest

from tocsin.model.ports import Retention
from tocsin.model.queries import Usage
from tocsin.runtime.capacity import complaint, forecast

DAY = 86400.0
NOW = 100 * DAY
KEEP = Retention(keep_days=90, max_alerts=1_000_000, max_bytes=4_000_000_000)
MUCH = 10**12


def usage(per_day: int, *, days: float = 10, size: int = 2000, free: int = 0) -> Usage:
    alerts = int(per_day * days)
    return Usage(
        used_bytes=alerts * size,
        free_bytes=free,
        alerts=alerts,
        oldest=NOW - days * DAY,
        recent=int(per_day * min(days, 1)),
        unindexed=0,
    )


@pytest.mark.parametrize(
    ("per_day", "size", "limit", "days"),
    [
        (1_000, 2000, "keep_days", 90),
        (50_000, 1000, "max_alerts", 20),
        (50_000, 8000, "max_bytes", 10),
    ],
)
def test_the_limit_that_comes_first(per_day: int, size: int, limit: str, days: float) -> None:
    found = forecast(usage(per_day, size=size), KEEP, MUCH, NOW)
    assert found
    assert (found.limit, found.kept_days) == (limit, days)
    said = complaint(found, KEEP)
    assert (said is None) == (limit == "keep_days")
    if said:
        assert f"for {days:.0f} days and not for 90 days" in said or f"{days:.1f} days" in said
        assert f"raise alerts.{limit}" in said


def test_a_disk_that_fills_first() -> None:
    size = 2000
    found = forecast(usage(10_000, size=size), KEEP, 5 * 10_000 * size, NOW)
    assert found
    assert found.disk_days == 5
    said = complaint(found, KEEP)
    assert said
    assert "full in 5.0 days" in said
    assert "10,000 alerts (19.1 MiB) a day" in said


def test_a_young_store_is_not_judged_by_a_burst() -> None:
    burst = usage(24_000, days=1 / 240)
    found = forecast(burst, KEEP, MUCH, NOW)
    assert found
    assert found.per_day == pytest.approx(2400)


def test_without_alerts_nothing_is_said() -> None:
    assert forecast(usage(0), KEEP, 0, NOW) is None
    assert complaint(None, KEEP) is None
