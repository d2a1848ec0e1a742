"""TLS of the webhook: the server's context, renewed from its files, and the peer's certificate.

A renewed certificate, key or client CA is used for the next handshake; connections that stand
are left alone. Files that do not fit together (one is being replaced) change nothing.
"""

import asyncio
import logging
import ssl
from pathlib import Path

import msgspec

from tocsin.model.errors import TocsinError

_log = logging.getLogger(__name__)

_Stamp = tuple[tuple[int, int, int], ...]


class TlsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Paths of PEM files: what the server shows, and the CA that client certificates come from."""

    certificate: str
    key: str
    client_ca: str


class ServerTls:
    """The server side's SSLContext, built anew whenever one of its files has changed."""

    def __init__(self, settings: TlsSettings) -> None:
        """Load the files; raise TocsinError when they are missing or do not fit together."""
        self._settings = settings
        try:
            self._stamp = _stamp(settings)
            self._context = _build(settings)
        except OSError as error:
            msg = f"TLS files {settings.certificate}, {settings.key}, {settings.client_ca}: {error}"
            raise TocsinError(msg) from error

    def context(self, *, certificate_required: bool) -> ssl.SSLContext:
        """Return the context for the next handshake.

        Without `certificate_required` a client may come without a certificate (it has a bearer
        token), but one that it shows must still be good.
        """
        self._reload()
        required = ssl.CERT_REQUIRED if certificate_required else ssl.CERT_OPTIONAL
        self._context.verify_mode = required
        return self._context

    def _reload(self) -> None:
        """Take changed files if they load; else keep what works and try again when they change."""
        try:
            stamp = _stamp(self._settings)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._context = _build(self._settings)
        except OSError as error:
            _log.warning("TLS files not renewed, the old ones stay in use: %s", error)


def peer_certificate(transport: asyncio.BaseTransport) -> str | None:
    """Return the client's certificate as PEM, or None if it showed none."""
    connection: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    der = connection.getpeercert(binary_form=True) if connection else None
    return ssl.DER_cert_to_PEM_cert(der) if der else None


def _stamp(settings: TlsSettings) -> _Stamp:
    stats = [Path(p).stat() for p in (settings.certificate, settings.key, settings.client_ca)]
    return tuple((s.st_ino, s.st_mtime_ns, s.st_size) for s in stats)


def _build(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # An encrypted key shall fail here; without a password OpenSSL would ask on the terminal.
    context.load_cert_chain(settings.certificate, settings.key, password="")
    context.load_verify_locations(settings.client_ca)
    context.set_alpn_protocols(["http/1.1"])
    # No resumption: every connection proves its certificate against the current CA.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    return context
