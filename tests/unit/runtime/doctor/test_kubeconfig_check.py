import errno
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from tests.unit.runtime.doctor.webhook import write_webhook
from tocsin.ingest.senders import CLUSTER_ORGANISATION
from tocsin.runtime.doctor.finding import Finding
from tocsin.runtime.doctor.kubeconfig import judge_webhook, open_webhook

URL = "https://10.0.0.5:8080/v1/audit/prod/cp-1"
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


def leaf(
    ca: trustme.CA, cluster: str = "prod", begins: datetime = NOW, ends: datetime | None = None
) -> trustme.LeafCert:
    return ca.issue_cert(
        common_name=cluster,
        organization_name=CLUSTER_ORGANISATION,
        not_before=begins - timedelta(hours=1),
        not_after=ends,
    )


def opened(path: Path) -> list[Finding]:
    attempt = open_webhook(path)
    assert not attempt.findings
    assert attempt.opened
    return judge_webhook(attempt.opened, NOW)


def judged(path: Path) -> Finding:
    [found] = opened(path)
    return found


def refused(path: Path) -> Finding:
    attempt = open_webhook(path)
    assert attempt.opened is None
    [found] = attempt.findings
    return found


def test_all_in_order(ca: trustme.CA, tmp_path: Path) -> None:
    found = judged(write_webhook(tmp_path, URL, ca, leaf(ca)))
    assert found.state == "ok"
    (tmp_path / "token").write_text("secret")
    (tmp_path / "token").chmod(0o600)
    found = judged(write_webhook(tmp_path, URL, ca, user={"tokenFile": "token"}))
    assert found.state == "ok"
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("begins", "ends", "state", "said"),
    [
        (-2, -1, "fault", "has expired on"),
        (-2, 10, "warning", "expires on"),
        (1, 300, "fault", "is not valid before"),
        (-2, 300, "ok", "are in order"),
    ],
)
def test_a_certificate_and_the_present(
    ca: trustme.CA, tmp_path: Path, begins: int, ends: int, state: str, said: str
) -> None:
    issued = leaf(ca, begins=NOW + timedelta(days=begins), ends=NOW + timedelta(days=ends))
    found = judged(write_webhook(tmp_path, URL, ca, issued))
    assert found.state == state
    assert said in found.what


def test_a_certificate_of_another_cluster(ca: trustme.CA, tmp_path: Path) -> None:
    found = judged(write_webhook(tmp_path, URL, ca, leaf(ca, "staging")))
    assert found.state == "fault"
    assert found.what == ("the client certificate is of cluster staging, and the path names prod")


def test_files_of_two_setups(ca: trustme.CA, tmp_path: Path) -> None:
    found = judged(write_webhook(tmp_path, URL, ca, leaf(trustme.CA())))
    assert found.state == "warning"
    assert "is not from the CA in the same kubeconfig" in found.what
    other = trustme.CA().issue_cert(common_name="prod", organization_name="ours")
    assert judged(write_webhook(tmp_path, URL, ca, other)).state == "ok"


def test_what_the_article_has(tmp_path: Path) -> None:
    path = write_webhook(
        tmp_path, "https://10.0.0.5:8080", cluster={"insecure-skip-tls-verify": True}
    )
    said = " | ".join(finding.what for finding in opened(path))
    assert {finding.state for finding in opened(path)} == {"warning"}
    assert "insecure-skip-tls-verify" in said
    assert "no client certificate and no token" in said
    assert "the path / does not name cluster and node" in said


@pytest.mark.parametrize("path", ["/v1/audt/prod/cp-1", "/v1/audit/prod", "/v1/audit/prod/NO_NODE"])
def test_a_path_that_is_misspelt(ca: trustme.CA, tmp_path: Path, path: str) -> None:
    found = judged(write_webhook(tmp_path, f"https://10.0.0.5:8080{path}", ca, leaf(ca)))
    assert found.state == "warning"
    assert f"the path {path} does not name" in found.what


def test_what_the_check_does_not_follow(ca: trustme.CA, tmp_path: Path) -> None:
    proxy = {"proxy-url": "http://proxy:3128"}
    found = judged(write_webhook(tmp_path, URL, ca, leaf(ca), cluster=proxy))
    assert (found.state, "proxy-url" in found.what) == ("warning", True)


def test_a_key_that_everybody_reads(ca: trustme.CA, tmp_path: Path) -> None:
    path = write_webhook(tmp_path, URL, ca, leaf(ca))
    (tmp_path / "node.key").chmod(0o644)
    found = judged(path)
    assert found.state == "warning"
    assert found.mend == f"chmod 600 {tmp_path / 'node.key'}"


def remove(folder: Path) -> None:
    (folder / "node.key").unlink()


def spoil(folder: Path) -> None:
    (folder / "node.key").write_text("not a key")


def spoil_ca(folder: Path) -> None:
    (folder / "node-ca.crt").write_text("not a certificate")


def swap(folder: Path) -> None:
    trustme.CA().issue_cert("x").private_key_pem.write_to_path(folder / "node.key")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (remove, "there is no file "),
        (spoil, "no unencrypted private key"),
        (spoil_ca, "holds no certificate in PEM form"),
        (swap, "the client key does not belong to the client certificate"),
    ],
)
def test_files_that_cannot_be_used(
    ca: trustme.CA, tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    path = write_webhook(tmp_path, URL, ca, leaf(ca))
    damage(tmp_path)
    found = refused(path)
    assert found.state == "fault"
    assert said in found.what
    assert "tocsin setup --advertise 10.0.0.5:8080 --cluster prod" in found.mend


def test_a_certificate_without_its_key(ca: trustme.CA, tmp_path: Path) -> None:
    leaf(ca).cert_chain_pems[0].write_to_path(tmp_path / "node.crt")
    path = write_webhook(tmp_path, URL, ca, user={"client-certificate": "node.crt"})
    assert "but no `client-key`" in refused(path).what


@pytest.mark.parametrize("url", ["http://10.0.0.5:8080/", "10.0.0.5:8080", "https://h:port/"])
def test_an_address_that_is_none(tmp_path: Path, url: str) -> None:
    found = refused(write_webhook(tmp_path, url))
    assert found.state == "fault"
    assert url in found.what


def test_no_kubeconfig_at_all(tmp_path: Path) -> None:
    assert refused(tmp_path / "webhook.yaml").what == f"there is no file {tmp_path}/webhook.yaml"


def test_what_is_closed_to_a_user_needs_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_webhook(tmp_path, URL, user={"tokenFile": "token"})
    read = Path.read_bytes

    # Tests may run as root, whom no file is closed to.
    def closed(file: Path) -> bytes:
        if file.name == "token":
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(file)

    monkeypatch.setattr(Path, "read_bytes", closed)
    found = refused(path)
    assert (found.state, "needs root" in found.what) == ("skipped", True)
