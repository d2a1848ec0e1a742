"""A Tocsin of its own for `demo` and `bench`, and what posts to it."""

from pathlib import Path

import msgspec

from tocsin.connect.clusters import add_cluster
from tocsin.connect.pki import ensure_server_certificate
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.poster import Poster, own_receiver


def on_free_ports(folder: Path) -> Config:
    """Return a configuration with its data in `folder`, on free loopback ports."""
    config = load_config(None, {}, folder)
    return msgspec.structs.replace(
        config,
        webhook=msgspec.structs.replace(config.webhook, port=0),
        health=msgspec.structs.replace(config.health, port=0),
        web=msgspec.structs.replace(config.web, port=0),
        # What is posted here may be a recording, and old.
        watch=msgspec.structs.replace(config.watch, alerts=False),
    )


def local_poster(config: Config, cluster: str, port: int) -> Poster:
    """Make `cluster` known to the Tocsin of this configuration, and return what posts for it.

    Args:
        config: that of the Tocsin, which listens on loopback.
        cluster: whose events will be posted.
        port: where its webhook really listens.
    """
    ensure_server_certificate(config.folder / "pki")
    add_cluster(config.folder, cluster)
    webhook = msgspec.structs.replace(config.webhook, port=port)
    return Poster(own_receiver(config.folder, cluster, "recording", webhook))
