import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from tests.unit.ingest.receiver import HOST, TOKEN, Receiver, running
from tests.unit.runtime.doctor.webhook import saying, server_context, write_webhook
from tocsin.connect.names import Endpoint
from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool import SpoolSettings, SpoolWriter
from tocsin.runtime.doctor import line
from tocsin.runtime.doctor.finding import Finding
from tocsin.runtime.doctor.kubeconfig import open_webhook
from tocsin.runtime.doctor.line import STEPS, judge_name, judge_port, walk
from tocsin.runtime.doctor.site import Site

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Walked:
    findings: list[Finding]

    @property
    def states(self) -> dict[str, str]:
        return {finding.check: finding.state for finding in self.findings}

    def broken(self, check: str) -> str:
        """Return what is wrong at a step, which must be where the line breaks."""
        states = [self.states[step] for step in STEPS]
        at = STEPS.index(check)
        assert states[:at] == ["ok"] * at, self.findings
        assert states[at] == "fault", self.findings
        [found] = [finding for finding in self.findings if finding.check == check]
        assert found.why
        assert found.mend
        return found.what


def examine(path: Path, ahead: float = 0) -> Walked:
    attempt = open_webhook(path)
    assert attempt.site
    assert not attempt.findings
    return Walked(walk(attempt.site, attempt.opened, lambda: time.time() + ahead))


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with running(tmp_path_factory.mktemp("receiver")) as started:
        yield started


@pytest.fixture(autouse=True)
def _fresh(receiver: Receiver) -> None:
    receiver.pki.write_server()
    receiver.reset()


def url(receiver: Receiver, path: str = "/v1/audit/prod/cp-1", host: str = HOST) -> str:
    return f"https://{host}:{receiver.port}{path}"


def test_all_is_well(receiver: Receiver, tmp_path: Path) -> None:
    pki = receiver.pki
    walked = examine(write_webhook(tmp_path, url(receiver), pki.server_ca, pki.issue()))
    assert walked.states == dict.fromkeys(STEPS, "ok"), walked.findings
    [post] = receiver.posts()
    assert (post.meta.cluster, post.meta.node, post.body()) == ("prod", "cp-1", line.EMPTY_LIST)
    assert post.meta.source == "backfill", "it would count as a sign of life"


def test_a_token_is_as_good(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    path = write_webhook(
        tmp_path, url(receiver), receiver.pki.server_ca, user={"tokenFile": "token"}
    )
    assert examine(path).states == dict.fromkeys(STEPS, "ok")


def test_an_insecure_kubeconfig_gets_as_far_as_the_api_server(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.pki.write_server(trustme.CA())
    path = write_webhook(
        tmp_path, url(receiver), cluster={"insecure-skip-tls-verify": True}, user={"token": TOKEN}
    )
    assert examine(path).states == dict.fromkeys(STEPS, "ok")


def test_a_wrong_ca(receiver: Receiver, tmp_path: Path) -> None:
    path = write_webhook(tmp_path, url(receiver), trustme.CA(), receiver.pki.issue())
    what = examine(path).broken("tls")
    assert what.startswith("the server's certificate is not from the CA in the kubeconfig")


def test_no_ca_means_those_of_the_system(receiver: Receiver, tmp_path: Path) -> None:
    path = write_webhook(tmp_path, url(receiver), None, receiver.pki.issue())
    assert "not from a CA of the system" in examine(path).broken("tls")


def test_a_wrong_host(receiver: Receiver, tmp_path: Path) -> None:
    there = url(receiver, host="localhost")
    path = write_webhook(tmp_path, there, receiver.pki.server_ca, receiver.pki.issue())
    what = examine(path).broken("tls")
    assert what == "the server's certificate is not for localhost; it is for 127.0.0.1"


def test_a_name_in_the_subject_alone_is_none_as_in_go(receiver: Receiver, tmp_path: Path) -> None:
    issued = receiver.pki.server_ca.issue_cert("other.example", common_name="localhost")
    issued.cert_chain_pems[0].write_to_path(receiver.pki.files.certificate)
    issued.private_key_pem.write_to_path(receiver.pki.files.key)
    there = url(receiver, host="localhost")
    path = write_webhook(tmp_path, there, receiver.pki.server_ca, receiver.pki.issue())
    assert "it is for other.example" in examine(path).broken("tls")


@pytest.mark.parametrize(
    ("begins", "ends", "said"),
    [(-2, -1, "has expired on "), (1, 2, "is valid from ")],
)
def test_a_server_certificate_out_of_its_time(
    receiver: Receiver, tmp_path: Path, begins: int, ends: int, said: str
) -> None:
    now = datetime.now(UTC)
    issued = receiver.pki.server_ca.issue_cert(
        HOST, not_before=now + begins * HOUR, not_after=now + ends * HOUR
    )
    issued.cert_chain_pems[0].write_to_path(receiver.pki.files.certificate)
    issued.private_key_pem.write_to_path(receiver.pki.files.key)
    path = write_webhook(tmp_path, url(receiver), receiver.pki.server_ca, receiver.pki.issue())
    walked = examine(path)
    what = walked.broken("tls")
    assert said in what
    assert f"{now:%Y-%m-%d %H:}" in what
    [found] = [finding for finding in walked.findings if finding.check == "tls"]
    assert "timedatectl" in found.mend


@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        ("none", "401"),
        ("expired", "ends the connection instead of answering"),
        ("unknown", "401"),
        ("foreign", "ends the connection instead of answering"),
    ],
)
def test_a_wrong_credential(
    receiver: Receiver, tmp_path: Path, certificate: str, said: str
) -> None:
    pki = receiver.pki
    issued = {
        "none": None,
        "expired": pki.issue(not_after=datetime.now(UTC) - HOUR),
        "unknown": pki.issue("staging"),
        "foreign": trustme.CA().issue_cert(common_name="prod"),
    }[certificate]
    path = write_webhook(tmp_path, url(receiver), pki.server_ca, issued)
    assert said in examine(path).broken("answer")
    assert not receiver.posts()


def test_the_path_of_another_cluster(receiver: Receiver, tmp_path: Path) -> None:
    there = url(receiver, "/v1/audit/test/cp-1")
    path = write_webhook(tmp_path, there, receiver.pki.server_ca, receiver.pki.issue())
    assert "not one of the cluster test in the path" in examine(path).broken("answer")


def test_a_closed_port(receiver: Receiver, tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    path = write_webhook(tmp_path, f"https://{HOST}:{port}/v1/audit/prod/cp-1")
    assert examine(path).broken("port") == f"{HOST}:{port} refuses connections"


def test_a_name_that_nobody_has(tmp_path: Path) -> None:
    path = write_webhook(tmp_path, "https://tocsin.invalid:8080/v1/audit/prod/cp-1")
    assert examine(path).broken("dns").startswith("the name tocsin.invalid is not found: ")


def test_a_port_without_tls(tmp_path: Path, receiver: Receiver) -> None:
    with saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        path = write_webhook(
            tmp_path, f"https://{HOST}:{port}/", receiver.pki.server_ca, receiver.pki.issue()
        )
        assert "does not speak TLS" in examine(path).broken("tls")


def test_a_port_that_says_nothing(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "_CONNECT_SECONDS", 0.2)
    with socket.create_server((HOST, 0)) as silent:
        port = silent.getsockname()[1]
        path = write_webhook(
            tmp_path, f"https://{HOST}:{port}/", receiver.pki.server_ca, receiver.pki.issue()
        )
        assert "takes connections and says nothing" in examine(path).broken("tls")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", "to /login"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "something else takes the events"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "something else takes the events"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "is not Tocsin (status 404)"),
        (b"HTTP/1.1 503 x\r\nContent-Length: 4\r\n\r\nbusy", "is not Tocsin (status 503)"),
        (b"no HTTP at all\r\n\r\n", "does not speak HTTP"),
        (b"", "ends the connection instead of answering"),
    ],
)
def test_something_else_at_the_other_end(
    tmp_path: Path, receiver: Receiver, answer: bytes, said: str
) -> None:
    pki = receiver.pki
    with saying(answer, server_context(pki)) as port:
        path = write_webhook(tmp_path, f"https://{HOST}:{port}/v1/audit/prod/n", pki.server_ca)
        assert said in examine(path).broken("answer")


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    settings = SpoolSettings(min_free_bytes=1 << 60)
    with (
        closing(SpoolWriter(tmp_path / "spool", Sealer(bytes(32)), settings)) as spool,
        running(tmp_path, spool) as full,
    ):
        pki = full.pki
        walked = examine(write_webhook(tmp_path, url(full), pki.server_ca, pki.issue()))
    assert walked.broken("answer") == (
        "Tocsin takes no events now (503: events cannot be stored now)"
    )


@pytest.mark.parametrize(
    ("ahead", "state", "said"),
    [
        (3600, "fault", "1 h ahead of that of Tocsin"),
        (-3600, "fault", "1 h behind that of Tocsin"),
        (20, "warning", "s ahead of that of Tocsin"),
        (2, "ok", "agree"),
    ],
)
def test_the_clock(receiver: Receiver, tmp_path: Path, ahead: float, state: str, said: str) -> None:
    pki = receiver.pki
    path = write_webhook(tmp_path, url(receiver), pki.server_ca, pki.issue())
    [found] = [finding for finding in examine(path, ahead).findings if finding.check == "clock"]
    assert found.state == state
    assert said in found.what


def test_a_firewall_and_a_refusal_are_told_apart() -> None:
    site = Site(Endpoint("10.0.0.5", 8080), "/", None, None)
    assert "does not answer within 4 s" in judge_port(site, TimeoutError("timed out")).what
    assert "firewall" in judge_port(site, TimeoutError("timed out")).why
    no_route = OSError(113, "No route to host")
    assert judge_port(site, no_route).what == "10.0.0.5:8080 cannot be reached: No route to host"


def test_a_service_of_the_cluster_is_no_name_for_a_node() -> None:
    site = Site(Endpoint("tocsin.security.svc", 8080), "/", None, None)
    found = judge_name(site, socket.gaierror(-2, "Name or service not known"))
    assert found.state == "fault"
    assert "does not know services of the cluster" in found.why
    assert "no answer within" in judge_name(site, TimeoutError()).what
