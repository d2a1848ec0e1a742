"""What became of a response whose end is not known: after a crash, or without an answer.

Pure: it is told what the cluster and the audit log show. Nothing is ever run again that might
be done twice; where that cannot be excluded, a person decides.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from tocsin.model.response import SUCCESS

MAX_ATTEMPTS = 3
# An API server gives a request up after a minute; its audit event follows within seconds.
SETTLE_SECONDS = 90.0
# What a program did cannot be read back from one object.
NOT_REPEATABLE: Collection[str] = frozenset({"command"})

_REFUSED = range(400, 500)

Finding = Literal["done", "failed", "again", "wait", "person"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of an attempt.

    Attributes:
        action: the name of its action.
        attempts: how many there were.
        confirmed: whether the cluster shows it done; None if it cannot be asked.
        there: whether the object with its uid is there; None if it cannot be asked.
        answers: the answers to its calls, as far as the audit log has them.
        calls: how many calls there were to be.
        waited: for how many seconds it has been unknown.
    """

    action: str
    attempts: int
    confirmed: bool | None
    there: bool | None
    answers: Sequence[int | None]
    calls: int
    waited: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from what is known, with the sentence for the journal."""

    finding: Finding
    text: str


def judge(seen: Seen) -> Verdict:
    """Return what became of an attempt, and what is to be done about it."""
    good = sum(code in SUCCESS for code in seen.answers if code is not None)
    if seen.confirmed:
        return Verdict("done", "the cluster shows that it was done")
    if seen.calls and good >= seen.calls:
        return Verdict("done", "the audit log shows that all of it was done")
    if seen.action in NOT_REPEATABLE:
        return Verdict("person", "it is not known what the command did: look at its object")
    if good:
        return Verdict("person", f"the audit log shows {good} of {seen.calls} changes")
    return _not_done(seen)


def _not_done(seen: Seen) -> Verdict:
    """Judge an attempt of which nothing shows that any of it was done."""
    if _all_refused(seen):
        return Verdict("failed", "the API server refused it, as the audit log shows")
    if seen.confirmed is None or seen.there is None:
        return _wait(seen, "the cluster cannot be asked")
    if not seen.there:
        return Verdict("failed", "the object is gone, and nothing was changed any more")
    if seen.attempts >= MAX_ATTEMPTS:
        return Verdict("person", f"it was tried {seen.attempts} times, and is not done")
    # The same uid is there: whatever is still on its way finds it, or what comes after it does.
    return Verdict("again", "it is not done, and its object is still there: it is tried again")


def _all_refused(seen: Seen) -> bool:
    codes = [code for code in seen.answers if code is not None]
    return bool(codes) and len(codes) >= seen.calls and all(code in _REFUSED for code in codes)


def _wait(seen: Seen, why: str) -> Verdict:
    if seen.waited < SETTLE_SECONDS:
        return Verdict("wait", f"{why}: what became of it is not known yet")
    return Verdict("person", f"{why}: it is not known whether it was done")
