"""What decoding made of one log: the event that the rules look at."""

from dataclasses import dataclass, field

from tocsin.dialects.wazuh.fields import STATIC, Fields


@dataclass(frozen=True, slots=True)
class Decoded:
    """The decoder that recognised a log, and the fields that it found.

    `name` is None if no decoder did. `parent` is set if a decoder below another took over.
    `added` are fields that the original would not have here (additive mode). `given_up` are
    the decoders whose expression cost too much, so that fields of theirs may be missing.
    """

    name: str | None = None
    parent: str | None = None
    category: str = "syslog"
    fields: Fields = field(default_factory=Fields)
    added: Fields | None = None
    first_seen_by: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()


@dataclass(slots=True)
class Event:
    """A decoded log as the conditions of rules see it.

    `matched` is the level of the correlation that has already used this event, 0 for none.
    """

    log: bytes
    location: str
    decoded: Decoded
    fields: Fields
    time: float
    program_name: str | None = None
    hostname: str | None = None
    matched: int = 0

    def value(self, subject: str) -> str | None:
        """Return what a rule calls `user`, `location`, `srcip` and so on; None: not there."""
        match subject:
            case "location":
                return self.location
            case "hostname":
                return self.hostname
            case "program_name":
                return self.program_name
            case "user":
                return self.fields.static.get("dstuser") or self.fields.static.get("srcuser")
            case _:
                return self.fields.static.get(subject)

    def described(self, name: str) -> str:
        """Return what `$(name)` in a description stands for; nothing, if it is not there."""
        if name in STATIC:
            return self.fields.static.get(name, "")
        if name in ("program_name", "hostname"):
            return self.value(name) or ""
        return self.fields.get(name) or ""


def to_bytes(text: str) -> bytes:
    """Return a value as the bytes that expressions look at."""
    return text.encode("utf-8", "surrogateescape")
