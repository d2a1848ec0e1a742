"""How the decoder refuses what it cannot read, and how that is told."""

import msgspec

REFUSALS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError, ValueError)


def sentence(error: Exception) -> str:
    """Return why the decoder refused something."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error) or type(error).__name__
