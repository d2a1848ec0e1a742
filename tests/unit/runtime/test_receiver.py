import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing import Pipe
from pathlib import Path

import httpx2
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.runtime.rulefiles import event, event_list, lines
from tocsin.connect.clusters import Cluster, Clusters, add_cluster, load_clusters, save_clusters
from tocsin.connect.credentials import Place, hand_out, revoke, rotate
from tocsin.connect.pki import Authority, ensure_server_certificate
from tocsin.ingest.seal import Sealer, load_or_create_key
from tocsin.ingest.server import listen
from tocsin.ingest.spool import Post, SpoolReader
from tocsin.runtime.child import Link
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.receiver import Receiver, load_senders
from tocsin.runtime.report import decode_report

TOKEN = "a-token-of-the-cluster-prod"
BODY = event_list(event())


@pytest.fixture
def config(tmp_path: Path) -> Config:
    data = tmp_path / "data"
    ensure_server_certificate(data / "pki")
    add_cluster(data, "prod", token=TOKEN)
    log = tmp_path / "audit.log"
    file = f"[{{path: {log}, checkpoint: {tmp_path}/pos, cluster: files, poll_seconds: 0.02}}]"
    variables = {"TOCSIN__SPOOL__MIN_FREE_BYTES": "0", "TOCSIN__FILES": file}
    return load_config(None, variables, data)


class Running:
    """A receiver in this process: where it listens, and what it reports."""

    def __init__(self, config: Config, port: int, receiver: Receiver) -> None:
        self.port = port
        self._receiver = receiver
        authority = Authority.load_or_create(config.folder / "pki")
        self.ca = str(authority.certificate_path)

    def findings(self) -> tuple[str, ...]:
        return self._receiver._report().findings

    def post(self, cluster: str = "prod", token: str = TOKEN, body: bytes = BODY) -> int:
        context = ssl.create_default_context(cafile=self.ca)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        with httpx2.Client(verify=context) as http:
            url = f"https://127.0.0.1:{self.port}/v1/audit/{cluster}/node1"
            return http.post(url, content=body, headers=headers).status_code


@contextmanager
def running(config: Config) -> Iterator[tuple[Running, Callable[[], bytes]]]:
    ours, theirs = Pipe()
    sock = listen("127.0.0.1", 0)
    link = Link(theirs)
    receiver = Receiver(config)
    thread = threading.Thread(target=receiver.run, args=(link, [sock]))
    thread.start()
    try:
        yield Running(config, sock.getsockname()[1], receiver), lambda: receiver._report().metrics
        report = decode_report(ours.recv_bytes())
        assert report.ready
        assert report.reason == ""
    finally:
        link.stopping.set()
        thread.join()
        for end in (ours, theirs, sock):
            end.close()


def spooled(config: Config) -> list[tuple[str, bytes]]:
    reader = SpoolReader(config.spool_folder, Sealer(load_or_create_key(config.key_path)), "test")
    posts = reader.read(0)
    assert all(isinstance(post, Post) for post in posts)
    return [(post.meta.cluster, post.body()) for post in posts if isinstance(post, Post)]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 8
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_is_acknowledged_is_in_the_spool(config: Config) -> None:
    with running(config) as (receiver, metrics):
        assert receiver.post() == 200
        assert spooled(config) == [("prod", BODY)]
        assert receiver.post(token="wrong") == 401
        assert spooled(config) == [("prod", BODY)]
        text = metrics().decode()
    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["tocsin_ingest_spool_commits"] == 1
    assert samples["tocsin_ingest_spool_pending_bytes"] == 0
    assert TOKEN not in text


def test_followed_files_go_the_same_way(config: Config, tmp_path: Path) -> None:
    (tmp_path / "audit.log").write_bytes(lines(event(1), event(2)))
    with running(config):
        until(lambda: spooled(config) == [("files", lines(event(1), event(2)))])


def test_clusters_are_known_without_a_restart(config: Config) -> None:
    with running(config) as (receiver, _):
        assert receiver.post("new", "another-token") in (401, 403)
        add_cluster(config.folder, "new", token="another-token")
        until(lambda: receiver.post("new", "another-token") == 200)
        (config.folder / "clusters.yaml").write_text("clusters: [")
        time.sleep(0.5)
        assert receiver.post() == 200, "a list that cannot be read must lock nobody out"
        (config.folder / "clusters.yaml").unlink()
        add_cluster(config.folder, "new", token="another-token")
        until(lambda: receiver.post() in (401, 403))


def test_senders_are_those_of_the_list(config: Config) -> None:
    assert set(load_senders(config).names) == {"prod"}
    known = load_clusters(config.folder).clusters
    old, now = Cluster(revoked=datetime.now(UTC)), datetime.now(UTC)
    save_clusters(config.folder, Clusters({**known, "dev": Cluster(), "old": old}))
    senders = load_senders(config)
    assert senders.names == {"dev", "prod"}
    assert senders.identify(None, f"Bearer {TOKEN}", now) is not None


def test_a_rotated_token_is_good_until_its_end(config: Config) -> None:
    now = datetime.now(UTC)
    place = Place("prod", config.folder, config.folder / "out")
    rotate(place, "token", timedelta(hours=1), now)
    senders = load_senders(config)
    assert senders.identify(None, f"Bearer {TOKEN}", now) is not None
    assert senders.identify(None, f"Bearer {TOKEN}", now + timedelta(hours=1)) is None


def test_a_revoked_cluster_is_refused_within_a_second(config: Config) -> None:
    """On a connection that stands, which has shown its certificate long before."""
    handed = hand_out(
        Place("prod", config.folder, config.folder / "out"), "certificate", datetime.now(UTC)
    )
    handed.write()
    out = handed.place.out
    with running(config) as (receiver, _):
        context = ssl.create_default_context(cafile=str(out / "ca.crt"))
        context.load_cert_chain(out / "client.crt", out / "client.key")
        url = f"https://127.0.0.1:{receiver.port}/v1/audit/prod/n"
        with httpx2.Client(verify=context, trust_env=False) as kept:
            for _ in range(3):
                assert kept.post(url, content=BODY).status_code == 200
            revoke(config.folder, "prod", datetime.now(UTC))
            began = time.monotonic()
            until(lambda: kept.post(url, content=BODY).status_code == 401)
            assert time.monotonic() - began < 1
        # No other cluster has a token, so that not even TLS lets this one through.
        with pytest.raises(httpx2.TransportError):
            receiver.post()


def test_who_needs_no_credential_is_told_on_readyz(config: Config) -> None:
    webhook = msgspec.structs.replace(config.webhook, allow_unauthenticated_from=("127.0.0.0/8",))
    opened = msgspec.structs.replace(config, webhook=webhook)
    with running(opened) as (receiver, metrics):
        context = ssl.create_default_context(cafile=receiver.ca)
        url = f"https://127.0.0.1:{receiver.port}/"
        with httpx2.Client(verify=context, trust_env=False) as http:
            assert http.post(url, content=BODY).status_code == 200
        assert b"tocsin_ingest_unauthenticated_networks 1.0" in metrics()
        assert b"tocsin_ingest_unauthenticated_posts_total 1.0" in metrics()
        finding = receiver.findings()[0]
        assert "127.0.0.0/8 are let in without proof" in finding
        assert finding.endswith("since the start: 1")
    assert spooled(opened) == [("default", BODY)]


def test_where_everybody_needs_one_nothing_is_told(config: Config) -> None:
    with running(config) as (receiver, metrics):
        assert receiver.findings() == ()
        assert b"tocsin_ingest_unauthenticated_networks 0.0" in metrics()


def test_stopping_commits_and_frees_the_spool(config: Config) -> None:
    with running(config) as (receiver, _):
        assert receiver.post() == 200
    again = Receiver(config)
    with closing(again._spool):
        assert spooled(config) == [("prod", BODY)]
