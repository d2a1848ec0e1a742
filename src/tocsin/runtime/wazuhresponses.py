"""Active responses of Wazuh as response rules: an ossec.conf that enables one means it."""

from collections.abc import Iterable, Mapping

import msgspec

from tocsin.dialects.wazuh.responses import WazuhResponse
from tocsin.respond.actions.command import Parameters
from tocsin.respond.command.template import placeholders
from tocsin.respond.match import When
from tocsin.respond.settings import CommandSettings, ResponseRule
from tocsin.runtime.wazuh import Wazuh
from tocsin.runtime.wazuhfiles import WazuhFiles

_MAX_NAME = 63


def wazuh_responses(
    installations: Iterable[Wazuh], commands: Mapping[str, CommandSettings]
) -> tuple[ResponseRule, ...]:
    """Return the enabled active responses that a rule asks for, in mode `auto`.

    Args:
        installations: what was loaded.
        commands: what the configuration says of commands, by their names in ossec.conf.
    """
    rules: dict[str, ResponseRule] = {}
    for wazuh in installations:
        bound = list(wazuh.installation.tree.rules())
        for response in wazuh.responses.enabled:
            ids = tuple(map(str, response.bound_to(bound)))
            if ids:
                name = _free_name(response.name, rules)
                rules[name] = _rule(name, response, ids, wazuh.files, commands)
    return tuple(rules.values())


def _rule(
    name: str,
    response: WazuhResponse,
    ids: tuple[str, ...],
    files: WazuhFiles,
    commands: Mapping[str, CommandSettings],
) -> ResponseRule:
    command = response.command
    known = commands.get(command.name)
    inverse = commands.get(known.inverse) if known and known.inverse else None
    parameters = Parameters(
        executable=command.executable,
        arguments=command.extra_args,
        fields=known.fields if known else {},
        verbs=known.verbs if known else (),
        timeout_seconds=known.timeout_seconds if known else 30.0,
        inverse=inverse.arguments if inverse else None,
        active_response_bin=files.active_response_bin,
        strict=files.strict,
        timeouts=(float(response.timeout), *map(float, response.offenders)),
    )
    return ResponseRule(
        name=name,
        when=When(rules=ids),
        actions=({"command": msgspec.to_builtins(parameters)},),
        mode="auto",
        undo_after_seconds=float(response.timeout) if _has_way_back(parameters) else 0.0,
    )


def _has_way_back(parameters: Parameters) -> bool:
    """Return whether anything is run when the time is over.

    That is what Wazuh's own programs ask for. A command whose arguments were filled in is not
    run again: it would be about whatever has the object's name by then.
    """
    if parameters.inverse is not None:
        return True
    own = bool(parameters.active_response_bin)
    return own and (parameters.strict or not placeholders(parameters.arguments))


def _free_name(name: str, taken: Mapping[str, object]) -> str:
    """Return a name for a response rule that says which of Wazuh's it is."""
    plain = "".join(char if char.isascii() and char.isalnum() else "-" for char in name.lower())
    wanted = f"wazuh-{plain}"[:_MAX_NAME]
    number = 2
    while wanted in taken:
        ending = f"-{number}"
        wanted = f"{f'wazuh-{plain}'[: _MAX_NAME - len(ending)]}{ending}"
        number += 1
    return wanted
