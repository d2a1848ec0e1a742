"""`tocsin serve`: receive events, detect, alert, until stopped."""

import asyncio
import contextlib
import signal
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from tocsin.cli.options import ConfigOption, DataOption, read_config
from tocsin.connect.clusters import load_clusters
from tocsin.connect.pki import ensure_server_certificate
from tocsin.ingest.networks import banner
from tocsin.ingest.seal import load_or_create_key
from tocsin.ingest.tls import ServerTls
from tocsin.model.errors import LoadError
from tocsin.runtime.config import Config
from tocsin.runtime.logs import configure_logs
from tocsin.runtime.rules import rules_in_force
from tocsin.runtime.supervise import Supervisor


def serve(
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    host: Annotated[
        str | None, typer.Option(help="Address for the webhook.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port for the webhook.", show_default="8080"),
    ] = None,
) -> None:
    """Run Tocsin: receive audit events, detect attacks, tell people.

    Example: tocsin serve --host 0.0.0.0
    """
    settings = read_config(config, data)
    webhook = msgspec.structs.replace(
        settings.webhook,
        host=host or settings.webhook.host,
        port=settings.webhook.port if port is None else port,
    )
    settings = msgspec.structs.replace(settings, webhook=webhook)
    check(settings)
    configure_logs("supervisor")
    supervisor = Supervisor(settings)
    _greet(settings, supervisor)
    asyncio.run(_run(supervisor))


def check(config: Config) -> None:
    """Make what a first start needs, and find what would stop the processes from starting.

    Raises:
        TocsinError: with what is wrong, before any process is started.
    """
    ensure_server_certificate(config.folder / "pki")
    ServerTls(config.webhook.tls)
    load_or_create_key(config.key_path)
    loaded = rules_in_force(config)
    if loaded.faults:
        raise LoadError(loaded.faults)


async def _run(supervisor: Supervisor) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, supervisor.stop)
    loop.add_signal_handler(signal.SIGHUP, supervisor.reload)
    with contextlib.suppress(asyncio.CancelledError):
        await supervisor.run()


def _greet(config: Config, supervisor: Supervisor) -> None:
    console = Console(stderr=True, highlight=False)
    known = load_clusters(config.folder).clusters
    clusters = sorted(name for name, cluster in known.items() if cluster.revoked is None)
    host = config.webhook.host
    console.print(f"[bold]Tocsin[/bold] is listening on https://{host}:{supervisor.webhook_port}")
    console.print(
        f"  health and metrics: http://{config.health.host}:{supervisor.health_port}/readyz"
    )
    console.print(f"  data: {config.folder.resolve()}")
    if clusters:
        console.print(f"  clusters: {', '.join(clusters)}")
    else:
        console.print("  no cluster is connected yet: run `tocsin setup --advertise HOST:PORT`")
    if not config.notify:
        console.print("  nobody is notified: name a channel under `notify` in tocsin.yaml")
    if warning := banner(config.webhook.allow_unauthenticated_from):
        console.print(Text(f"! {warning}.", style="bold yellow"), soft_wrap=True)
