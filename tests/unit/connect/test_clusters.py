import hashlib
from pathlib import Path

import pytest
import yaml

from tocsin.connect.clusters import Cluster, Clusters, add_cluster, load_clusters, save_clusters
from tocsin.model.errors import TocsinError

DIGEST = "0" * 64


def test_no_file_means_no_cluster(tmp_path: Path) -> None:
    assert load_clusters(tmp_path) == Clusters()


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    known = Clusters({"prod": Cluster(tokens=(DIGEST,), revoked=("12345678",)), "dev": Cluster()})
    save_clusters(tmp_path, known)
    assert load_clusters(tmp_path) == known


def test_only_the_digest_of_a_token_is_kept(tmp_path: Path) -> None:
    data = tmp_path / "data"
    add_cluster(data, "prod", token="s3cret")
    add_cluster(data, "prod", token="s3cret")
    add_cluster(data, "prod", token="another")
    add_cluster(data, "dev")

    document = yaml.safe_load((data / "clusters.yaml").read_text())
    assert document == {
        "clusters": {
            "prod": {
                "tokens": [hashlib.sha256(token).hexdigest() for token in (b"s3cret", b"another")],
                "revoked": [],
            },
            "dev": {"tokens": [], "revoked": []},
        }
    }
    assert (data / "clusters.yaml").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("clusters: {prod: {tokens: [abc]}}", "tokens"),
        ("clusters: {prod: {revoked: [123]}}", "revoked"),
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
