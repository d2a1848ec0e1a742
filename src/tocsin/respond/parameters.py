"""Parameters of actions: those in the configuration, checked and completed with defaults."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from tocsin.respond.actions.base import Action
from tocsin.respond.settings import ActionStep, ResponseRule


class Wrong(NamedTuple):
    """What no action understands in the configuration, and where under `respond` it stands."""

    message: str
    path: tuple[str | int, ...]


def complete(step: ActionStep, action: Action) -> dict[str, object]:
    """Return all parameters of a step, as JSON values.

    Raises:
        ValueError: one is unknown, or of the wrong type.
    """
    known = {one.encode_name for one in msgspec.structs.fields(action.parameters)}
    if unknown := sorted(step.parameters.keys() - known):
        listed = ", ".join(sorted(known)) or "none"
        message = f"{step.action} has no parameter {unknown[0]!r}; there are: {listed}"
        raise ValueError(message)
    filled = msgspec.convert(step.parameters, action.parameters)
    parameters: dict[str, object] = msgspec.to_builtins(filled)
    return parameters


def check(rules: Sequence[ResponseRule], actions: Mapping[str, Action]) -> list[Wrong]:
    """Return what is wrong with the actions that responses ask for."""
    found = []
    for number, rule in enumerate(rules):
        path = ("responses", number)
        wrong = [
            Wrong(message, (*path, "actions", place))
            for place, step in enumerate(rule.steps)
            if (message := _wrong_step(step, actions))
        ]
        if not wrong and rule.undo_after_seconds and not _is_reversible(rule, actions):
            message = "none of these actions can be undone"
            wrong = [Wrong(message, (*path, "undo_after_seconds"))]
        found += wrong
    return found


def _wrong_step(step: ActionStep, actions: Mapping[str, Action]) -> str | None:
    action = actions.get(step.action)
    if action is None:
        return f"there is no action {step.action!r}; there are: {', '.join(sorted(actions))}"
    try:
        complete(step, action)
    except ValueError as error:
        return str(error)
    return None


def _is_reversible(rule: ResponseRule, actions: Mapping[str, Action]) -> bool:
    return any(actions[step.action].reversible for step in rule.steps)
