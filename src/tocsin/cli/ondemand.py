"""Commands that are imported when they are asked for: each loads only what it runs."""

from collections import UserDict
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group
from typing_extensions import override

# Where each command is: a module of this package, and its function or group.
_PLACES = {
    "serve": "serve:serve",
    "demo": "demo:demo",
    "detect": "detect:detect",
    "alerts": "alerts:alerts",
    "incidents": "incidents:incidents_app",
    "silence": "silence:silence_app",
    "except": "exceptions:except_alert",
    "events": "events:events",
    "sources": "sources:sources",
    "backfill": "backfill:backfill",
    "backup": "backup:backup",
    "restore": "backup:restore_backup",
    "setup": "setup_all:setup_app",
    "clusters": "clusters:clusters_app",
    "scan": "scan:scan",
    "who-can": "whocan:who_can",
    "doctor": "doctor:doctor",
    "rules": "rules:rules_app",
    "explain": "explain:explain",
    "logtest": "logtest:logtest",
    "wazuh": "wazuh:wazuh_app",
    "notify": "notify:notify_app",
    "respond": "respond:respond_app",
    "quarantine": "quarantine:quarantine_app",
    "users": "users:users_app",
    "tokens": "tokens:tokens_app",
    "bench": "bench:bench",
}


class CommandsOnDemand(TyperGroup):
    """The group of all commands; a command is imported when it is run or described."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - those of any group
        super().__init__(**settings)
        self.commands = _Commands(_PLACES)


# Typer keeps the types of its commands to itself.
class _Commands(UserDict[str, Any]):
    """Commands by name, first their places, once asked for the commands themselves."""

    @override
    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        if isinstance(found, str):
            found = self.data[name] = _imported(name, *found.split(":"))
        return found


def _imported(name: str, module: str, attribute: str) -> object:
    found = getattr(import_module(f"tocsin.cli.{module}"), attribute)
    holder = typer.Typer()
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name)(found)
    return get_group(holder).commands[name]
