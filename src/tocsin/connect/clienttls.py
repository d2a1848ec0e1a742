"""The TLS settings of a client that goes by a kubeconfig, as an API server would."""

import ssl
import tempfile
from pathlib import Path

from tocsin.connect.kubeconfig import Material, WebhookTarget
from tocsin.model.errors import TocsinError


def client_context(target: WebhookTarget, *, verify: bool = True) -> ssl.SSLContext:
    """Return the settings for connections to the kubeconfig's server.

    Without a CA in the kubeconfig the system's are trusted. Names are looked for where Go looks
    for them, which is not the common name.

    Args:
        target: the kubeconfig.
        verify: whether the server has to prove who it is; never without `target.insecure`,
            except to look at what it shows.

    Raises:
        TocsinError: a file that it names cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.hostname_checks_common_name = False
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif target.ca is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(cadata=pem_text(target.ca))
        except ssl.SSLError as error:
            message = f"{target.ca.path or target.ca.key} holds no CA certificate"
            raise TocsinError(message) from error
    if target.client_certificate is not None and target.client_key is not None:
        _load_pair(context, target.client_certificate, target.client_key)
    return context


def pem_text(material: Material) -> str:
    """Return a certificate or key as text; TocsinError if it is nothing of the kind."""
    text = material.read().decode("ascii", "replace")
    if "-----BEGIN " not in text:
        message = f"{material.path or material.key} holds nothing in PEM form"
        raise TocsinError(message)
    return text


def _load_pair(context: ssl.SSLContext, certificate: Material, key: Material) -> None:
    # The ssl module takes files only, and what stands inline is in none.
    with tempfile.TemporaryDirectory(prefix="tocsin-") as folder:
        path = Path(folder) / "client.pem"
        path.touch(mode=0o600)
        path.write_text(f"{pem_text(certificate)}\n{pem_text(key)}", encoding="utf-8")
        try:
            # Without a password OpenSSL would ask for that of an encrypted key on the terminal.
            context.load_cert_chain(path, password="")
        except ssl.SSLError as error:
            message = "the client certificate and key of the kubeconfig do not fit together"
            raise TocsinError(message) from error
