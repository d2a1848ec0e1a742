"""The webhook kubeconfig and its files, as they lie on a control-plane node."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID

from tocsin.connect.keypair import signed_by
from tocsin.connect.kubeconfig import Material, WebhookTarget, read_webhook
from tocsin.connect.pki import CLIENT_ORGANIZATION
from tocsin.model.errors import TocsinError
from tocsin.runtime.doctor.finding import Finding, fault, ok, skipped, warning
from tocsin.runtime.doctor.site import Site, read_site

CHECK = "kubeconfig"

_NO_EVENTS = "the API server cannot deliver any event with it"
_EXPIRES_SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Opened:
    """A webhook kubeconfig with the content of its files; None or empty where it names none."""

    target: WebhookTarget
    site: Site
    ca: tuple[x509.Certificate, ...] = ()
    certificate: x509.Certificate | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of opening it: as far as it went, and why not further."""

    site: Site | None = None
    opened: Opened | None = None
    findings: tuple[Finding, ...] = ()


def open_webhook(path: Path) -> Attempt:
    """Read a webhook kubeconfig and the files that it names."""
    try:
        target = read_webhook(path)
    except TocsinError as error:
        return Attempt(findings=(_unreadable(error),))
    site = read_site(target.url)
    if isinstance(site, str):
        mend = f"write `server: https://HOST:PORT/v1/audit/CLUSTER/NODE` in {path}"
        return Attempt(findings=(fault(CHECK, site, _NO_EVENTS, mend),))
    contents: dict[str, bytes] = {}
    faults = []
    items = (target.ca, target.client_certificate, target.client_key, target.token)
    for material in filter(None, items):
        try:
            contents[material.key] = material.read()
        except TocsinError as error:
            faults.append(_unreadable(error, site))
    if faults:
        return Attempt(site, findings=tuple(faults))
    try:
        return Attempt(site, _open(target, site, contents))
    except ValueError as error:
        return Attempt(site, findings=(fault(CHECK, str(error), _NO_EVENTS, site.anew),))


def judge_webhook(opened: Opened, now: datetime) -> list[Finding]:
    """Return what is wrong with what a kubeconfig says, or that it is in order."""
    return [*_judge_target(opened), *_judge_certificate(opened, now), *_judge_key_file(opened)] or [
        ok(CHECK, f"the webhook kubeconfig and its files are in order ({_credential(opened)})")
    ]


def _credential(opened: Opened) -> str:
    if opened.certificate is not None:
        return f"certificate good until {opened.certificate.not_valid_after_utc:%Y-%m-%d}"
    return "a token" if opened.token else "no credential"


def _open(target: WebhookTarget, site: Site, contents: dict[str, bytes]) -> Opened:
    """Return what the files hold; ValueError, fit to be shown, if one does not hold it."""
    authorities = _certificates(target.ca, contents)
    chain = _certificates(target.client_certificate, contents)
    certificate = chain[0] if chain else None
    if target.client_key:
        key = _private_key(contents[target.client_key.key])
        if certificate is None or key.public_key() != certificate.public_key():
            message = "the client key does not belong to the client certificate"
            raise ValueError(message)
    elif certificate is not None:
        message = "there is a client certificate, but no `client-key`"
        raise ValueError(message)
    token = contents[target.token.key].decode(errors="replace").strip() if target.token else None
    return Opened(target, site, authorities, certificate, token)


def _certificates(
    material: Material | None, contents: dict[str, bytes]
) -> tuple[x509.Certificate, ...]:
    if material is None:
        return ()
    try:
        return tuple(x509.load_pem_x509_certificates(contents[material.key]))
    except ValueError as error:
        message = f"{material.path or material.key} holds no certificate in PEM form"
        raise ValueError(message) from error


def _private_key(pem: bytes) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        message = "the client key is no unencrypted private key in PEM form"
        raise ValueError(message) from error


def _unreadable(error: TocsinError, site: Site | None = None) -> Finding:
    if isinstance(error.__cause__, PermissionError):
        return skipped(CHECK, f"{error}: it needs root", "run this again with sudo")
    mend = site.anew if site else "on Tocsin's machine: tocsin setup, then copy its files here"
    return fault(CHECK, str(error), _NO_EVENTS, mend)


def _judge_target(opened: Opened) -> Iterator[Finding]:
    target, site = opened.target, opened.site
    if target.insecure:
        yield warning(
            CHECK,
            "insecure-skip-tls-verify: the API server does not check who it sends to",
            "whoever gets between it and Tocsin reads every event, and can answer in its place",
            f"{site.anew}; it pins Tocsin's own CA",
        )
    if not (opened.certificate or opened.token):
        yield warning(
            CHECK,
            "no client certificate and no token",
            "Tocsin refuses senders that it cannot recognise, unless "
            "`webhook.allow_unauthenticated_from` lets this one in",
            site.anew,
        )
    if site.cluster is None or site.node is None:
        yield warning(
            CHECK,
            f"the path {site.path} does not name cluster and node as Tocsin reads them",
            "events do not say which API server they are from, so one that falls silent is "
            "not noticed",
            f"end `server:` in /v1/audit/{site.cluster or 'CLUSTER'}/NODE",
        )
    if target.unused:
        yield warning(
            CHECK,
            f"`{'`, `'.join(target.unused)}` is used by the API server and not by this check",
            "what is found here need not be so for the API server",
            "leave it out if you can",
        )


def _judge_certificate(opened: Opened, now: datetime) -> Iterator[Finding]:
    certificate, site = opened.certificate, opened.site
    if certificate is None:
        return
    ends = certificate.not_valid_after_utc
    renew = f"on Tocsin's machine: tocsin clusters rotate {site.cluster or 'CLUSTER'}"
    if ends <= now:
        why = "Tocsin refuses it, and the API server drops its events after some minutes"
        yield fault(CHECK, f"the client certificate has expired on {ends:%Y-%m-%d}", why, renew)
    elif ends - now < _EXPIRES_SOON:
        why = "from then on no event of this cluster is accepted"
        yield warning(CHECK, f"the client certificate expires on {ends:%Y-%m-%d}", why, renew)
    if certificate.not_valid_before_utc > now:
        yield fault(
            CHECK,
            f"the client certificate is not valid before {certificate.not_valid_before_utc}",
            "either the clock of this machine is behind, or that of Tocsin was ahead",
            "set the clocks of both machines (timedatectl)",
        )
    if not _is_ours(certificate):
        return
    if opened.ca and not any(signed_by(certificate, authority) for authority in opened.ca):
        what = "the client certificate is not from the CA in the same kubeconfig"
        why = "the files are of two setups: Tocsin will refuse one of them"
        yield warning(CHECK, what, why, site.anew)
    [*names] = _values(certificate, NameOID.COMMON_NAME)
    if site.cluster is not None and names != [site.cluster]:
        yield fault(
            CHECK,
            f"the client certificate is of cluster {', '.join(names)}, and the path names "
            f"{site.cluster}",
            "Tocsin answers 403 to a credential of another cluster than the path names",
            site.anew,
        )


def _is_ours(certificate: x509.Certificate) -> bool:
    return _values(certificate, NameOID.ORGANIZATION_NAME) == [CLIENT_ORGANIZATION]


def _values(certificate: x509.Certificate, field: x509.ObjectIdentifier) -> list[str]:
    found = certificate.subject.get_attributes_for_oid(field)
    return [str(attribute.value) for attribute in found]


def _judge_key_file(opened: Opened) -> Iterator[Finding]:
    for secret in filter(None, (opened.target.client_key, opened.target.token)):
        if secret.path is not None and secret.path.stat().st_mode & stat.S_IRWXO:
            yield warning(
                CHECK,
                f"{secret.path} is open to every user of this machine",
                "whoever has it can send events in the name of this cluster",
                f"chmod 600 {secret.path}",
            )
