"""Configurations of log forwarders that send a node's audit log to Tocsin, with a token.

The second leg beside the webhook, for nodes where Tocsin itself does not run. The templates are
data: `content/forwarders`.
"""

import string
from importlib import resources
from urllib.parse import urlsplit

from tocsin.connect.bundlefile import BundleFile
from tocsin.connect.connection import Connection

FORWARDERS = ("vector", "fluent-bit")


class _Template(string.Template):
    """`@{name}` is put in; `${NAME}` is a variable of the forwarder's own."""

    delimiter = "@"


def forwarder_files(connection: Connection) -> list[BundleFile]:
    """Return the configuration of each forwarder for each node.

    There are none where the API server writes no log.
    """
    if not connection.log_backend:
        return []
    return [
        _configuration(connection, forwarder, node)
        for node in connection.nodes
        for forwarder in FORWARDERS
    ]


def _configuration(connection: Connection, forwarder: str, node: str) -> BundleFile:
    template = resources.files("tocsin") / "content" / "forwarders" / f"{forwarder}.yaml"
    name = f"{forwarder}.yaml" if len(connection.nodes) == 1 else f"{forwarder}-{node}.yaml"
    url = connection.url(node)
    parts = urlsplit(url)
    log = connection.paths.log
    text = _Template(template.read_text(encoding="utf-8")).substitute(
        name=name,
        node=node,
        cluster=connection.cluster,
        url=url,
        host=parts.hostname,
        port=parts.port,
        path=parts.path,
        config_dir=connection.paths.config_dir,
        log=log,
        # As the API server names them: audit-2026-11-23T10-45-16.123.log
        rotated=log.removesuffix(".log") + "-*.log",
    )
    return BundleFile(f"forwarders/{name}", text.encode())
