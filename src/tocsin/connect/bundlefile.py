"""One file of the bundle that connects a cluster."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A file by its path inside of the bundle; `secret` keeps its content from every screen."""

    name: str
    content: bytes
    secret: bool = False
