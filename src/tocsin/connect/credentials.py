"""Credentials of clusters: handed out, replaced without a gap, taken back.

Always in this order: the list of clusters first, then the files. A crash in between leaves a
digest that no token fits, not a token that the receiver does not know.
"""

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import msgspec

from tocsin.connect.bundle import State, write_bundle
from tocsin.connect.bundlefile import BundleFile
from tocsin.connect.clusters import (
    Certificate,
    Cluster,
    Token,
    add_cluster,
    change_cluster,
    ended,
    known_cluster,
    load_clusters,
    token_digest,
    with_certificate,
    with_token,
)
from tocsin.connect.files import make_private_folder, read_if_exists, read_required
from tocsin.connect.keypair import load_pair, serial_hex
from tocsin.connect.kubeconfig import Credential
from tocsin.connect.pki import LOCAL_NAMES, Authority, Issued
from tocsin.model.errors import TocsinError

SHOWN = 12
"""How much of a serial number or digest is shown where a person tells them apart."""

_TOKEN_BYTES = 32
_WHOLE_SERIAL = re.compile("[0-9a-f]{16,40}")

_Credential = TypeVar("_Credential", Certificate, Token)


@dataclass(frozen=True, slots=True)
class Place:
    """Whose credentials: the cluster, Tocsin's data folder, and the folder for the files."""

    cluster: str
    data: Path
    out: Path


@dataclass(frozen=True, slots=True)
class Handed:
    """A credential that is in the list, and its files, which are yet to be written.

    `ends` is when the credentials in `replaced` are refused, None where it replaces none.
    """

    place: Place
    kind: Credential
    identity: str
    expires: datetime | None
    files: tuple[BundleFile, ...]
    ends: datetime | None = None
    replaced: tuple[str, ...] = ()

    def write(self) -> dict[str, State]:
        """Write the files; return what became of each."""
        return write_bundle(self.place.out, self.files)


def hand_out(place: Place, kind: Credential, now: datetime, host: str | None = None) -> Handed:
    """Make a cluster known with a credential; what it has and is still good is kept.

    `host` is a name or address for the receiver's certificate.
    """
    authority = _prepared(place)
    authority.issue_server([*LOCAL_NAMES, *([host] if host else [])])
    known = load_clusters(place.data).clusters.get(place.cluster, Cluster())
    if kind == "certificate":
        issued = authority.issue_client(place.cluster, revoked=known.ended_serials)
        add_cluster(place.data, place.cluster, certificate=issued, now=now)
        return _handed_certificate(place, authority, issued)
    token = usable_token(place.out / "token", known)
    add_cluster(place.data, place.cluster, token=token, now=now)
    return _handed_token(place, authority, token)


def rotate(place: Place, kind: Credential | None, grace: timedelta, now: datetime) -> Handed:
    """Make a new credential; the one it replaces stays good for `grace`.

    A new certificate replaces all certificates of the cluster. A new token replaces the one
    in the folder for the files, or all tokens of the cluster where none of them is there: a
    forwarder may have a token of its own.

    Raises:
        TocsinError: the cluster is not known or revoked, or it is unclear what to replace.
    """
    known = known_cluster(place.data, place.cluster)
    if known.revoked is not None:
        message = (
            f"cluster {place.cluster!r} is revoked; `tocsin clusters add {place.cluster}` gives "
            "it new credentials"
        )
        raise TocsinError(message)
    if (kind or _only_kind(place.cluster, known, now)) == "certificate":
        return _rotate_certificate(place, known, grace, now)
    return _rotate_token(place, known, grace, now)


def revoke(data: Path, name: str, now: datetime) -> None:
    """Refuse all that a cluster sends, from now on."""

    def change(cluster: Cluster) -> Cluster:
        certificate = _certificate_on_disk(data, name)
        if certificate is not None:
            cluster = with_certificate(cluster, certificate)
        return msgspec.structs.replace(cluster, revoked=min(now, cluster.revoked or now))

    change_cluster(data, name, change, now)


def revoke_one(data: Path, name: str, credential: Certificate | Token, now: datetime) -> None:
    """Refuse one credential of a cluster from now on; a certificate need not be listed yet."""

    def change(cluster: Cluster) -> Cluster:
        if isinstance(credential, Certificate):
            cluster = with_certificate(cluster, credential)
        return _without(cluster, [credential.identity], now)

    change_cluster(data, name, change, now)


def find_certificate(cluster: Cluster, text: str) -> Certificate:
    """Return the certificate whose serial number is, or begins with, `text` (hexadecimal).

    A whole number need not be in the list: an authority of one's own may have issued it.

    Raises:
        TocsinError: there is none, or several.
    """
    wanted = text.lower().replace(":", "").lstrip("0")
    found = [known for known in cluster.certificates if known.serial.startswith(wanted)]
    if not found and _WHOLE_SERIAL.fullmatch(wanted):
        return Certificate(wanted)
    return _only(found, f"certificate {text!r}", [known.serial for known in cluster.certificates])


def find_token(cluster: Cluster, text: str) -> Token:
    """Return the token whose SHA-256 begins with `text`.

    Raises:
        TocsinError: there is none, or several.
    """
    found = [known for known in cluster.tokens if known.sha256.startswith(text.lower())]
    return _only(found, f"token {text!r}", [known.sha256[:SHOWN] for known in cluster.tokens])


def usable_token(path: Path, known: Cluster) -> str:
    """Return the token in a file, if the receiver still takes it, or a new one."""
    token = _token_in(path)
    return token if token and known.has_token(token) else secrets.token_urlsafe(_TOKEN_BYTES)


def certificate_files(issued: Issued) -> tuple[BundleFile, ...]:
    """Return the files with which an API server shows a certificate."""
    return (
        BundleFile("client.crt", read_required(issued.certificate)),
        BundleFile("client.key", read_required(issued.key), secret=True),
    )


def token_file(token: str) -> BundleFile:
    """Return the file that holds a token."""
    return BundleFile("token", f"{token}\n".encode(), secret=True)


def authority_file(authority: Authority) -> BundleFile:
    """Return the file that an API server pins."""
    return BundleFile("ca.crt", read_required(authority.certificate_path))


def _prepared(place: Place) -> Authority:
    make_private_folder(place.data)
    make_private_folder(place.out)
    return Authority.load_or_create(place.data / "pki")


def _handed_certificate(place: Place, authority: Authority, issued: Issued) -> Handed:
    files = (authority_file(authority), *certificate_files(issued))
    return Handed(place, "certificate", issued.serial, issued.expires, files)


def _handed_token(place: Place, authority: Authority, token: str) -> Handed:
    files = (authority_file(authority), token_file(token))
    return Handed(place, "token", token_digest(token), None, files)


def _rotate_certificate(place: Place, known: Cluster, grace: timedelta, now: datetime) -> Handed:
    authority = _prepared(place)
    issued = authority.issue_client(place.cluster, revoked=known.ended_serials)
    former = {listed.serial for listed in known.certificates if known.takes(listed, now)}
    in_use = [] if issued.reason else [Certificate(issued.serial, expires=issued.expires)]
    if in_use:
        former.add(issued.serial)
        issued = authority.issue_client(place.cluster, revoked={*known.ended_serials, *former})
    fresh = Certificate(issued.serial, now, issued.expires)

    def change(cluster: Cluster) -> Cluster:
        for certificate in in_use:
            cluster = with_certificate(cluster, certificate)
        return with_certificate(_without(cluster, former, now + grace), fresh)

    change_cluster(place.data, place.cluster, change, now)
    handed = _handed_certificate(place, authority, issued)
    return replace(handed, ends=now + grace, replaced=tuple(sorted(former)))


def _rotate_token(place: Place, known: Cluster, grace: timedelta, now: datetime) -> Handed:
    authority = _prepared(place)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    former = {listed.sha256 for listed in known.tokens if known.takes(listed, now)}
    present = token_digest(_token_in(place.out / "token"))
    if present in former:
        former = {present}

    def change(cluster: Cluster) -> Cluster:
        return with_token(_without(cluster, former, now + grace), token, now)

    change_cluster(place.data, place.cluster, change, now)
    handed = _handed_token(place, authority, token)
    return replace(handed, ends=now + grace, replaced=tuple(sorted(former)))


def _without(cluster: Cluster, identities: Collection[str], moment: datetime) -> Cluster:
    """Return the cluster with some of its credentials refused from `moment` on."""
    return msgspec.structs.replace(
        cluster,
        tokens=ended(cluster.tokens, moment, identities),
        certificates=ended(cluster.certificates, moment, identities),
    )


def _certificate_on_disk(data: Path, name: str) -> Certificate | None:
    """Return the certificate that was issued last: it may be in use and not in the list."""
    path = data / "pki" / "clusters" / name / "client.crt"
    pair = load_pair(path, path.with_suffix(".key"))
    if pair is None:
        return None
    return Certificate(serial_hex(pair.certificate), expires=pair.certificate.not_valid_after_utc)


def _only(found: list[_Credential], what: str, known: list[str]) -> _Credential:
    if len(found) == 1:
        return found[0]
    problem = "is ambiguous" if found else "is not known"
    message = f"{what} {problem}; the cluster has: {', '.join(known) or 'none'}"
    raise TocsinError(message)


def _only_kind(name: str, cluster: Cluster, now: datetime) -> Credential:
    """Return the kind of credential that a cluster has, if it is one."""
    certificates = any(cluster.takes(c, now) for c in cluster.certificates)
    tokens = any(cluster.takes(token, now) for token in cluster.tokens)
    if certificates and tokens:
        message = f"cluster {name!r} has a certificate and a token: say which with --credential"
        raise TocsinError(message)
    if not (certificates or tokens):
        message = f"cluster {name!r} has no good credential: give it one, `tocsin clusters add`"
        raise TocsinError(message)
    return "certificate" if certificates else "token"


def _token_in(path: Path) -> str:
    return (read_if_exists(path) or b"").decode(errors="replace").strip()
