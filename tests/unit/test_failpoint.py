import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tocsin import failpoint
from tocsin.failpoint import VARIABLE, Failpoint, FailpointError
from tocsin.ingest import spool


def test_inert_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    Failpoint("test.inert")()


def test_raises_at_the_visit_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Failpoint("test.raise")
    monkeypatch.setenv(VARIABLE, "test.raise:raise:2")
    here()
    with pytest.raises(FailpointError) as caught:
        here()
    assert caught.value.errno == errno.EIO
    here()
    Failpoint("test.other")()


def test_kills() -> None:
    code = "from tocsin.failpoint import Failpoint; Failpoint('x')()"
    done = subprocess.run([sys.executable, "-c", code], env={VARIABLE: "x:kill"}, check=False)
    assert done.returncode == -signal.SIGKILL


def test_every_failpoint_of_the_spool_is_listed() -> None:
    assert spool.__file__
    folder = Path(spool.__file__).parent
    source = "".join(path.read_text() for path in folder.glob("*.py"))
    listed = [name for name in failpoint.names() if name.startswith("spool.")]
    assert source.count('Failpoint("spool.') == len(listed) >= 10
