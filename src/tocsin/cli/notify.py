"""`tocsin notify`: find out whether notifications reach people."""

import asyncio
import time
from typing import Annotated

import typer
from rich.console import Console

from tocsin.cli.options import ConfigOption, read_config
from tocsin.model.errors import TocsinError
from tocsin.notify import deliver_test, make_notifier

notify_app = typer.Typer(no_args_is_help=True, help="Check the channels that people are told by.")


@notify_app.callback()
def _notify() -> None:
    """Check the channels that people are told by."""


@notify_app.command("test")
def send_test(
    channel: Annotated[
        str | None, typer.Argument(help="Name of the channel; without it, every channel.")
    ] = None,
    *,
    config: ConfigOption = None,
) -> None:
    """Send a test alert through the configured channels and say what came of it.

    Example: tocsin notify test ops --config tocsin.yaml
    """
    channels = read_config(config).notify
    if not channels:
        message = "no channel is configured: name one under `notify` in the configuration"
        raise TocsinError(message)
    if channel is not None and channel not in channels:
        message = f"there is no channel {channel!r}; there are: {', '.join(channels)}"
        raise TocsinError(message)
    console = Console(highlight=False)
    failed = 0
    for name in [channel] if channel is not None else channels:
        outcome = asyncio.run(deliver_test(make_notifier(name, channels[name]), time.time()))
        failed += not outcome.ok
        mark = "[green]delivered[/green]" if outcome.ok else "[bold red]failed[/bold red]"
        console.print(f"{name}: {mark}:", end=" ")
        console.print(outcome.detail, markup=False)
    raise typer.Exit(1 if failed else 0)
