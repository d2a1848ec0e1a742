import logging
from collections.abc import Callable, Iterator

import pytest

from tocsin.runtime.logs import _OneLine, configure_logs

Stderr = Callable[[], str]


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str]) -> Iterator[Stderr]:
    root = logging.getLogger()
    level = root.level
    yield lambda: capsys.readouterr().err
    root.setLevel(level)
    for handler in [one for one in root.handlers if isinstance(one.formatter, _OneLine)]:
        root.removeHandler(handler)


def test_a_record_is_one_line_under_the_name_of_its_process(stderr: Stderr) -> None:
    configure_logs("detector")
    logging.getLogger("x").info("rules reloaded: %d in force", 3)
    assert stderr().endswith(" INFO detector: rules reloaded: 3 in force\n")


@pytest.mark.parametrize(
    "hostile",
    [
        "a\nERROR detector: forged",
        "a\r\x1b[2J\x1b]0;owned\x07",
        "nul\x00 del\x7f c1\x9b31m",
        "line\u2028paragraph\u2029next\x85",
        "bidi \u202egnp.exe\u202c \u2066x\u2069 zero\u200bwidth",
        "tag \U000e0041 lone \udc80",
    ],
)
def test_nothing_in_a_record_controls_the_terminal(stderr: Stderr, hostile: str) -> None:
    configure_logs("receiver")
    logging.getLogger("x").warning("%s", hostile)
    line = stderr()
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert line.encode()


def test_text_of_people_stays_readable(stderr: Stderr) -> None:
    configure_logs("receiver")
    logging.getLogger("x").warning("%s", "Grüße, 你好 🔔")
    assert "Grüße, 你好 🔔" in stderr()


def test_a_traceback_is_one_line_too(stderr: Stderr) -> None:
    configure_logs("receiver")
    try:
        int("x\x1b[2J")
    except ValueError:
        logging.getLogger("x").exception("failed")
    line = stderr()
    assert line.count("\n") == 1
    assert "ValueError: invalid literal" in line
    assert line[:-1].isprintable()


def test_the_level_and_the_chatter_of_libraries(stderr: Stderr) -> None:
    configure_logs("demo", level=logging.WARNING)
    logging.getLogger("x").info("quiet")
    logging.getLogger("httpx2").info("POST https://hooks.example/secret")
    logging.getLogger("uvicorn.error").info("started")
    assert stderr() == ""


def test_configuring_twice_writes_once(stderr: Stderr) -> None:
    configure_logs("a")
    configure_logs("b")
    logging.getLogger("x").warning("once")
    assert stderr().count("once") == 1
