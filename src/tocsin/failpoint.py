"""Named places where a test makes this process die or fail, to prove what survives.

`TOCSIN_FAILPOINT=spool.after_commit:kill` kills the process (SIGKILL) when it gets there;
`:raise` fails as a broken disk would; a third field, as in `:kill:3`, waits for that visit.
Without the variable a failpoint does nothing.
"""

import errno
import os
import signal

VARIABLE = "TOCSIN_FAILPOINT"

_registered: dict[str, "Failpoint"] = {}


class FailpointError(OSError):
    """What a failpoint raises: an I/O error, so that it takes the path of a real one."""


class Failpoint:
    """One place in the code; create it at import, so that `names()` lists it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._visits = 0
        _registered[name] = self

    def __call__(self) -> None:
        """Do what the environment asks for at this place, usually nothing."""
        wanted = os.environ.get(VARIABLE)
        if wanted:
            self._act(*wanted.split(":"))

    def _act(self, name: str, action: str, visit: str = "1") -> None:
        if name != self.name:
            return
        self._visits += 1
        if self._visits != int(visit):
            return
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise FailpointError(errno.EIO, f"failpoint {name}")


def names() -> list[str]:
    """Return the failpoints of every module imported so far, sorted."""
    return sorted(_registered)
