"""What child processes do in tests: in a module of its own, as they import it."""

import time
from pathlib import Path

from tocsin.model.errors import TocsinError
from tocsin.runtime.child import Link, _watch
from tocsin.runtime.report import Report, encode_report

watch = _watch

_DEADLINE = 20


def _say(link: Link, reason: str, *, ready: bool = False) -> None:
    link.pipe.send_bytes(encode_report(Report(ready=ready, reason=reason)))


def tell_signals(link: Link) -> None:
    """Report what is asked, until told to stop."""
    _say(link, "waiting")
    while not link.stopping.is_set():
        if link.reloading.is_set():
            link.reloading.clear()
            _say(link, "reloading")
        link.stopping.wait(0.01)
    try:
        _say(link, "stopping")
    except OSError:
        return


def complain(link: Link) -> None:
    """Fail with something that a person can put right."""
    del link
    message = "the key is not there"
    raise TocsinError(message)


def work(link: Link) -> None:
    """Do as a healthy process does."""
    link.report_regularly(lambda: Report(ready=True, metrics=b"tocsin_test_x 1.0\n"))
    link.stopping.wait(_DEADLINE)


def note_stop(link: Link, folder: str, name: str) -> None:
    """Work, and leave a file behind when asked to stop."""
    work(link)
    (Path(folder) / name).write_text(str(time.monotonic()))
