import fcntl
import gzip
import json
import os
import pty
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.unit.cli.commandline import EXECUTABLE, Commands, Ran, environment
from tests.unit.runtime.rulefiles import event, event_list, lines, rule, write_rule

PRIVILEGED = event(
    1,
    responseStatus={"code": 201},
    requestObject={
        "kind": "Pod",
        "spec": {"containers": [{"name": "c", "securityContext": {"privileged": True}}]},
    },
)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return write_rule(tmp_path / "rules" / "curl.yml").parent


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    path.write_bytes(lines(event(1), event(2, "wget"), event(3)))
    return path


def alerts(ran: Ran) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.out.splitlines()]


def ids(ran: Ran) -> list[str]:
    return [alert["event"]["audit_id"] for alert in alerts(ran)]


def own(tocsin: Commands, rules: Path, *arguments: object) -> Ran:
    return tocsin("detect", "--no-builtin", "--rules", rules, *arguments)


def test_alerts_are_json_lines_on_stdout_and_the_rest_is_on_stderr(
    tocsin: Commands, rules: Path, log: Path
) -> None:
    ran = own(tocsin, rules, log)
    assert ran.code == 0
    assert ids(ran) == ["a-1", "a-3"]
    assert alerts(ran)[0]["cluster"] == "default"
    assert ran.err == "3 events, 1 rules, 2 alerts (2 high)\n"


def test_nothing_found_is_success(tocsin: Commands, rules: Path, tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_bytes(lines(event(1, "wget")))
    assert own(tocsin, rules, log) == Ran(0, "", "1 events, 1 rules, 0 alerts\n")


def test_quiet_says_nothing_besides(tocsin: Commands, rules: Path, log: Path) -> None:
    ran = own(tocsin, rules, "--quiet", log)
    assert (ran.code, ran.err, len(alerts(ran))) == (0, "", 2)


def test_the_cluster_is_named(tocsin: Commands, rules: Path, log: Path) -> None:
    assert alerts(own(tocsin, rules, "--cluster", "prod", log))[0]["cluster"] == "prod"


def test_shipped_rules_unless_switched_off(tocsin: Commands, tmp_path: Path, rules: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_bytes(lines(PRIVILEGED))
    shipped, both = tocsin("detect", log), tocsin("detect", "--rules", rules, log)
    assert "Privileged container" in {alert["rule"]["title"] for alert in alerts(shipped)}
    assert len(alerts(both)) == len(alerts(shipped)) + 1
    assert [alert["rule"]["title"] for alert in alerts(own(tocsin, rules, log))] == ["Agent curl"]
    assert tocsin("detect", "--no-builtin", log) == Ran(0, "", "1 events, 0 rules, 0 alerts\n")


def test_several_rule_paths_and_files(tocsin: Commands, rules: Path, log: Path) -> None:
    wget = write_rule(rules.parent / "wget.yml", 2, "wget", "low")
    ran = own(tocsin, rules, "--rules", wget, log, log)
    assert ids(ran) == ["a-1", "a-2", "a-3"]
    assert ran.err == "6 events, 2 rules, 3 alerts (2 high, 1 low)\n"


@pytest.mark.usefixtures("rules")
def test_rules_of_the_configuration(tocsin: Commands, log: Path, tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text("rules: [rules]\nbuiltin_rules: false\n")
    ran = tocsin("detect", "-c", "tocsin.yaml", log)
    assert ids(ran) == ["a-1", "a-3"]
    assert ran.err.startswith("3 events, 1 rules, ")


def pretty(*events: dict[str, Any], indent: int = 2) -> bytes:
    return json.dumps(json.loads(event_list(*events)), indent=indent).encode()


MANY = [event(number) for number in range(1500)]
FORMS = {
    "json-lines": lines(event(1), event(2, "wget"), event(3)),
    "no-newline-at-end": lines(event(1), event(2, "wget"), event(3))[:-1],
    "crlf": lines(event(1), event(2, "wget"), event(3)).replace(b"\n", b"\r\n"),
    "byte-order-mark": b"\xef\xbb\xbf" + lines(event(1), event(2, "wget"), event(3)),
    "lists-on-lines": event_list(event(1), event(2, "wget")) + b"\n" + event_list(event(3)),
    "one-list": event_list(event(1), event(2, "wget"), event(3)),
    "array": json.dumps([event(1), event(2, "wget"), event(3)]).encode(),
    "pretty-list": pretty(event(1), event(2, "wget"), event(3)),
    "pretty-array": json.dumps([event(1), event(2, "wget"), event(3)], indent=4).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_events(tocsin: Commands, rules: Path, tmp_path: Path, form: str) -> None:
    path = tmp_path / "events"
    path.write_bytes(FORMS[form])
    ran = own(tocsin, rules, path)
    assert ids(ran) == ["a-1", "a-3"]
    assert ran.err.startswith("3 events, ")
    assert "rejected" not in ran.err


def test_one_pretty_event(tocsin: Commands, rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "event.json"
    path.write_text(json.dumps(event(), indent=2))
    assert ids(own(tocsin, rules, path)) == ["a-1"]


def test_a_pretty_list_longer_than_what_is_read_at_once(
    tocsin: Commands, rules: Path, tmp_path: Path
) -> None:
    path = tmp_path / "list.json"
    path.write_bytes(pretty(*MANY, indent=4))
    assert path.stat().st_size > 1024 * 1024
    ran = own(tocsin, rules, path, path)
    assert len(alerts(ran)) == 1500
    assert ran.err == "3,000 events, 1 rules, 1,500 alerts (1,500 high)\n"


@pytest.mark.parametrize("form", ["json-lines", "pretty-list"])
@pytest.mark.parametrize(
    "compress", [gzip.compress, zstandard.ZstdCompressor().compress], ids=["gzip", "zstd"]
)
def test_compressed_files_whatever_their_name(
    tocsin: Commands, rules: Path, tmp_path: Path, compress: Any, form: str
) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(compress(FORMS[form]))
    assert ids(own(tocsin, rules, path)) == ["a-1", "a-3"]


@pytest.mark.parametrize(
    "data",
    [FORMS["json-lines"], gzip.compress(FORMS["json-lines"]), FORMS["pretty-list"]],
    ids=["plain", "gzip", "pretty"],
)
def test_standard_input(tocsin: Commands, rules: Path, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "input").write_bytes(data)
    ran = tocsin("detect", "--no-builtin", "--rules", rules, "-", stdin=tmp_path / "input")
    assert (ran.code, ids(ran)) == (0, ["a-1", "a-3"])
    assert ran.err == "3 events, 1 rules, 2 alerts (2 high)\n"


def test_a_pipe_of_the_shell(tocsin: Commands, rules: Path, log: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(log.read_bytes(),))
    writer.start()
    assert ids(own(tocsin, rules, pipe)) == ["a-1", "a-3"]
    writer.join()


def test_alerts_on_standard_input_come_while_it_is_open(rules: Path) -> None:
    process = subprocess.Popen(
        [EXECUTABLE, "detect", "--no-builtin", "--rules", rules, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    timer = threading.Timer(8, process.kill)
    timer.start()
    with process:
        process.stdin.write(lines(event(1)))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["event"]["audit_id"] == "a-1"
        process.stdin.close()
        assert process.stdout.read() == b""
    timer.cancel()
    assert process.returncode == 0


def test_stages_that_lie_apart_are_one_alert(tocsin: Commands, rules: Path, tmp_path: Path) -> None:
    first, last = event(1, stage="RequestReceived"), event(1)
    between = [event(number, "x" * 1000) for number in range(2, 1500)]
    path, other = tmp_path / "audit.log", tmp_path / "audit.log.1"
    path.write_bytes(lines(first, *between, last))
    other.write_bytes(lines(event(1, stage="Panic")))
    [alert] = alerts(own(tocsin, rules, path, other))
    assert len(alert["evidence"]) == 3


def test_bad_events_are_told_with_their_place_and_cost_nothing_else(
    tocsin: Commands, rules: Path, tmp_path: Path
) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(lines(event(1)) + b"oops\n" * 12 + b'{"verb": 7}\n' + lines(event(2)))
    ran = own(tocsin, rules, path)
    assert ran.code == 0
    assert ids(ran) == ["a-1", "a-2"]
    assert "13 rejected: no proper audit events\n" in ran.err
    assert ran.err.count(f"  {path}:1+: ") == 10


def test_every_rejected_event_is_counted(tocsin: Commands, rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(b"oops\n" * 2500)
    assert "2,500 rejected" in own(tocsin, rules, path).err


def test_event_text_cannot_break_a_line_or_a_terminal(
    tocsin: Commands, rules: Path, tmp_path: Path
) -> None:
    hostile = "a\nb\r\x1b[2J\x9b31m\u2028\u202e\x00\ud800"[:-1]
    name = {"resource": "pods", "namespace": hostile, "name": hostile}
    path = tmp_path / "audit.log"
    bad = b'{"kind": "\\u001b[2J[bold]x", "verb": "get"}\n'
    path.write_bytes(lines(event(1, objectRef=name, user={"username": hostile})) + bad)
    ran = own(tocsin, rules, path)
    [line] = ran.out.splitlines()
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["actor"]["user"] == hostile
    assert all(line.isprintable() for line in ran.err.split("\n"))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("gone.log",), "gone.log: no such file"),
        (("rules",), "rules: is a folder; name its files"),
        (("--rules", "gone", "audit.log"), "gone: no such rule file or folder"),
        (("--format", "xml", "audit.log"), "format 'xml' is not supported"),
        (("cut.gz",), "cut.gz: cannot be read: "),
        (("--rules", "bad.yml", "audit.log"), "bad.yml:"),
    ],
)
@pytest.mark.usefixtures("rules", "log")
def test_wrong_use_is_one_sentence_and_exit_code_2(
    tocsin: Commands, tmp_path: Path, arguments: tuple[str, ...], problem: str
) -> None:
    (tmp_path / "cut.gz").write_bytes(gzip.compress(lines(event(1)))[:-10])
    (tmp_path / "bad.yml").write_text(rule().replace("condition: selection", "condition: x"))
    ran = tocsin("detect", *arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith(f"tocsin: {problem}")
    assert ran.err.count("\n") == 1


def test_no_file_is_wrong_use(tocsin: Commands) -> None:
    ran = tocsin("detect")
    assert ran.code == 2
    assert "tocsin detect" in ran.err


def test_a_reader_that_has_seen_enough(rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(lines(*MANY))
    process = subprocess.Popen(
        [EXECUTABLE, "detect", "--no-builtin", "--rules", rules, path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_terminal_sees_progress_and_a_pipe_does_not(rules: Path, log: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.fcntl(ours, fcntl.F_SETFL, os.O_NONBLOCK)
    ran = subprocess.run(
        [EXECUTABLE, "detect", "--no-builtin", "--rules", rules, log],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment(TERM="xterm"),
        check=True,
    )
    shown = os.read(ours, 100_000)
    os.close(ours)
    os.close(theirs)
    assert len(ran.stdout.splitlines()) == 2
    assert b"reading" in shown
    assert shown.endswith(b"3 events, 1 rules, 2 alerts (2 high)\r\n")
