from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from tocsin.connect.clusters import add_cluster
from tocsin.connect.pki import Authority, ensure_server_certificate
from tocsin.model.errors import TocsinError
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.expiry import expiring_certificates

DAY = timedelta(days=1)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(None, {}, tmp_path)


def test_certificates_of_receiver_authority_and_clusters_are_looked_at(config: Config) -> None:
    authority = Authority.load_or_create(config.folder / "pki")
    server = ensure_server_certificate(config.folder / "pki")
    client = authority.issue_client("prod")
    add_cluster(config.folder, "prod", certificate=client)

    assert expiring_certificates(config, client.expires - 31 * DAY) == []
    [found] = expiring_certificates(config, client.expires - DAY)
    assert (found.cluster, found.expires) == ("prod", client.expires)
    subjects = [each.what for each in expiring_certificates(config, server.expires - 10 * DAY)]
    assert subjects[1:] == ["the server certificate"]
    end = authority.certificate.not_valid_after_utc
    assert "the authority certificate" in {each.what for each in expiring_certificates(config, end)}


def test_certificates_of_ones_own_are_called_by_their_path(config: Config, tmp_path: Path) -> None:
    ensure_server_certificate(config.folder / "pki")
    own = tmp_path / "own.crt"
    own.write_bytes((config.folder / "pki/server.crt").read_bytes())
    tls = msgspec.structs.replace(config.webhook.tls, certificate=str(own))
    changed = msgspec.structs.replace(
        config, webhook=msgspec.structs.replace(config.webhook, tls=tls)
    )
    end = Authority.load_or_create(config.folder / "pki").certificate.not_valid_after_utc
    found = {each.what: each.mend for each in expiring_certificates(changed, end)}
    assert "replace the file" in found[f"the {own} certificate"]


def test_a_missing_certificate_is_named(config: Config) -> None:
    with pytest.raises(TocsinError, match=r"server\.crt"):
        expiring_certificates(config, Authority.load_or_create(config.folder)._clock())
