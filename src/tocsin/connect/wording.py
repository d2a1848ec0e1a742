"""Plain text for people with commands to copy: wrapped paragraphs, indented commands."""

import textwrap
from dataclasses import dataclass

_WIDTH = 78


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its title, and paragraphs; a paragraph of commands is indented by four."""

    title: str
    body: str


def text(*paragraphs: str) -> str:
    """Join paragraphs; wrap those that are not commands, leave out those that are empty."""
    return "".join(
        f"{p.rstrip()}\n\n"
        if p.startswith("    ")
        else f"{textwrap.fill(p, _WIDTH, break_long_words=False, break_on_hyphens=False)}\n\n"
        for p in paragraphs
        if p
    )


def commands(*lines: str) -> str:
    """Return a paragraph of commands, one a line."""
    return "".join(f"    {line}\n" for line in lines)
