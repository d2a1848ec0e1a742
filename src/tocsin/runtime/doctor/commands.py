"""Programs that responses run: whether each is there, and what kubectl is and may do."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from tocsin.model.errors import TocsinError
from tocsin.model.text import visible
from tocsin.respond.actions.command import Command, Parameters
from tocsin.respond.command import kubectl
from tocsin.respond.command.run import (
    SYSTEM_PATH,
    Program,
    ProgramError,
    Ran,
    environment,
    find_program,
)
from tocsin.respond.settings import ResponseRule
from tocsin.runtime.config import Config
from tocsin.runtime.doctor.finding import Finding, fault, ok, warning
from tocsin.runtime.wazuh import load_wazuh_files
from tocsin.runtime.wazuhresponses import wazuh_responses

CHECK = "commands"
WHERE_TO_GET = (
    "take kubectl from https://kubernetes.io/docs/tasks/tools/, of a version within one of the "
    "API server's, and put it into /usr/local/bin"
)

_SECONDS = 8.0
_FOLDERS = tuple(SYSTEM_PATH.split(":"))
_WHY = "responses that run it are refused"


def examine(config: Config) -> list[Finding]:
    """Look at the programs of all responses that stand in the configuration."""
    rules = [*config.respond.responses, *_of_wazuh(config)]
    kubeconfigs = {
        name: Path(access.kubeconfig) for name, access in config.respond.clusters.items()
    }
    found: dict[str, list[Finding]] = {}
    for parameters in _commands(rules):
        name, own = parameters.executable, parameters.active_response_bin
        if name not in found:
            found[name] = look(name, [own, *_FOLDERS], kubeconfigs)
    return [finding for findings in found.values() for finding in findings]


def look(name: str, folders: Sequence[str], kubeconfigs: Mapping[str, Path]) -> list[Finding]:
    """Look at one program; of kubectl also at its version and, by cluster, at its rights."""
    is_kubectl = Path(name).name == kubectl.NAME
    try:
        program = find_program(name, folders)
        if not is_kubectl:
            return [ok(CHECK, f"{program} is there")]
        return [_version(program), *(_rights(program, *one) for one in kubeconfigs.items())]
    except ProgramError as error:
        mend = WHERE_TO_GET if is_kubectl else f"put {name} into one of these folders"
        return [fault(CHECK, str(error), _WHY, mend)]


def _commands(rules: Iterable[ResponseRule]) -> Iterable[Parameters]:
    for rule in rules:
        for step in rule.steps:
            if step.action == Command.name:
                yield msgspec.convert(step.parameters, Parameters)


def _of_wazuh(config: Config) -> Sequence[ResponseRule]:
    try:
        installations = [load_wazuh_files(files) for files in config.wazuh]
    except TocsinError:
        # The check of rules says so.
        return ()
    return wazuh_responses(installations, config.respond.commands)


def _version(program: Path) -> Finding:
    ran = _ran(program, ["version", "--client", "-o", "json"], None)
    try:
        version = msgspec.json.decode(ran.out)["clientVersion"]["gitVersion"]
    except (msgspec.DecodeError, KeyError, TypeError):
        what = f"{program} does not tell its version: {_last(ran)}"
        return fault(CHECK, what, _WHY, WHERE_TO_GET)
    return ok(CHECK, f"{program} is there, {visible(str(version)[:40])}")


def _rights(program: Path, cluster: str, kubeconfig: Path) -> Finding:
    """Ask the API server with the responder's own credential; a response's kubectl never has it."""
    ran = _ran(program, ["auth", "can-i", "delete", "pods", "--all-namespaces"], kubeconfig)
    if ran.out.strip() == b"yes":
        return ok(CHECK, f"{cluster}: the responder may delete pods")
    if ran.out.strip() == b"no":
        what = f"{cluster}: the responder may not delete pods"
        mend = "tocsin setup rbac --actions command"
        return warning(CHECK, what, "a command that does is refused", mend)
    what = f"{cluster}: its API server cannot be asked with {kubeconfig}: {_last(ran)}"
    return warning(CHECK, what, "responses in this cluster are refused", "see respond.clusters")


def _ran(program: Path, arguments: Sequence[str], kubeconfig: Path | None) -> Ran:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Program(program, arguments, folder, environment(folder, kubeconfig)) as running:
            return running.finish(_SECONDS)


def _last(ran: Ran) -> str:
    if ran.timed_out:
        return f"it did not end within {_SECONDS:g} s"
    lines = ran.err.decode("utf-8", "replace").strip().splitlines() or [f"exit code {ran.code}"]
    return visible(lines[-1][:200])
