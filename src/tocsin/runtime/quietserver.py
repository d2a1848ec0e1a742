"""An HTTP server that leaves signals to whoever runs it."""

import contextlib
from collections.abc import Iterator

import uvicorn
from typing_extensions import override


class QuietServer(uvicorn.Server):
    """uvicorn without its signal handlers: those are the supervisor's, or the child's."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
