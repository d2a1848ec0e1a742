"""Errors that a person reads: what is wrong, where, and what to do about it."""

from dataclasses import dataclass

from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file somebody wrote; lines and columns count from 1, 0 means unknown."""

    path: str
    line: int = 0
    column: int = 0

    @override
    def __str__(self) -> str:
        """Return `path:line`, the form that editors and terminals turn into a link."""
        return f"{self.path}:{self.line}" if self.line else self.path


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a rule, configuration or test file."""

    message: str
    location: Location
    field: str | None = None

    @override
    def __str__(self) -> str:
        """Return the sentence that is shown to the author of the file."""
        at_field = f" ({self.field})" if self.field else ""
        return f"{self.location}: {self.message}{at_field}"


class TocsinError(Exception):
    """Wrong usage, configuration or environment; the command line prints it and exits with 2."""


class LoadError(TocsinError):
    """A file that could not be loaded, with everything found wrong in it."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("\n".join(str(fault) for fault in faults))
