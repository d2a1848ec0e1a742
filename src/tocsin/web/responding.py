"""What pages about responses need beyond the store: passed in by `runtime`, like the rest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.response import Mode, ObjectRef


class ActionWords(msgspec.Struct, frozen=True, kw_only=True):
    """An action as people read about it before they agree.

    Attributes:
        name: the name in the configuration and in an order.
        title: what it does, in a few words.
        effect: what it does and what it does not.
        reach: how much it touches, in a few words.
        width: a number that grows with the reach.
        destructive: whether it takes away something that undo cannot bring back.
        reversible: whether there is an undo.
    """

    name: str
    title: str
    effect: str
    reach: str
    width: int = 0
    destructive: bool = True
    reversible: bool = False


class Possible(msgspec.Struct, frozen=True, kw_only=True):
    """An action that fits an alert, and the object it would be about."""

    action: ActionWords
    target: ObjectRef


class Armed(msgspec.Struct, frozen=True, kw_only=True):
    """A response that is switched on: its name, what it does, and how far by itself."""

    name: str
    actions: tuple[str, ...]
    mode: Mode


class Stop(Protocol):
    """That everything is stopped: by whom, when (seconds since the epoch) and why."""

    @property
    def who(self) -> str:
        """The person."""
        ...

    @property
    def time(self) -> float:
        """When."""
        ...

    @property
    def why(self) -> str:
        """The reason that was given; may be empty."""
        ...


class Switch(Protocol):
    """The kill switch."""

    def stopped(self) -> Stop | None:
        """Return who stopped everything, None while responses may run."""
        ...

    def stop(self, who: str, why: str) -> None:
        """Have nothing run any more, also after a restart."""
        ...

    def start(self, who: str) -> None:
        """Let responses run again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Responding:
    """How this Tocsin responds; functions may block.

    Attributes:
        enabled: False if the configuration switched everything off.
        armed: the responses that do more than say what they would do.
        clusters: clusters with access for the responder.
        four_eyes: whether another person than the one who asked has to approve.
        actions: all actions by name.
        possible: the actions that fit an alert.
    """

    enabled: bool = True
    armed: Sequence[Armed] = ()
    clusters: Sequence[str] = ()
    four_eyes: bool = False
    actions: Mapping[str, ActionWords] = field(default_factory=dict)
    possible: Callable[[Alert], Sequence[Possible]] = lambda _: ()
