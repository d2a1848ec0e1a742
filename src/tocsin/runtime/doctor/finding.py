"""What a check found: what is so, why it matters, and the command that mends it."""

from typing import Literal

import msgspec

State = Literal["ok", "warning", "fault", "skipped"]


class Finding(msgspec.Struct, frozen=True):
    """One result. A fault means that events are lost or not judged; a warning, that they may be.

    `mend` is a command or a short instruction. Faults and warnings have it, and `why`.
    """

    check: str
    state: State
    what: str
    why: str = ""
    mend: str = ""


def ok(check: str, what: str) -> Finding:
    """Return that all is well."""
    return Finding(check, "ok", what)


def warning(check: str, what: str, why: str, mend: str) -> Finding:
    """Return what somebody should look at."""
    return Finding(check, "warning", what, why, mend)


def fault(check: str, what: str, why: str, mend: str) -> Finding:
    """Return what is broken."""
    return Finding(check, "fault", what, why, mend)


def skipped(check: str, why: str, mend: str = "") -> Finding:
    """Return that nothing could be said, and why."""
    return Finding(check, "skipped", f"not checked: {why}", "", mend)
