"""What loading rule files yields: rules, and everything there is to say about the files."""

from dataclasses import dataclass, field

from tocsin.model.errors import Fault
from tocsin.rules.correlation import Correlation
from tocsin.rules.ir import Rule


@dataclass(slots=True)
class Loaded:
    """Rules and correlations that are ready, faults that kept others out, and warnings.

    `skipped` counts rules that are for other log sources than ours.
    """

    rules: list[Rule] = field(default_factory=list)
    correlations: list[Correlation] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    skipped: int = 0

    @property
    def count(self) -> int:
        """How many rules there are."""
        return len(self.rules) + len(self.correlations)
