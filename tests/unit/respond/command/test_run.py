"""A3: a program that hangs, forks, shouts or does not read costs its time limit, no more."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.unit.respond.command.runs import assert_gone
from tocsin.respond.command.run import (
    MAX_OUTPUT,
    Program,
    ProgramError,
    Ran,
    environment,
    find_program,
)


def script(folder: Path, text: str, name: str = "script") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def run(folder: Path, text: str, *, stdin: bytes = b"", seconds: float = 5.0) -> Ran:
    with Program(script(folder, text), [], folder, environment(folder, None)) as program:
        program.send(stdin)
        return program.finish(seconds)


def test_exit_code_and_both_outputs_are_kept(tmp_path: Path) -> None:
    ran = run(tmp_path, "cat; echo bad >&2; exit 3", stdin=b"hello\n")
    assert (ran.code, ran.out, ran.err) == (3, b"hello\n", b"bad\n")
    assert not ran.cut
    assert not ran.timed_out


def test_a3_a_message_larger_than_a_pipe_arrives_whole(tmp_path: Path) -> None:
    message = os.urandom(300_000)
    assert run(tmp_path, "cat", stdin=message).out == message


def test_a3_a_program_need_not_read(tmp_path: Path) -> None:
    assert run(tmp_path, "exit 0", stdin=b"x" * 1_000_000).code == 0
    ran = run(tmp_path, "sleep 30", stdin=b"x" * 1_000_000, seconds=0.3)
    assert ran.timed_out


def test_a3_a_program_that_hangs_is_killed(tmp_path: Path) -> None:
    ran = run(tmp_path, "trap '' TERM INT HUP; while :; do sleep 1; done", seconds=0.3)
    assert ran.timed_out
    assert ran.code == -signal.SIGKILL
    assert ran.seconds < 2


def test_a3_what_it_started_is_killed_with_it(tmp_path: Path) -> None:
    ran = run(tmp_path, "sleep 300 & echo $!; sleep 300", seconds=0.5)
    assert ran.timed_out
    assert_gone(int(ran.out))


def test_a3_what_it_leaves_behind_is_killed_and_not_waited_for(tmp_path: Path) -> None:
    ran = run(tmp_path, "sleep 300 & echo $!; exit 0", seconds=20)
    assert (ran.code, ran.timed_out) == (0, False)
    assert ran.seconds < 5
    assert_gone(int(ran.out))


def test_a3_a_stranger_who_holds_its_output_open_is_not_waited_for(tmp_path: Path) -> None:
    ran = run(tmp_path, "setsid sleep 4 & exit 0", seconds=20)
    assert ran.code == 0
    assert ran.seconds < 3


def test_a3_much_output_is_cut_and_does_not_stop_the_program(tmp_path: Path) -> None:
    ran = run(tmp_path, "head -c 5000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 7")
    assert (len(ran.out), len(ran.err), ran.code) == (MAX_OUTPUT, MAX_OUTPUT, 7)
    assert ran.cut


def test_nothing_of_ours_is_in_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_SECRET", "x")
    program = script(tmp_path, "cat /proc/$$/environ; ls -l /proc/self/fd | grep -c pipe >&2")
    with Program(program, [], tmp_path, environment(tmp_path, tmp_path / "config")) as running:
        ran = running.finish(5)
    names = {line.partition(b"=")[0] for line in ran.out.split(b"\0") if line}
    assert names == {b"PATH", b"LANG", b"HOME", b"KUBECONFIG"}
    # Its own three, of which `ls` has one for grep.
    assert ran.err == b"3\n"


def test_the_first_line_is_an_answer(tmp_path: Path) -> None:
    program = script(tmp_path, "read one; echo keys; read two; echo got $two")
    with Program(program, [], tmp_path, environment(tmp_path, None)) as running:
        running.send(b"add\n")
        assert running.answer(5) == b"keys"
        running.send(b"continue\n")
        assert running.finish(5).out == b"keys\ngot continue\n"


def test_no_answer(tmp_path: Path) -> None:
    with Program(script(tmp_path, "exit 0"), [], tmp_path, environment(tmp_path, None)) as running:
        assert running.answer(5) is None
    silent = script(tmp_path, "sleep 30")
    with Program(silent, [], tmp_path, environment(tmp_path, None)) as running:
        with pytest.raises(TimeoutError):
            running.answer(0.2)
        started = time.monotonic()
    assert time.monotonic() - started < 2


def test_a_last_line_without_an_end_is_an_answer(tmp_path: Path) -> None:
    program = script(tmp_path, "printf keys")
    with Program(program, [], tmp_path, environment(tmp_path, None)) as running:
        assert running.answer(5) == b"keys"


def test_no_zombies(tmp_path: Path) -> None:
    program = script(tmp_path, "exit 0")
    with Program(program, [], tmp_path, environment(tmp_path, None)) as running:
        pid = running._process.pid
        running.finish(5)
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def test_arguments_are_passed_as_they_are(tmp_path: Path) -> None:
    program = script(tmp_path, 'for one; do printf "%s|" "$one"; done')
    words = ["a b", "$(id)", "`id`", "", "*", "; reboot"]
    with Program(program, words, tmp_path, environment(tmp_path, None)) as running:
        assert running.finish(5).out.decode() == "|".join([*words, ""])


def test_what_cannot_be_started(tmp_path: Path) -> None:
    path = tmp_path / "no-program"
    path.write_text("#!/no/such/interpreter\n")
    path.chmod(0o755)
    with pytest.raises(ProgramError, match="cannot start"):
        Program(path, [], tmp_path, {})
    with pytest.raises(ProgramError, match="cannot start"):
        Program(script(tmp_path, ""), ["a\0b"], tmp_path, {})


def test_programs_are_found_in_the_folders_only(tmp_path: Path) -> None:
    program = script(tmp_path, "", "kubectl")
    assert find_program("kubectl", ["", "/no/such", str(tmp_path)]) == program
    assert find_program(str(program), []) == program
    for name in ("", "..", "../kubectl", "sub/kubectl", "-kubectl", "a\0b", "missing"):
        with pytest.raises(ProgramError):
            find_program(name, [str(tmp_path)])


def test_programs_that_others_may_change_are_refused(tmp_path: Path) -> None:
    program = script(tmp_path, "")
    program.chmod(0o757)
    with pytest.raises(ProgramError, match="changed by everybody"):
        find_program("script", [str(tmp_path)])
    program.chmod(0o644)
    with pytest.raises(ProgramError, match="may not be run"):
        find_program("script", [str(tmp_path)])
