"""`tocsin serve`: receive events, detect, alert, until stopped."""

import asyncio
import contextlib
import signal
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from tocsin.cli.options import (
    BuiltinOption,
    ConfigOption,
    DataOption,
    StrictOption,
    WazuhOption,
    read_config,
    wazuh_files,
)
from tocsin.cli.wazuhwarnings import tell_wazuh_warnings
from tocsin.connect.clusters import load_clusters
from tocsin.connect.pki import ensure_server_certificate
from tocsin.ingest.networks import banner
from tocsin.ingest.seal import load_or_create_key
from tocsin.ingest.tls import ServerTls
from tocsin.model.errors import LoadError
from tocsin.runtime.config import Config, WazuhRules
from tocsin.runtime.logs import configure_logs
from tocsin.runtime.rules import rules_in_force
from tocsin.runtime.supervise import Supervisor
from tocsin.runtime.web import check_certificate


def serve(  # noqa: PLR0913 - every option of the command is a parameter
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
    dashboard_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port for the dashboard.", show_default="8443"),
    ] = None,
    wazuh: WazuhOption = None,
    strict: StrictOption = False,
    builtin: BuiltinOption = True,
) -> None:
    """Run Tocsin: receive audit events, detect attacks, tell people, show it all.

    Example: tocsin serve --host 0.0.0.0
    """
    settings = read_config(config, data)
    webhook = msgspec.structs.replace(
        settings.webhook,
        host=host or settings.webhook.host,
        port=settings.webhook.port if port is None else port,
    )
    more = (WazuhRules(files) for files in wazuh_files(wazuh, strict=strict))
    web = settings.web
    if dashboard_port is not None:
        web = msgspec.structs.replace(web, port=dashboard_port)
    settings = msgspec.structs.replace(
        settings,
        webhook=webhook,
        web=web,
        rules=(*settings.rules, *more),
        builtin_rules=settings.builtin_rules and builtin,
    )
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
    if config.web.enabled:
        check_certificate(config)
    load_or_create_key(config.key_path)
    loaded = rules_in_force(config)
    if loaded.faults:
        raise LoadError(loaded.faults)
    tell_wazuh_warnings(loaded.wazuh)


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
    if supervisor.web_url:
        console.print(f"  dashboard: {supervisor.web_url}", soft_wrap=True)
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
