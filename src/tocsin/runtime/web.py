"""The web process: the dashboard, over HTTPS.

It reads what the others store, and writes only what people do. Apart from them, so that no
page, however slow, delays an acknowledgement or a detection.
"""

import asyncio
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import uvicorn
import uvloop
from prometheus_client import CollectorRegistry

from tocsin.ingest.networks import banner
from tocsin.ingest.seal import Sealer, load_or_create_key
from tocsin.ingest.spool import SpoolHistory
from tocsin.lifeline.words import state_of
from tocsin.model.errors import TocsinError
from tocsin.model.people import PeopleStore
from tocsin.runtime.child import Link
from tocsin.runtime.config import Config
from tocsin.runtime.eventlog.log import SpoolEventLog
from tocsin.runtime.eventlog.thread import SearchThread
from tocsin.runtime.joining import join_when_ready
from tocsin.runtime.metrics import exposition
from tocsin.runtime.quietserver import QuietServer
from tocsin.runtime.report import Report
from tocsin.runtime.responding import FolderSwitch, asking, responding
from tocsin.runtime.weblook import Quarantines, Rules, disk_of, processes_at
from tocsin.runtime.workbench import make_workbench
from tocsin.store.sqlite import SqliteStore
from tocsin.web.access.secret import digest_of, new_secret
from tocsin.web.app import Web, make_app
from tocsin.web.metrics import WebMetrics
from tocsin.web.rendering import HTMX_FILES, static_files
from tocsin.web.site import Site

SETUP_SECONDS = 86400.0
KEEP_NOTES_DAYS = 400.0
TIDY_SECONDS = 3600.0
STOP_SECONDS = 2
IDLE_SECONDS = 75
# Whatever receives and evaluates events gets the processor first.
NICE = 10

log = logging.getLogger(__name__)


def make_site(config: Config, store: SqliteStore, health_url: str, url: str) -> Site:
    """Return everything that pages need.

    Args:
        config: the configuration.
        store: the store, open for writing: sessions and what people do go there.
        health_url: where the supervisor tells the state of the processes.
        url: what links to the dashboard begin with.
    """
    rules = Rules(config)
    history = SpoolHistory(config.spool_folder, Sealer(load_or_create_key(config.key_path)))
    warning = banner(config.webhook.allow_unauthenticated_from)
    return Site(
        alerts=store,
        incidents=store.incidents,
        people=store.people,
        health=store.health,
        sources=store.sources,
        outbox=store.outbox,
        events=SearchThread(SpoolEventLog(history)),
        responses=store.responses,
        silences=store.silences,
        switch=FolderSwitch(config.responses_folder, time.time),
        responding=responding(config.respond, asking(config)),
        source_state=state_of,
        rules=rules.rules,
        rule_faults=rules.faults,
        workbench=make_workbench(rules.in_force, store.sources, config.sets),
        state=lambda: processes_at(health_url),
        disk=lambda: disk_of(config.folder, config.spool_folder, time.time()),
        quarantined=Quarantines(config.quarantine_folder).count,
        warnings=(warning,) if warning else (),
        settings={
            "channels": tuple(config.notify),
            "keep_days": f"{config.alerts.keep_days:g}",
            "max_alerts": config.alerts.max_alerts,
        },
        public_url=url,
    )


def serve_web(
    link: Link,
    config: Config,
    sockets: Sequence[socket.socket],
    health_url: str,
    offer_setup: bool,  # noqa: FBT001 - a process's arguments have no names
) -> None:
    """Serve the dashboard until told to stop.

    Args:
        link: the tie to the supervisor.
        config: the configuration.
        sockets: where to listen; they stay open over a restart.
        health_url: where the supervisor tells the state of the processes.
        offer_setup: whether to print a link for the first user while there is none.
    """
    os.nice(NICE)
    registry = CollectorRegistry()
    serving = threading.Event()
    link.report_regularly(
        lambda: Report(
            ready=serving.is_set(),
            reason="" if serving.is_set() else "starting",
            metrics=exposition(registry),
        )
    )
    store = join_when_ready(link, config.store_path)
    if store is None:
        return
    url = config.web.url(sockets[0].getsockname()[1])
    with store:
        missing = set(HTMX_FILES) - set(static_files())
        if missing:
            log.warning(
                "%s are not installed: pages work, but do not refresh by themselves; "
                "install Tocsin from a wheel, or run `make setup`",
                ", ".join(sorted(missing)),
            )
        if offer_setup:
            offer_first_user(store.people, url, time.time())
        app = make_app(make_site(config, store, health_url, url), WebMetrics(registry))
        uvloop.run(_serve(link, config, app, sockets, serving))


def offer_first_user(people: PeopleStore, url: str, now: float) -> None:
    """Print a link for making the first user, as long as there is none."""
    if people.users():
        return
    token = new_secret()
    people.offer_setup(digest_of(token), now + SETUP_SECONDS)
    log.warning(
        "nobody can log in yet; make the first user, once and within a day, at %s/setup?token=%s",
        url,
        token,
    )


async def _serve(
    link: Link,
    config: Config,
    app: Web,
    sockets: Sequence[socket.socket],
    serving: threading.Event,
) -> None:
    certificate, key = web_certificate(config)
    settings = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ssl_certfile=str(certificate),
        ssl_keyfile=str(key),
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        limit_concurrency=1000,
    )
    settings.load()
    if settings.ssl is not None:
        settings.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    server = QuietServer(settings)
    answering = asyncio.create_task(server.serve(list(sockets)))
    tidying = asyncio.create_task(_tidy(app.people))
    serving.set()
    await asyncio.to_thread(link.stopping.wait)
    tidying.cancel()
    app.live.stopping.set()
    server.should_exit = True
    await answering


def web_certificate(config: Config) -> tuple[Path, Path]:
    """Return the files of the certificate that the dashboard shows, and of its key."""
    pki = config.folder / "pki"
    return (
        Path(config.web.certificate or pki / "server.crt"),
        Path(config.web.key or pki / "server.key"),
    )


def check_certificate(config: Config) -> None:
    """Refuse a certificate and key that cannot be used.

    Raises:
        TocsinError: they cannot be read, or do not belong together.
    """
    certificate, key = web_certificate(config)
    try:
        # An encrypted key shall fail here; without a password OpenSSL would ask on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except OSError as error:
        message = f"the dashboard's certificate {certificate} and key {key}: {error}"
        raise TocsinError(message) from error


async def _tidy(people: PeopleStore) -> None:
    """Drop sessions that are over and old notes, once an hour."""
    while True:
        await asyncio.to_thread(people.expire, time.time(), KEEP_NOTES_DAYS)
        await asyncio.sleep(TIDY_SECONDS)
