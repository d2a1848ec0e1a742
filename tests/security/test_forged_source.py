"""Bars S16 and S8 on the whole system: who is not a known cluster gets nothing into the spool."""

import http.client
import ssl
from contextlib import closing
from pathlib import Path

import pytest
import trustme

from tests.robustness.harness import Tocsin
from tests.robustness.traffic import Traffic
from tocsin.ingest.senders import CLUSTER_ORGANISATION

BODY = Traffic("forged", 16).batch(10)
OTHER = "/v1/audit/other/node1"


def status(tocsin: Tocsin, context: ssl.SSLContext, **request: object) -> int | None:
    """Return what a post is answered; None when TLS does not let it through."""
    with closing(tocsin.sender(context)) as sender:
        try:
            return sender.post(BODY, **request)  # type: ignore[arg-type]
        except (ssl.SSLError, ConnectionError, http.client.HTTPException):
            return None


def trusting(tocsin: Tocsin, leaf: trustme.LeafCert) -> ssl.SSLContext:
    """Return the TLS settings of a client with a certificate that is not Tocsin's."""
    context = tocsin.client_context(None)
    leaf.configure_cert(context)
    return context


def forged_certificate() -> trustme.LeafCert:
    """Return a certificate that says the right things, from an authority of somebody else."""
    return trustme.CA().issue_cert(common_name="prod", organization_name=CLUSTER_ORGANISATION)


@pytest.mark.robustness
@pytest.mark.timeout(90)
def test_s16_only_a_known_cluster_gets_in(tmp_path: Path) -> None:
    with Tocsin(tmp_path / "tocsin") as tocsin:
        tocsin.connect_cluster("other")
        tocsin.start()
        assert status(tocsin, tocsin.client_context()) == 200
        assert status(tocsin, tocsin.client_context("other"), path=OTHER) == 200
        stored = tocsin.committed
        assert status(tocsin, tocsin.client_context(None)) is None
        assert status(tocsin, trusting(tocsin, forged_certificate())) is None
        assert status(tocsin, tocsin.client_context("other")) == 403
        assert status(tocsin, tocsin.client_context(), path=OTHER) == 403
        assert tocsin.committed == stored
        try_tokens(tocsin)
        assert "Traceback" not in tocsin.log.read_text()


def try_tokens(tocsin: Tocsin) -> None:
    """Make a cluster known that has a token; from then on certificates are not required."""
    token = (tocsin.connect_cluster("tokens", "token") / "token").read_text().strip()
    path, anonymous = "/v1/audit/tokens/node1", tocsin.client_context(None)
    good = {"Authorization": f"Bearer {token}"}
    # The list of clusters is read again while it runs.
    tocsin.wait_for(
        lambda: status(tocsin, anonymous, path=path, headers=good) == 200, "the token is unknown"
    )
    stored = tocsin.committed
    for bad in ({}, {"Authorization": f"Bearer {token}x"}, {"Authorization": f"Basic {token}"}):
        assert status(tocsin, anonymous, path=path, headers=bad) == 401
    assert status(tocsin, anonymous, headers=good) == 403
    assert status(tocsin, trusting(tocsin, forged_certificate()), path=path, headers=good) is None
    assert tocsin.committed == stored
    refused = 'tocsin_ingest_refused_total{reason="credential"}'
    tocsin.wait_for(lambda: tocsin.metrics().get(refused, 0) >= 3, "refusals are not counted")
