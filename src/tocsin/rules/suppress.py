"""Suppression as rules and the configuration write it."""

import msgspec

from tocsin.model.errors import TocsinError
from tocsin.model.times import parse_duration
from tocsin.rules.ir import Suppress

MAX_AFTER = 1000


class WrittenSuppress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of alerts that are alike, some pass and the rest are hidden.

    Attributes:
        by: paths of the event; alerts with the same values there are alike.
        window: the time in which alike alerts are counted, such as `15m`.
        after: how many of them pass.
    """

    by: tuple[str, ...]
    window: str
    after: int = 1

    def __post_init__(self) -> None:
        """Refuse what would mean nothing, or hide everything.

        Raises:
            ValueError: the window is no length of time, or `after` is out of range.
        """
        try:
            window = self.to_ir().window
        except TocsinError as error:
            raise ValueError(str(error)) from error
        if not window or not 0 < self.after <= MAX_AFTER:
            message = f"a window is longer than 0, and 1 to {MAX_AFTER} alerts pass"
            raise ValueError(message)

    def to_ir(self) -> Suppress:
        """Return what is suppressed, with the window in seconds."""
        window = parse_duration(self.window, "suppress: window").total_seconds()
        return Suppress(self.by, window, self.after)
