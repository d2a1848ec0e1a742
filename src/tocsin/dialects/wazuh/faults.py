"""What is wrong in the files of a Wazuh installation, collected while they are loaded."""

from dataclasses import dataclass, field
from typing import NoReturn

from tocsin.model.errors import Fault, LoadError, Location


class RefusedError(Exception):
    """An element that the engine refuses, so that nothing of the installation is loaded."""

    def __init__(self, message: str, at: Location) -> None:
        self.fault = Fault(message, at)
        super().__init__(message)


@dataclass(slots=True)
class Findings:
    """Faults keep an installation from being loaded; warnings do not."""

    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)

    def warn(self, message: str, at: Location) -> None:
        """Add a warning."""
        self.warnings.append(Fault(message, at))

    def check(self) -> None:
        """Raise what was found.

        Raises:
            LoadError: there are faults.
        """
        if self.faults:
            raise LoadError(self.faults)


def refuse(message: str, at: Location) -> NoReturn:
    """Refuse an element.

    Raises:
        RefusedError: always.
    """
    raise RefusedError(message, at)
