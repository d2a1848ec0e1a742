"""Credentials change under load: nothing is lost, and who is revoked is refused at once."""

import json
import time
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.controlplane import processes
from tests.e2e.load import Load, Watched, audited, watched
from tests.e2e.site import undelivered
from tests.e2e.tocsin import CLUSTER

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# The API server reads a token file again after a minute, less ten seconds.
TOKEN_SECONDS: Final = 75.0
# What was refused would be sent again after 20 s at the earliest, and 25 s at the latest.
AT_ONCE_SECONDS: Final = 10.0
AGAIN_SECONDS: Final = 30.0
BATCH_SECONDS: Final = 2.0
REVOKED_WITHIN_SECONDS: Final = 1.0


@pytest.mark.parametrize("credential", ["certificate", "token"])
def test_rotation_loses_nothing(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, credential: str
) -> None:
    cache = tmp_path_factory.getbasetemp() / "pycache"
    patient = ("--audit-webhook-batch-max-wait=1s", "--audit-webhook-initial-backoff=20s")
    with watched(tmp_path, cache, *patient, credential=credential) as site:
        with Load(site.cluster):
            processes.wait_for(site.tocsin.received, "the first events")
            old = credentials(site, credential)
            rotate(site, credential)
            if credential == "token":
                time.sleep(TOKEN_SECONDS)
            else:
                # New connections show the new certificate; old ones would stand for minutes.
                site.tocsin.kill_receiver()
                time.sleep(AT_ONCE_SECONDS)
                # Batches that met a closed port are no finding of this test.
                settle(site, AGAIN_SECONDS)
            for one in old:
                revoke(site, *one)
            time.sleep(3)
        settle(site, AT_ONCE_SECONDS)
        assert not undelivered(site.cluster)

        with Load(site.cluster):
            time.sleep(3)
            before = time.time()
            revoke(site)
            revoked = time.time()
            time.sleep(5)
        last = max(post.meta.received for post in site.tocsin.posts()) / 1_000_000
        assert before - BATCH_SECONDS < last < revoked + REVOKED_WITHIN_SECONDS


def settle(site: Watched, seconds: float) -> None:
    """Wait until Tocsin has all events that the API server has written to its log by now."""
    logged = audited(site.log)
    processes.wait_for(lambda: not site.missing(logged), "all events", seconds)


def credentials(site: Watched, kind: str) -> list[tuple[str, str]]:
    """Return the options that name each credential of the cluster."""
    listed = site.tocsin.command("clusters", "list", "--json", "-c", str(site.tocsin.config))
    (cluster,) = json.loads(listed)["clusters"]
    option = "--serial" if kind == "certificate" else "--token"
    return [(option, one["id"]) for one in cluster["credentials"] if one["kind"] == kind]


def rotate(site: Watched, kind: str) -> None:
    options = ("--credential", kind, "--grace", "1h", "--out", str(site.tocsin.bundle(CLUSTER)))
    site.tocsin.command("clusters", "rotate", CLUSTER, *options, "-c", str(site.tocsin.config))


def revoke(site: Watched, *which: str) -> None:
    options = (*which, "--yes", "-c", str(site.tocsin.config))
    site.tocsin.command("clusters", "revoke", CLUSTER, *options)
