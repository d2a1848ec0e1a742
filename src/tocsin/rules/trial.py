"""What trying a rule on some events gives, for a person who is writing the rule."""

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.errors import Fault
from tocsin.rules.explain import Node


class Tried(msgspec.Struct, frozen=True):
    """One rule on one event: `root` says why it holds or not; `alert` is what it would raise."""

    title: str
    event: int
    request: str
    root: Node
    alert: Alert | None = None


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a trial.

    Attributes:
        faults: what is wrong with the rules, so that they could not be loaded.
        warnings: what makes them silent, such as fields that no event has.
        problem: what is wrong with the events; empty when they could be read.
        rules: how many rules were tried.
        events: how many events they were tried on.
        tried: each rule on each event, in the order of the events.
    """

    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()
    problem: str = ""
    rules: int = 0
    events: int = 0
    tried: tuple[Tried, ...] = ()

    @property
    def fired(self) -> int:
        """How many of the tries raised an alert."""
        return sum(one.alert is not None for one in self.tried)
