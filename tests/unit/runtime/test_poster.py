"""Where batches are posted to, and who both sides are."""

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from tests.unit.ingest.receiver import EVENTS, TOKEN, Receiver, running
from tocsin.connect.clusters import add_cluster, load_clusters
from tocsin.connect.kubeconfig import Material, WebhookTarget
from tocsin.connect.pki import ensure_server_certificate
from tocsin.ingest.tls import TlsSettings
from tocsin.ingest.webhook import WebhookSettings
from tocsin.model.errors import TocsinError
from tocsin.runtime.poster import Destination, Poster, own_receiver, webhook_receiver


@pytest.fixture
def data(tmp_path: Path) -> Path:
    ensure_server_certificate(tmp_path / "pki")
    add_cluster(tmp_path, "prod")
    return tmp_path


def settings(data: Path, **changes: object) -> WebhookSettings:
    pki = data / "pki"
    tls = TlsSettings(str(pki / "server.crt"), str(pki / "server.key"), str(pki / "ca.crt"))
    return msgspec.structs.replace(WebhookSettings(tls=tls), **changes)


@pytest.mark.parametrize(
    ("host", "node", "url"),
    [
        ("127.0.0.1", "cp-1", "https://127.0.0.1:8080/v1/audit/prod/cp-1"),
        ("0.0.0.0", None, "https://127.0.0.1:8080/v1/audit/prod"),  # noqa: S104 - not bound
        ("::", None, "https://[::1]:8080/v1/audit/prod"),
        ("2001:db8::1", None, "https://[2001:db8::1]:8080/v1/audit/prod"),
        ("tocsin.example", None, "https://tocsin.example:8080/v1/audit/prod"),
    ],
)
def test_the_address_of_the_receiver_on_this_machine(
    data: Path, host: str, node: str | None, url: str
) -> None:
    found = own_receiver(data, "prod", node, settings(data, host=host))
    assert found.url == url
    assert found.token is None


def test_the_certificate_that_it_shows_is_kept_nowhere(data: Path) -> None:
    before = sorted(data.rglob("*"))
    own_receiver(data, "prod", None, settings(data))
    assert sorted(data.rglob("*")) == before
    assert load_clusters(data).clusters["prod"].certificates == ()


def test_an_authority_that_is_not_ours_is_told(data: Path) -> None:
    tls = msgspec.structs.replace(settings(data).tls, client_ca="/etc/other/ca.crt")
    with pytest.raises(TocsinError, match=r"certificates of /etc/other/ca.crt, .* \(--webhook\)"):
        own_receiver(data, "prod", None, settings(data, tls=tls))


def test_a_certificate_that_cannot_be_read_is_told(data: Path) -> None:
    (data / "pki" / "server.crt").write_text("nothing")
    with pytest.raises(TocsinError, match=r"server.crt cannot be read as a certificate"):
        own_receiver(data, "prod", None, settings(data))


def inline(key: str, content: bytes) -> Material:
    return Material(key, content=content)


def target(receiver: Receiver, **changes: Any) -> WebhookTarget:
    plain = WebhookTarget(
        url=f"{receiver.url}/v1/audit/prod/n",
        ca=inline("certificate-authority-data", receiver.pki.server_ca.cert_pem.bytes()),
        token=inline("token", f"{TOKEN}\n".encode()),
    )
    return replace(plain, **changes)


def post(destination: Destination, source: str | None = None) -> None:
    async def run() -> None:
        async with Poster(destination, source=source) as poster:
            assert await poster.post(EVENTS) < 10

    asyncio.run(run())


def test_what_a_webhook_kubeconfig_says_is_done(tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        certificate = receiver.pki.issue()
        shown = {
            "client_certificate": inline("c", certificate.cert_chain_pems[0].bytes()),
            "client_key": inline("k", certificate.private_key_pem.bytes()),
            "token": None,
        }
        without_scheme = receiver.url.removeprefix("https://") + "?timeout=30s"
        for one in (
            target(receiver),
            target(receiver, **shown),
            target(receiver, url=without_scheme),
            target(receiver, ca=None, insecure=True),
            target(receiver, tls_server_name="127.0.0.1"),
        ):
            post(webhook_receiver(one), source="backfill")
        posts = receiver.posts()
    assert [one.meta.node for one in posts] == ["n", "n", None, "n", "n"]
    assert {one.meta.source for one in posts} == {"backfill"}


def test_the_servers_name_is_checked(tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        for wrong in (target(receiver, tls_server_name="other.example"), target(receiver, ca=None)):
            with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                post(webhook_receiver(wrong))


def test_a_refusal_is_an_error(tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        wrong = target(receiver, token=inline("token", b"wrong"))
        with pytest.raises(httpx2.HTTPStatusError):
            post(webhook_receiver(wrong))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"url": "http://h:1/v1/audit/x"}, "is not https"),
        ({"url": "https://h:port/"}, "is no address"),
        ({"token": inline("token", b"two\nlines")}, "token holds no bearer token"),
        ({"token": inline("token", "tökén".encode())}, "token holds no bearer token"),
        ({"unused": ("exec", "proxy-url")}, "uses exec, proxy-url, which is not supported"),
        ({"ca": inline("certificate-authority-data", b"x")}, "certificate-authority-data"),
        ({"token": Material("tokenFile", Path("/none/token"))}, "/none/token"),
    ],
)
def test_what_cannot_be_done_is_told(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(TocsinError, match=problem):
        webhook_receiver(replace(WebhookTarget("https://h:1"), **change))


def test_an_own_receiver_is_known_by_its_very_certificate(data: Path) -> None:
    found = own_receiver(data, "prod", None, settings(data))
    assert found.tls.verify_mode is ssl.CERT_REQUIRED
    assert found.tls.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
