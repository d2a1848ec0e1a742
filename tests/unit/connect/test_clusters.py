import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tocsin.connect.clusters import (
    Certificate,
    Cluster,
    Clusters,
    Token,
    add_cluster,
    change_cluster,
    ended,
    known_cluster,
    load_clusters,
    save_clusters,
)
from tocsin.connect.pki import Authority
from tocsin.model.errors import TocsinError

DIGEST = "0" * 64
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_no_file_means_no_cluster(tmp_path: Path) -> None:
    assert load_clusters(tmp_path) == Clusters()


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    prod = Cluster(
        (Token(DIGEST, NOW, NOW + HOUR), Token("1" * 64)),
        (Certificate("12345678", NOW, NOW + HOUR, NOW), Certificate("ab")),
        NOW,
    )
    known = Clusters({"prod": prod, "dev": Cluster()})
    save_clusters(tmp_path, known)
    assert load_clusters(tmp_path) == known


def test_only_the_digest_of_a_token_is_kept(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for token in ("s3cret", "s3cret", "another"):
        add_cluster(data, "prod", token=token, now=NOW)
    add_cluster(data, "dev")

    document = yaml.safe_load((data / "clusters.yaml").read_text())
    tokens = [
        {"sha256": hashlib.sha256(token).hexdigest(), "created": NOW}
        for token in (b"s3cret", b"another")
    ]
    assert document == {"clusters": {"prod": {"tokens": tokens}, "dev": {}}}
    assert (data / "clusters.yaml").stat().st_mode & 0o777 == 0o600


def test_a_certificate_is_listed_once(tmp_path: Path) -> None:
    issued = Authority.load_or_create(tmp_path / "pki").issue_client("prod")
    for _ in range(2):
        add_cluster(tmp_path, "prod", certificate=issued, now=NOW)
    listed = Certificate(issued.serial, NOW, issued.expires)
    assert known_cluster(tmp_path, "prod") == Cluster(certificates=(listed,))


def test_a_revoked_cluster_comes_back_without_what_it_had(tmp_path: Path) -> None:
    old = Cluster((Token(DIGEST), Token("1" * 64, None, NOW - HOUR)), (Certificate("ab"),), NOW)
    save_clusters(tmp_path, Clusters({"prod": old}))
    add_cluster(tmp_path, "prod", token="fresh", now=NOW + HOUR)

    found = known_cluster(tmp_path, "prod")
    assert found.revoked is None
    assert [token.refused_from for token in found.tokens] == [NOW, NOW - HOUR, None]
    assert [certificate.refused_from for certificate in found.certificates] == [NOW]
    assert found.has_token("fresh")


def test_an_old_token_cannot_be_made_good_again(tmp_path: Path) -> None:
    add_cluster(tmp_path, "prod", token="old", now=NOW)
    change_cluster(
        tmp_path, "prod", lambda known: Cluster(known.tokens, known.certificates, NOW), NOW
    )
    add_cluster(tmp_path, "prod", token="old", now=NOW)
    assert not known_cluster(tmp_path, "prod").has_token("old")


def test_an_end_is_never_put_off() -> None:
    soon, late = Token(DIGEST, None, NOW), Token("1" * 64)
    assert ended((soon, late), NOW + HOUR) == (soon, Token("1" * 64, None, NOW + HOUR))
    assert ended((soon, late), NOW - HOUR, [DIGEST]) == (Token(DIGEST, None, NOW - HOUR), late)


@pytest.mark.parametrize(
    ("cluster", "good"),
    [
        (Cluster(), True),
        (Cluster(revoked=NOW), False),
        (Cluster(revoked=NOW + HOUR), True),
    ],
)
def test_a_revoked_cluster_takes_nothing(cluster: Cluster, *, good: bool) -> None:
    assert cluster.takes(Token(DIGEST), NOW) is good
    assert cluster.takes(Certificate("ab"), NOW) is good
    assert not cluster.takes(Token(DIGEST, refused_from=NOW), NOW)
    assert cluster.takes(Token(DIGEST, refused_from=NOW + HOUR), NOW) is good
    assert not cluster.takes(Certificate("ab", expires=NOW), NOW)


def test_what_ended_a_month_ago_is_forgotten(tmp_path: Path) -> None:
    old, recent = NOW - timedelta(days=31), NOW - timedelta(days=29)
    cluster = Cluster(
        (Token(DIGEST, None, old), Token("1" * 64, None, recent), Token("2" * 64)),
        (
            Certificate("a1", expires=old),
            Certificate("a2", expires=recent),
            # Its refusal is all that stands between its holder and the receiver.
            Certificate("a3", expires=NOW + HOUR, refused_from=old),
            Certificate("a4", refused_from=old),
        ),
    )
    kept = change_cluster(tmp_path, "prod", lambda _: cluster, NOW)
    assert [token.sha256[0] for token in kept.tokens] == ["1", "2"]
    assert [certificate.serial for certificate in kept.certificates] == ["a2", "a3", "a4"]
    assert known_cluster(tmp_path, "prod") == kept


def test_an_unknown_cluster_is_told_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(TocsinError, match="none is known"):
        known_cluster(tmp_path, "prod")
    add_cluster(tmp_path, "dev")
    with pytest.raises(TocsinError, match=r"no cluster 'prod' .*known: dev"):
        known_cluster(tmp_path, "prod")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("clusters: {prod: {tokens: [abc]}}", "tokens"),
        ("clusters: {prod: {tokens: [{sha256: abc}]}}", "sha256"),
        ("clusters: {prod: {certificates: [{serial: XY}]}}", "serial"),
        ("clusters: {prod: {revoked: 2026-11-23T10:00:00}}", "revoked"),
        ("clusters: {prod: {token: []}}", "token"),
        ("clusters: {../x: {}}", "wrong cluster name"),
        ("clusters: [", "clusters.yaml"),
        ("[]", "clusters.yaml"),
    ],
)
def test_wrong_file_is_an_error(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "clusters.yaml").write_text(text)
    with pytest.raises(TocsinError, match=problem):
        load_clusters(tmp_path)
