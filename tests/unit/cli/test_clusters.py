import json
import os
import pty
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.commandline import EXECUTABLE, Commands, environment
from tocsin.cli import clusters as module
from tocsin.connect.clusters import (
    Certificate,
    Cluster,
    Clusters,
    Token,
    known_cluster,
    save_clusters,
    token_digest,
)
from tocsin.connect.keypair import load_pair, names_of
from tocsin.model.ports import LineUpdate, SourceState
from tocsin.store.sqlite import own_store

DATA = Path("tocsin-data")
OUT = Path("tocsin-setup/prod")
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _no_receiver_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0)


def data(tocsin: Commands, *arguments: str) -> dict[str, Any]:
    ran = tocsin("clusters", *arguments, "--json")
    assert (ran.code, ran.err) == (0, "")
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_add_says_where_things_are_and_changes_nothing_again(tocsin: Commands) -> None:
    ran = tocsin("clusters", "add", "prod", "--advertise", "10.0.0.5:9000")
    assert (ran.code, ran.err) == (0, "")
    assert f"{OUT}/client.key  written" in ran.out
    assert "https://10.0.0.5:9000/v1/audit/prod/NODE" in ran.out
    server = load_pair(DATA / "pki/server.crt", DATA / "pki/server.key")
    assert "10.0.0.5" in {str(name.value) for name in names_of(server)}

    again = tocsin("clusters", "add", "prod").out
    assert "written" not in again
    assert "replaced" not in again


def test_a_token_is_written_and_never_shown(tocsin: Commands) -> None:
    ran = tocsin("clusters", "add", "prod", "--credential", "token")
    token = (OUT / "token").read_text().strip()
    assert token not in ran.out
    assert "Authorization: Bearer" in ran.out
    assert [t.sha256 for t in known_cluster(DATA, "prod").tokens] == [token_digest(token)]
    assert token not in (DATA / "clusters.yaml").read_text()


def test_rotate_says_until_when_the_old_one_is_good(tocsin: Commands) -> None:
    old = data(tocsin, "add", "prod", "--credential", "token")
    new = data(tocsin, "rotate", "prod", "--grace", "2h")
    assert new["id"] != old["id"]
    assert new["replaced"] == [old["id"]]
    assert new["files"] == {"ca.crt": "unchanged", "token": "replaced"}
    ends = datetime.fromisoformat(new["replaced_refused_from"])
    assert timedelta(hours=1.9) < ends - datetime.now(UTC) <= timedelta(hours=2)

    ran = tocsin("clusters", "rotate", "prod", "--grace", "0")
    assert "Refused from now on: " in ran.out
    assert new["id"][:12] in ran.out
    assert f"cd {OUT} && scp token root@NODE:/etc/kubernetes/tocsin/" in ran.out
    ran = tocsin("clusters", "rotate", "prod")
    tomorrow = datetime.now(UTC) + DAY
    assert f"Refused from {tomorrow:%Y-%m-%d}" in ran.out


def test_a_new_token_is_known_before_anyone_can_show_it(
    tocsin: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    data(tocsin, "add", "prod", "--credential", "token")
    old = (OUT / "token").read_text()
    seen: list[tuple[int, str]] = []

    def sleep(_: float) -> None:
        seen.append((len(known_cluster(DATA, "prod").tokens), (OUT / "token").read_text()))

    monkeypatch.setattr(time, "sleep", sleep)
    data(tocsin, "rotate", "prod")
    assert seen == [(2, old)]
    assert (OUT / "token").read_text() != old


def test_list_shows_every_state(tocsin: Commands) -> None:
    certificates = (
        Certificate("a1" * 10, NOW - 2 * DAY, NOW - DAY),
        Certificate("a2" * 10, NOW, NOW + 3 * DAY),
    )
    tokens = (Token("b1" * 32, NOW, NOW - DAY), Token("b2" * 32, NOW, NOW + DAY))
    known = {
        "prod": Cluster(tokens, certificates),
        "gone": Cluster((Token("c1" * 32, NOW),), (), NOW),
        "bare": Cluster(),
    }
    data(tocsin, "add", "own")
    save_clusters(DATA, Clusters(known))
    with own_store(DATA / "tocsin.db", {}, 1.0) as store:
        source = SourceState(
            cluster="prod",
            node="n",
            source="webhook",
            first_received=NOW.timestamp(),
            last_received=NOW.timestamp(),
        )
        store.record([], {}, 1.0, line=LineUpdate(sources=[source]))

    ran = tocsin("clusters", "list")
    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    day, last = f"{NOW:%Y-%m-%d}", f"{NOW:%Y-%m-%d %H:%M} UTC"
    assert lines[1] == "bare none listed - - good -"
    assert lines[2] == f"gone token c1c1c1c1c1c1 {day} - revoked -"
    assert lines[3] == (
        f"prod certificate a1a1a1a1a1a1 {NOW - 2 * DAY:%Y-%m-%d} {NOW - DAY:%Y-%m-%d} "
        f"expired {last}"
    )
    assert lines[4] == f"certificate a2a2a2a2a2a2 {day} {NOW + 3 * DAY:%Y-%m-%d} good"
    assert lines[5] == f"token b1b1b1b1b1b1 {day} - refused"
    assert lines[6] == f"token b2b2b2b2b2b2 {day} - ends {NOW + DAY:%Y-%m-%d %H:%M} UTC"
    assert "certificate a2a2a2a2a2a2 of cluster 'prod' expires on" in lines[-1]

    found = {one["name"]: one for one in data(tocsin, "list")["clusters"]}
    assert found["gone"]["revoked"] == NOW.isoformat()
    assert [c["good"] for c in found["prod"]["credentials"]] == [False, True, False, True]
    assert found["prod"]["last_post"] == NOW.isoformat()


def test_list_of_nothing_says_what_to_do(tocsin: Commands) -> None:
    assert tocsin("clusters", "list").out == "No cluster is known: run `tocsin setup`.\n"
    assert data(tocsin, "list") == {"clusters": [], "unauthenticated_from": []}


def test_list_tells_of_open_networks(tocsin: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN__WEBHOOK__ALLOW_UNAUTHENTICATED_FROM", "[10.0.0.0/8]")
    assert "None came so far." in tocsin("clusters", "list").out
    assert data(tocsin, "list")["unauthenticated_from"] == ["10.0.0.0/8"]
    with own_store(DATA / "tocsin.db", {}, 1.0) as store:
        source = SourceState(
            cluster="default",
            node=None,
            source="unauthenticated",
            first_received=1.0,
            last_received=NOW.timestamp(),
        )
        store.record([], {}, 1.0, line=LineUpdate(sources=[source]))
    shown = tocsin("clusters", "list").out
    assert f"The last such post came at {NOW:%Y-%m-%d %H:%M} UTC" in " ".join(shown.split())


def test_revoke_and_add_again(tocsin: Commands) -> None:
    first = data(tocsin, "add", "prod")
    ran = tocsin("clusters", "revoke", "prod", "--yes")
    assert (ran.code, ran.err) == (0, "")
    assert "cluster 'prod' is revoked" in ran.out
    assert known_cluster(DATA, "prod").revoked is not None
    assert "is revoked" in tocsin("clusters", "rotate", "prod").err

    second = data(tocsin, "add", "prod")
    assert second["id"] != first["id"]
    assert second["files"]["client.key"] == "replaced"
    assert known_cluster(DATA, "prod").revoked is None


def test_revoke_one_credential(tocsin: Commands) -> None:
    certificate = data(tocsin, "add", "prod")
    token = data(tocsin, "add", "prod", "--credential", "token")
    ran = tocsin("clusters", "revoke", "prod", "--token", token["id"][:6], "--yes")
    assert f"token {token['id'][:12]} of cluster 'prod' is revoked" in ran.out
    ran = tocsin("clusters", "revoke", "prod", "--serial", certificate["id"], "--yes")
    assert ran.code == 0
    [listed] = data(tocsin, "list")["clusters"]
    assert [c["good"] for c in listed["credentials"]] == [False, False]
    assert listed["revoked"] is None


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1)])
def test_revoke_asks_on_a_terminal(tocsin: Commands, answer: str, code: int) -> None:
    data(tocsin, "add", "prod")
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode())
        ran = subprocess.run(
            [EXECUTABLE, "clusters", "revoke", "prod"],
            stdin=theirs,
            capture_output=True,
            env=environment(),
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert ran.returncode == code
    assert b"Refuse cluster 'prod' from now on" in ran.stdout
    assert (known_cluster(DATA, "prod").revoked is not None) is (code == 0)


def test_the_open_cluster_can_be_shut_without_being_listed(
    tocsin: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no cluster 'default'" in tocsin("clusters", "revoke", "default", "--yes").err
    monkeypatch.setenv("TOCSIN__WEBHOOK__ALLOW_UNAUTHENTICATED_FROM", "[10.0.0.0/8]")
    data(tocsin, "add", "prod")
    assert tocsin("clusters", "revoke", "default", "--yes").code == 0
    assert known_cluster(DATA, "default").revoked is not None


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["add", "Prod"], "wrong cluster name"),
        (["add", "prod", "--advertise", "https://x"], "wrong"),
        (["rotate", "prod"], "no cluster 'prod'"),
        (["rotate", "own", "--grace", "soon"], "--grace 'soon' is no length of time"),
        (["rotate", "own", "--grace", "-1h"], "--grace '-1h' is no length of time"),
        (["rotate", "own", "--grace", "5"], "--grace '5' is no length of time"),
        (["revoke", "prod", "--yes"], "no cluster 'prod'"),
        (["revoke", "own"], "nothing was revoked: there is nobody to ask here, say --yes"),
        (["revoke", "own", "--serial", "ff", "--yes"], "is not known"),
        (["revoke", "own", "--serial", "ff", "--token", "ff"], "not both"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    tocsin: Commands, arguments: list[str], problem: str
) -> None:
    data(tocsin, "add", "own")
    before = (DATA / "clusters.yaml").read_bytes()
    ran = tocsin("clusters", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert problem in ran.err
    assert (DATA / "clusters.yaml").read_bytes() == before


def test_no_certificate_is_made_that_the_receiver_would_not_trust(
    tocsin: Commands, tmp_path: Path
) -> None:
    tls = "{certificate: a.crt, key: a.key, client_ca: own-ca.crt}"
    (tmp_path / "tocsin.yaml").write_text(f"webhook: {{tls: {tls}}}\n")
    ran = tocsin("clusters", "add", "prod", "-c", "tocsin.yaml")
    assert (ran.code, ran.out) == (2, "")
    assert "your own authority own-ca.crt" in ran.err
    assert not DATA.exists()
    assert tocsin("clusters", "add", "prod", "-c", "tocsin.yaml", "--credential", "token").code == 0
