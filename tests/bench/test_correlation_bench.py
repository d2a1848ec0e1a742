"""A million keys: memory is bounded, evictions are counted, and it gets no slower."""

import time

import psutil
import pytest

from tests.unit.detect.correlate.test_window import correlation
from tocsin.detect.correlate.measure import Hit
from tocsin.detect.correlate.windows import MAX_KEYS, Windows, version

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

KEYS = 1_000_000
MOST_BYTES = 300_000_000


def fill(windows: Windows, begin: int, end: int) -> float:
    """Add a hit for each of some keys; return how many a second."""
    one = correlation()
    name = version(one)
    start = time.perf_counter()
    for number in range(begin, end):
        hit = Hit(number / 1000, f"request {number}", "a", (), f"digest {number}")
        windows.add(one, (name, "prod", f"key {number}"), hit)
    return (end - begin) / (time.perf_counter() - start)


def test_a_million_keys() -> None:
    windows = Windows()
    before = psutil.Process().memory_info().rss
    first = fill(windows, 0, MAX_KEYS)
    for begin in range(MAX_KEYS, KEYS - MAX_KEYS, MAX_KEYS):
        fill(windows, begin, begin + MAX_KEYS)
    last = fill(windows, KEYS - MAX_KEYS, KEYS)
    grown = psutil.Process().memory_info().rss - before
    saving = time.perf_counter()
    size = len(windows.save())
    saving = time.perf_counter() - saving
    print(f"\n{first:,.0f}/s at first, {last:,.0f}/s at last, {grown / 1e6:,.0f} MB")
    print(f"{size / 1e6:.1f} MB saved in {saving:.2f} s")
    assert len(windows) == MAX_KEYS
    assert windows.evictions == KEYS - MAX_KEYS
    assert grown < MOST_BYTES
    assert last > 0.8 * first
