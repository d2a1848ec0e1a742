"""One run of a program for a response: its private folder, its access, its words, its end."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx2
import msgspec

from tocsin.model.alert import Alert
from tocsin.model.response import SUCCESS, Call, ObjectRef
from tocsin.respond.actions.base import Acting, ApiError, ApiFailure
from tocsin.respond.command.dialogue import Table, Told, keys_of, message
from tocsin.respond.command.proxy import Calls, Proxy, Upstream
from tocsin.respond.command.run import SYSTEM_PATH, Program, Ran, environment

# Of each output that the journal keeps; all of it would make the journal the attacker's.
MAX_JOURNALLED: Final = 16 * 1024
DIALOGUE_SECONDS: Final = 10.0

_SERVER_FAULTS = 500
_FAILURES: Mapping[int, ApiFailure] = {
    401: "denied",
    403: "denied",
    404: "gone",
    410: "gone",
    409: "changed",
    422: "changed",
    429: "busy",
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What commands are run with.

    Attributes:
        clients: the client of a cluster's API server, with the responder's credential.
        alert: returns an alert by its id, None if it is not kept any more.
        shown: returns an alert in Wazuh's shape.
        stopped: whether nothing may be changed any more, or the responder itself is to end.
        refused: is told of a response whose program asked for what was not planned.
        clean: takes secrets out of a program's output.
        clock: seconds since the epoch.
        folder: where private folders of runs are made.
        path: where programs are looked for, as in PATH.
        table: what Wazuh's programs have pending.
    """

    clients: Callable[[str], httpx2.Client | None]
    alert: Callable[[str], Alert | None]
    shown: Callable[[Alert], Mapping[str, object]]
    stopped: Callable[[], bool]
    refused: Callable[[str, Sequence[str]], None]
    clean: Callable[[str], str]
    clock: Callable[[], float]
    folder: Path
    path: str = SYSTEM_PATH
    table: Table = field(default_factory=Table)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to run; it stands in the journal before it is run.

    Attributes:
        response: the response.
        alert_id: its alert.
        cluster: the cluster.
        program: the file.
        arguments: its arguments.
        extra_args: the words that stand in the message to it, as they stand in ossec.conf.
        speaks: whether it speaks as programs of Wazuh do, so that its answer counts.
        seconds: after how long it is killed.
        timeouts: seconds until it is run with `delete`, for the first and for later times.
        verbs: what it may ask of the API server, of its object.
        inverse: the arguments that take it back; None if none are named.
    """

    response: str
    alert_id: str
    cluster: str
    program: str
    arguments: tuple[str, ...]
    extra_args: tuple[str, ...] = ()
    speaks: bool = False
    seconds: float = 30.0
    timeouts: tuple[float, ...] = ()
    verbs: tuple[str, ...] = ()
    inverse: tuple[str, ...] | None = None


def perform(
    job: Job, target: ObjectRef, calls: Sequence[Call], acting: Acting, around: Surroundings
) -> None:
    """Run a program with `add`; `calls` are the changes that it is expected to ask for.

    Raises:
        ApiError: it did not do it, or nobody knows whether it did.
        ProgramError: it cannot be started.
    """
    alert = _alert(job.alert_id, around)
    # What was announced is the mark of the change; reading has others.
    marks = [acting.mark() for _ in calls]
    with tempfile.TemporaryDirectory(prefix="run-", dir=around.folder) as name:
        folder = Path(name)
        with _proxy(job, target, marks, acting, around) as proxy:
            ran = _run(job, "add", alert, folder, proxy, acting, around)
        _tell(job, ran, proxy.calls, acting, around)
    _judge(job, ran, proxy.calls, planned=bool(calls))


def take_back(
    job: Job, target: ObjectRef, alert_id: str, acting: Acting, around: Surroundings
) -> None:
    """Run a program of Wazuh with `delete`, or the command that is the inverse.

    Args:
        job: what was run.
        target: its object.
        alert_id: the alert that stands in the message.
        acting: what to act with.
        around: what commands are run with.

    Raises:
        ApiError: it did not do it, or nobody knows whether it did.
        ProgramError: it cannot be started.
    """
    alert = _alert(alert_id, around)
    back = msgspec.structs.replace(
        job, arguments=job.inverse or (), verbs=("patch",) if job.inverse else job.verbs
    )
    with tempfile.TemporaryDirectory(prefix="run-", dir=around.folder) as name:
        with _proxy(back, target, [], acting, around) as proxy:
            ran = _run(back, "delete", alert, Path(name), proxy, acting, around)
        _tell(back, ran, proxy.calls, acting, around)
    _judge(back, ran, proxy.calls, planned=bool(job.inverse))


def _alert(alert_id: str, around: Surroundings) -> Alert:
    alert = around.alert(alert_id)
    if alert is None:
        message = "the alert is not kept any more, and the program has to be told of it"
        raise ApiError(failure="invalid", message=message)
    return alert


def _proxy(
    job: Job, target: ObjectRef, marks: list[str], acting: Acting, around: Surroundings
) -> Proxy:
    client = around.clients(job.cluster)
    if client is None:
        message = f"there is no access to cluster {job.cluster}"
        raise ApiError(failure="denied", message=message)
    upstream = Upstream(
        client=client,
        read_mark=acting.mark,
        change_mark=lambda: marks.pop(0) if marks else acting.mark(),
        note=acting.note,
        stopped=around.stopped,
    )
    return Proxy(upstream, target, frozenset(job.verbs))


def _run(  # noqa: PLR0913, PLR0917 - a run is made of these
    job: Job,
    told: Told,
    alert: Alert,
    folder: Path,
    proxy: Proxy,
    acting: Acting,
    around: Surroundings,
) -> Ran:
    kubeconfig = folder / "kubeconfig"
    proxy.write_kubeconfig(kubeconfig)
    shown = around.shown(alert)
    program = Path(job.program)

    def line(word: Told) -> bytes:
        return message(word, program.name, job.extra_args, shown)

    acting.note(f"run {program.name}", {"argv": [job.program, *job.arguments], "told": told})
    if around.stopped():
        reason = "responding was stopped"
        raise ApiError(failure="denied", message=reason)
    variables = environment(folder, kubeconfig, around.path)
    with Program(program, job.arguments, folder, variables) as running:
        running.send(line(told))
        if job.speaks and told == "add":
            _converse(job, running, line, acting, around)
        return running.finish(job.seconds, around.stopped)


def _converse(
    job: Job,
    running: Program,
    line: Callable[[Told], bytes],
    acting: Acting,
    around: Surroundings,
) -> None:
    """Answer a program that asks for its keys; one that says nothing has nothing pending."""
    try:
        answer = running.answer(min(DIALOGUE_SECONDS, job.seconds), around.stopped)
    except TimeoutError:
        acting.note("the program did not say anything in time", {})
        return
    if answer is None:
        return
    key = keys_of(Path(job.program).name, answer)
    told, data = around.table.ask(key, job.response, job.alert_id, job.timeouts, around.clock())
    acting.note(f"the program asked, and was told to {told}", data)
    around.table.take(data)
    running.send(line(told))


def _tell(job: Job, ran: Ran, calls: Calls, acting: Acting, around: Surroundings) -> None:
    """Journal how it ended, and report what it was refused."""
    end = f"was killed after {ran.seconds:.1f} s" if ran.timed_out else f"ended with {ran.code}"
    data: dict[str, object] = {
        "exit_code": ran.code,
        "timed_out": ran.timed_out,
        "seconds": round(ran.seconds, 3),
        "stdout": _clean(ran.out, around),
        "stderr": _clean(ran.err, around),
        "cut": ran.cut or max(len(ran.out), len(ran.err)) > MAX_JOURNALLED,
        "reads": calls.reads,
    }
    acting.note(f"{Path(job.program).name} {end}", data)
    if calls.refused:
        around.refused(job.response, tuple(calls.refused))


def _clean(output: bytes, around: Surroundings) -> str:
    return around.clean(output[:MAX_JOURNALLED].decode("utf-8", "replace"))


def _judge(job: Job, ran: Ran, calls: Calls, *, planned: bool) -> None:
    """Say what became of it.

    Raises:
        ApiError: it did not do it, or nobody knows whether it did.
    """
    end = f"killed after {ran.seconds:.1f} s" if ran.timed_out else f"exit code {ran.code}"
    codes = [change.code for change in calls.changes]
    if any(code is None or code >= _SERVER_FAULTS for code in codes):
        message = f"the API server gave no clear answer to the command ({end})"
        raise ApiError(failure="unknown", message=message)
    if any(code in SUCCESS for code in codes):
        if all(code in SUCCESS for code in codes):
            return
        message = f"some of what the command asked for was done, and some was not ({end})"
        raise ApiError(failure="unknown", message=message)
    if codes:
        code = codes[-1] or 0
        message = f"the API server answered {code} to the command ({end})"
        raise ApiError(_FAILURES.get(code, "invalid"), message, code)
    if planned:
        refused = f"; refused: {calls.refused[0]}" if calls.refused else ""
        message = f"the command asked the API server for no change ({end}){refused}"
        raise ApiError(failure="invalid", message=message)
    if ran.timed_out or ran.code:
        message = f"nobody knows what the program did ({end})"
        raise ApiError(failure="unknown", message=message)
