"""What is wrong with a webhook kubeconfig that was not made for Tocsin."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from tocsin.connect.kubeconfig import WebhookTarget, read_webhook
from tocsin.connect.names import Endpoint, parse_endpoint
from tocsin.ingest.webhook import read_path
from tocsin.model.errors import TocsinError
from tocsin.runtime.adopt.files import Found
from tocsin.runtime.doctor.finding import Finding, fault, warning

CHECK = "kubeconfig"

_PORTS = {"http": 80, "https": 443}
_INSTALL = "install the webhook.yaml written here"
_INSTALL_ALL = "install the files written here"


@dataclass(frozen=True, slots=True)
class Judged:
    """A kubeconfig with what is wrong with it.

    `endpoint` is where it sends, None if nobody can connect there. `arrives` says whether a
    Tocsin that lets senders in without a credential gets its batches as it stands; `secrets`,
    whether it holds a key or a token.
    """

    findings: list[Finding]
    endpoint: Endpoint | None
    arrives: bool
    secrets: bool


def judge(found: Found) -> Judged:
    """Return what is wrong with a kubeconfig; what is in order is not mentioned."""
    try:
        target = read_webhook(found.path)
    except TocsinError as error:
        why = "the API server does not start with it"
        return Judged([fault(CHECK, str(error), why, _INSTALL)], None, arrives=False, secrets=True)
    url = _split(target.url)
    findings = [*_judge_url(target, url), *_judge_trust(target), *_judge_credential(target)]
    endpoint = None
    try:
        endpoint = _endpoint(url)
        findings += _judge_host(endpoint)
    except TocsinError as error:
        why = "the API server reaches nobody there"
        mend = "name Tocsin's address with --advertise HOST:PORT"
        findings.insert(0, fault(CHECK, f"`server: {target.url}`: {error}", why, mend))
    secrets = [material for material in (target.client_key, target.token) if material]
    return Judged(
        findings,
        endpoint,
        # A credential that Tocsin does not know is refused, wherever it comes from.
        arrives=target.insecure
        and not secrets
        and all(finding.state != "fault" for finding in findings),
        # What is not followed may be one too, such as a user's password.
        secrets=bool(target.unused) or any(material.path is None for material in secrets),
    )


def _split(url: str) -> SplitResult | None:
    """Return the URL in parts; without a scheme, an API server that verifies nobody uses TLS."""
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        has_port = parts.port != 0
    except ValueError:
        return None
    return parts if has_port else None


def _endpoint(url: SplitResult | None) -> Endpoint:
    if url is None or not url.hostname or url.username is not None:
        message = "this is no address"
        raise TocsinError(message)
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return parse_endpoint(f"{host}:{url.port or _PORTS.get(url.scheme, 443)}")


def _judge_url(target: WebhookTarget, url: SplitResult | None) -> Iterator[Finding]:
    if url is None:
        return
    if url.scheme == "http":
        yield fault(
            CHECK,
            f"`server: {target.url}` sends without TLS",
            "Tocsin speaks TLS only, so nothing arrives; and events hold what your cluster does",
            _INSTALL,
        )
    cluster, node = read_path(url.path)
    if cluster is None or node is None:
        yield warning(
            CHECK,
            f"`server: {target.url}` has no path that names the cluster and the API server",
            "events say neither, so clusters cannot be told apart, and nobody notices when one "
            "of several API servers falls silent",
            f"{_INSTALL}; its path is /v1/audit/CLUSTER/NODE",
        )
    if target.unused:
        yield warning(
            CHECK,
            f"`{'`, `'.join(target.unused)}` is not taken over",
            "the new kubeconfig connects directly and with a credential of its own",
            "add it to webhook.yaml by hand if you need it",
        )


def _judge_trust(target: WebhookTarget) -> Iterator[Finding]:
    if target.insecure:
        yield warning(
            CHECK,
            "insecure-skip-tls-verify: the API server does not check who answers",
            "whoever is on the way, or takes the address, reads every event and can answer in "
            "Tocsin's place: no alarm would ever ring",
            f"{_INSTALL_ALL}; they pin Tocsin's own CA",
        )
    else:
        trusted = f"the authority in `{target.ca.key}`" if target.ca else "the node's authorities"
        yield warning(
            CHECK,
            f"the API server trusts {trusted} to say who Tocsin is",
            "Tocsin's certificate is from its own CA: unless that is this one, the API server "
            "refuses to talk to it",
            f"{_INSTALL_ALL}; they pin Tocsin's own CA",
        )
    if target.ca is not None and target.ca.path is None:
        yield warning(
            CHECK,
            "the certificate authority stands in the kubeconfig itself",
            "it is read once, when the API server starts: another CA needs a restart",
            f"{_INSTALL}; it names a file",
        )


def _judge_credential(target: WebhookTarget) -> Iterator[Finding]:
    credentials = [m for m in (target.client_certificate, target.client_key, target.token) if m]
    if not credentials:
        yield warning(
            CHECK,
            "no client certificate and no token",
            "anyone who reaches the port can send events: forge alarms, or drown a real one",
            f"{_INSTALL_ALL}; they hold a certificate of this cluster",
        )
        return
    yield warning(
        CHECK,
        f"it shows a credential (`{'`, `'.join(m.key for m in credentials)}`)",
        "Tocsin takes certificates and tokens of its own only, and refuses others",
        f"{_INSTALL_ALL}; they hold a certificate of this cluster",
    )
    inline = [material.key for material in credentials if material.path is None]
    if inline:
        yield warning(
            CHECK,
            f"`{'`, `'.join(inline)}` stands in the kubeconfig itself",
            "it is read once, when the API server starts: renewing it needs a restart of every "
            "API server",
            f"{_INSTALL}; it names files, which are read again when they change",
        )


def _judge_host(endpoint: Endpoint) -> Iterator[Finding]:
    if endpoint.is_loopback:
        yield warning(
            CHECK,
            f"{endpoint.host} is the control-plane node itself",
            "Tocsin is reached there only if it runs on that very node",
            "name another address with --advertise HOST:PORT",
        )
    if endpoint.is_cluster_service:
        yield warning(
            CHECK,
            f"{endpoint.host} is a service of the cluster",
            "API servers use the node's DNS, which usually does not know it, and a service is "
            "away whenever the cluster is in trouble",
            "name an IP address, a load balancer or a node port with --advertise HOST:PORT",
        )
