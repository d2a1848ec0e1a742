"""Run what may hang, and go on without it."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
_Outcome = tuple[int, T | Exception]


def gather(calls: Sequence[Callable[[], T]], seconds: float) -> list[T | Exception]:
    """Make all calls at once and return what came of each, in their order.

    What an exception ended is that exception, what did not end in time a TimeoutError. Its
    thread is left behind: nothing can interrupt a name server that does not answer.
    """
    arrived: queue.SimpleQueue[tuple[int, T | Exception]] = queue.SimpleQueue()
    for number, call in enumerate(calls):
        threading.Thread(target=_run, args=(number, call, arrived), daemon=True).start()
    outcomes: list[T | Exception] = [TimeoutError(f"no result within {seconds:g} s")] * len(calls)
    deadline = time.monotonic() + seconds
    for _ in calls:
        try:
            number, outcome = arrived.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        outcomes[number] = outcome
    return outcomes


def call_within(seconds: float, call: Callable[[], T]) -> T:
    """Return what the call returns, or raise what it raises; TimeoutError if it takes longer."""
    [outcome] = gather([call], seconds)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _run(
    number: int, call: Callable[[], T], arrived: "queue.SimpleQueue[tuple[int, T | Exception]]"
) -> None:
    try:
        outcome: T | Exception = call()
    except Exception as error:  # noqa: BLE001 - it is handed to the caller
        outcome = error
    arrived.put((number, outcome))
