"""A2: hostile values through a real run: the recorder sees the template's words, and no shell."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.respond.command.runs import Runs, runs_in
from tests.unit.respond.command.test_template import HOSTILE
from tocsin.respond.actions.base import Prepared, Refusal

RECORDER = f"""#!{sys.executable} -IS
import json, os, sys
with open({{record!r}}, "a") as file:
    json.dump([sys.argv[1:], sorted(os.environ)], file)
    file.write("\\n")
"""
WORDS = ("get", "$(pod)", "--in=$(ns)", "$(user)", "$(source_ip)")


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return runs_in(tmp_path)


def recorder(runs: Runs) -> Path:
    record = runs.folder / "record"
    record.touch()
    runs.script("recorder", RECORDER.format(record=str(record)))
    return record


@pytest.mark.parametrize("field", ["pod", "ns"])
@pytest.mark.parametrize("value", [*HOSTILE, "web-0"])
def test_a2_the_recorder_sees_the_words_of_the_template(runs: Runs, field: str, value: str) -> None:
    record = recorder(runs)
    fields: dict[str, object] = {"pod": "web", "ns": "shop", field: value}
    prepared = runs.prepare("recorder", *WORDS, fields=fields)
    if isinstance(prepared, Refusal):
        assert value != "web-0"
        assert record.read_text() == ""
        return
    runs.apply(prepared)
    (arguments, variables) = json.loads(record.read_text())
    expected = {"pod": "web", "ns": "shop"} | {field: value}
    assert arguments == [
        "get",
        expected["pod"],
        f"--in={expected['ns']}",
        "mallory",
        "10.0.0.7",
    ]
    assert set(variables) - {"LC_CTYPE"} == {"PATH", "LANG", "HOME", "KUBECONFIG"}


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a2_one_program_is_started_and_no_shell(runs: Runs) -> None:
    record = recorder(runs)
    prepared = runs.prepare("recorder", *WORDS, fields={"pod": "web", "ns": "shop"})
    assert isinstance(prepared, Prepared)
    trace = runs.folder / "trace"
    child = (
        "import sys; from pathlib import Path;"
        "from tocsin.respond.command.run import Program, environment;"
        "program, folder, *words = sys.argv[1:];"
        "running = Program(Path(program), words, Path(folder), environment(Path(folder), None));"
        "running.send(b'{}');"
        "print(running.finish(20).code)"
    )
    job = prepared.before["job"]
    assert isinstance(job, dict)
    command = ["strace", "-f", "-s", "200", "-e", "trace=execve", "-o", str(trace)]
    command += [sys.executable, "-c", child, job["program"], str(runs.folder), *job["arguments"]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if "ptrace" in done.stderr.lower():
        pytest.skip("this machine does not allow tracing")
    assert done.stdout.strip() == "0", done.stderr
    started = [line for line in trace.read_text().splitlines() if "execve(" in line]
    # Python, and the recorder, which the kernel starts by its first line.
    assert len([line for line in started if " = 0" in line]) == 2, started
    assert not any('/sh"' in line or '/bash"' in line for line in started)
    assert json.loads(record.read_text())[0] == list(job["arguments"])
