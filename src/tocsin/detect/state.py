"""What detection remembers from event to event, and how it survives a restart."""

from typing import Protocol


class Checkpointed(Protocol):
    """State that is saved together with the position of the events it knows.

    Attributes:
        name: tells it from other state.
    """

    name: str

    def save(self) -> bytes:
        """Return what is remembered."""
        ...

    def restore(self, saved: bytes) -> None:
        """Take over what `save` returned.

        Raises:
            ValueError: it is of another version, or damaged; what was remembered stays.
        """
        ...


class Bounded(Checkpointed, Protocol):
    """State with a limit to its size, and a count of what was forgotten because of it."""

    evictions: int

    def __len__(self) -> int:
        """Return how many things are remembered."""
        ...
