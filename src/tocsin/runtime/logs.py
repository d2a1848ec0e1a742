"""Tocsin's own log: one line per record on stderr, safe to show on a terminal.

Event text never goes there on purpose; what does reach it (a path, an error) has its control
characters escaped, so that it cannot forge a line or move a cursor.
"""

import logging
import sys

from typing_extensions import override

from tocsin.model.text import visible


class _OneLine(logging.Formatter):
    """Escapes everything that is not printable, line ends included."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def configure_logs(process: str, level: int = logging.INFO) -> None:
    """Send this process's log to stderr, under the name of the process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine(f"%(asctime)s %(levelname)s {process}: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Requests and connections are counted as metrics; their libraries' chatter says no more.
    for library in ("httpx2", "httpcore2", "uvicorn"):
        logging.getLogger(library).setLevel(logging.WARNING)
