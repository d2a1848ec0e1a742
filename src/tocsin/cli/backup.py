"""`tocsin backup` and `tocsin restore`: all that a Tocsin needs to go on elsewhere, in one file."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from tocsin.cli.options import ConfigOption, DataOption, JsonOption, read_config
from tocsin.runtime.backup import Manifest, restore, save
from tocsin.runtime.config import Config
from tocsin.runtime.doctor.disk import in_units

_console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file, such as day.tar.zst.")],
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    with_events: Annotated[
        bool, typer.Option("--with-events", help="The stored events and the quarantine as well.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Save alerts, incidents, users, keys, clusters and configuration, also while serving.

    The file holds private keys: keep it as safe as the data folder itself.

    Example: tocsin backup tocsin-2026-11-23.tar.zst
    """
    settings = read_config(config, data)
    with _bar("saving") as (started, advance):
        saved = save(settings, config, file, events=with_events, started=started, advance=advance)
    if as_json:
        print(json.dumps(_summary(saved.manifest) | {"bytes": saved.size, "behind": saved.behind}))
        return
    _console.print(f"{file}: {in_units(saved.size)}, {_described(saved.manifest)}")
    for warning in _not_in_it(settings, with_events=with_events, behind=saved.behind):
        _console.print(f"! {warning}", style="yellow")


def restore_backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `tocsin backup` wrote.")],
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also where there is data; it is moved aside.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Restore a backup into a data folder that no Tocsin runs on.

    Everything is checked before anything is touched. Everybody has to log in again.

    Example: tocsin restore tocsin-2026-11-23.tar.zst --data /var/lib/tocsin
    """
    folder = read_config(config, data).folder
    with _bar("restoring") as (started, advance):
        restored = restore(file, folder, force=force, started=started, advance=advance)
    if as_json:
        aside = str(restored.aside) if restored.aside else None
        kept = str(restored.config) if restored.config else None
        print(json.dumps(_summary(restored.manifest) | {"config": kept, "aside": aside}))
        return
    _console.print(f"{folder}: {_described(restored.manifest)}")
    if restored.aside:
        _console.print(f"What was there is in {restored.aside}.")
    option = f"--config {restored.config} " if restored.config else ""
    _console.print(f"Start it with `tocsin serve {option}--data {folder}`.")
    _console.print(
        "! Users, tokens and clusters are as they were then: take away again what was taken away "
        "since.",
        style="yellow",
    )


@contextmanager
def _bar(what: str) -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as progress:
        task = progress.add_task(what, total=None)
        yield (
            lambda total: progress.update(task, total=total),
            lambda step: progress.advance(task, step),
        )


def _summary(manifest: Manifest) -> dict[str, object]:
    found: dict[str, object] = msgspec.to_builtins(manifest)
    return found | {"files": len(manifest.files)}


def _described(manifest: Manifest) -> str:
    made = datetime.fromtimestamp(manifest.created, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    events = "with" if manifest.events else "without"
    return f"{len(manifest.files)} files of {made}, {events} stored events"


def _not_in_it(settings: Config, *, with_events: bool, behind: int) -> Iterator[str]:
    """Yield what somebody may miss one day."""
    if behind and not with_events:
        yield (
            f"{behind} posts of events were not evaluated yet and are not in it: add --with-events"
        )
    if settings.spool_key:
        yield f"the key of stored events is not in it, as it is kept apart: {settings.spool_key}"
    own = settings.folder.resolve()
    tls = settings.webhook.tls
    for path in (tls.certificate, tls.key):
        if own not in Path(path).resolve().parents:
            yield f"{path} is not in it, as it is not in {settings.folder}"
    outside = [file.checkpoint for file in settings.files]
    for checkpoint in outside:
        if own not in Path(checkpoint).resolve().parents:
            yield f"{checkpoint} is not in it: without it the log is read again from its beginning"
