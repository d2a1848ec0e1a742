"""The way from the spool to the detector: what was acknowledged has to be evaluated."""

import time
from collections.abc import Callable

from tocsin.ingest.spool.layout import committed_path, read_number
from tocsin.runtime.config import Config
from tocsin.runtime.detector import READER
from tocsin.runtime.doctor.finding import Finding, fault, ok
from tocsin.store.sqlite import read_store

CHECK = "spool"

_SECONDS = 4.0
_POLL_SECONDS = 0.05


def examine(config: Config) -> list[Finding]:
    """See that all that is acknowledged by now is evaluated within seconds."""
    acknowledged = read_number(committed_path(config.spool_folder)) or 0
    with read_store(config.store_path) as store:
        evaluated = _reached(lambda: store.cursor(READER), acknowledged)
    return [judge(acknowledged, evaluated)]


def judge(acknowledged: int, evaluated: int) -> Finding:
    """Judge by the numbers of the newest post that was acknowledged, and evaluated."""
    if evaluated >= acknowledged:
        return ok(CHECK, "all that was acknowledged is evaluated")
    return fault(
        CHECK,
        f"posts {evaluated + 1} to {acknowledged} are stored and not evaluated after "
        f"{_SECONDS:g} s",
        "no alert is raised for what they hold; nothing is lost, as long as the disk lasts",
        "see that `tocsin serve` runs, and its log; with a high rate look again in a minute",
    )


def _reached(read: Callable[[], int], wanted: int) -> int:
    deadline = time.monotonic() + _SECONDS
    while (number := read()) < wanted and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return number
