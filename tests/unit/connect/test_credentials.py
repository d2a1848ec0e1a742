from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tocsin.connect.clusters import (
    Certificate,
    Cluster,
    Token,
    add_cluster,
    change_cluster,
    known_cluster,
    token_digest,
)
from tocsin.connect.credentials import (
    Place,
    find_certificate,
    find_token,
    hand_out,
    revoke,
    revoke_one,
    rotate,
)
from tocsin.connect.keypair import load_pair, names_of, serial_hex
from tocsin.connect.kubeconfig import Credential
from tocsin.connect.pki import Authority
from tocsin.model.errors import TocsinError

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
KINDS: tuple[Credential, ...] = ("certificate", "token")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place("prod", tmp_path / "data", tmp_path / "out")


def listed(place: Place) -> Cluster:
    return known_cluster(place.data, place.cluster)


def good(place: Place, now: datetime) -> list[str]:
    cluster = listed(place)
    return [c.identity for c in cluster.credentials if cluster.takes(c, now)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_good_is_kept(place: Place, kind: Credential) -> None:
    first = hand_out(place, kind, NOW)
    first.write()
    again = hand_out(place, kind, NOW + DAY)

    assert set(again.write().values()) == {"unchanged"}
    assert again.identity == first.identity
    assert good(place, NOW) == [first.identity]
    assert again.ends is None


def test_the_files_hold_what_is_listed(place: Place) -> None:
    certificate, token = hand_out(place, "certificate", NOW), hand_out(place, "token", NOW)
    states = certificate.write() | token.write()

    assert set(states) == {"ca.crt", "client.crt", "client.key", "token"}
    pair = load_pair(place.out / "client.crt", place.out / "client.key")
    assert pair is not None
    assert serial_hex(pair.certificate) == certificate.identity
    assert token_digest((place.out / "token").read_text().strip()) == token.identity
    assert len((place.out / "token").read_text().strip()) >= 43, "32 random bytes"
    for secret in ("client.key", "token"):
        assert (place.out / secret).stat().st_mode & 0o777 == 0o600


def test_the_receiver_gets_the_name_it_is_reached_by(place: Place) -> None:
    hand_out(place, "token", NOW, "10.0.0.5")
    server = load_pair(place.data / "pki/server.crt", place.data / "pki/server.key")
    assert "10.0.0.5" in {str(name.value) for name in names_of(server)}


@pytest.mark.parametrize("kind", KINDS)
def test_rotation_keeps_the_old_one_for_the_grace(place: Place, kind: Credential) -> None:
    old = hand_out(place, kind, NOW)
    old.write()
    new = rotate(place, None, DAY, NOW)

    assert new.identity != old.identity
    assert (new.ends, new.replaced) == (NOW + DAY, (old.identity,))
    assert good(place, NOW + DAY - timedelta(seconds=1)) == [old.identity, new.identity]
    assert good(place, NOW + DAY) == [new.identity]
    new.write()
    assert hand_out(place, kind, NOW).identity == new.identity


@pytest.mark.parametrize("kind", KINDS)
def test_rotation_without_grace_ends_what_was_ending(place: Place, kind: Credential) -> None:
    first = hand_out(place, kind, NOW)
    first.write()
    second = rotate(place, kind, DAY, NOW)
    # Not written: as after a crash, when the files are still the old ones.
    third = rotate(place, kind, timedelta(0), NOW)
    remaining = [third.identity] if kind == "certificate" else [second.identity, third.identity]
    assert good(place, NOW) == remaining


def test_a_new_token_leaves_that_of_a_forwarder_alone(place: Place) -> None:
    hand_out(place, "token", NOW).write()
    forwarder = Place(place.cluster, place.data, place.out.with_name("forwarder"))
    other = hand_out(forwarder, "token", NOW)
    new = rotate(place, "token", timedelta(0), NOW)
    assert set(good(place, NOW)) == {other.identity, new.identity}

    elsewhere = Place(place.cluster, place.data, place.out.with_name("empty"))
    last = rotate(elsewhere, "token", timedelta(0), NOW)
    assert good(place, NOW) == [last.identity]


def test_a_certificate_that_was_never_listed_ends_too(place: Place) -> None:
    stray = Authority.load_or_create(place.data / "pki").issue_client("prod")
    add_cluster(place.data, "prod", now=NOW)
    new = rotate(place, "certificate", timedelta(0), NOW)
    assert good(place, NOW) == [new.identity]
    assert stray.serial in {certificate.serial for certificate in listed(place).certificates}


def test_it_must_be_clear_what_to_rotate(place: Place) -> None:
    with pytest.raises(TocsinError, match="no cluster 'prod'"):
        rotate(place, None, DAY, NOW)
    add_cluster(place.data, "prod")
    with pytest.raises(TocsinError, match="no good credential"):
        rotate(place, None, DAY, NOW)
    hand_out(place, "token", NOW)
    hand_out(place, "certificate", NOW)
    with pytest.raises(TocsinError, match="--credential"):
        rotate(place, None, DAY, NOW)
    revoke(place.data, "prod", NOW)
    for kind in KINDS:
        with pytest.raises(TocsinError, match="is revoked"):
            rotate(place, kind, DAY, NOW)


@pytest.mark.parametrize("kind", KINDS)
def test_a_revoked_cluster_gets_new_credentials_only(place: Place, kind: Credential) -> None:
    old = hand_out(place, kind, NOW)
    old.write()
    revoke(place.data, "prod", NOW)
    revoke(place.data, "prod", NOW + DAY)
    assert listed(place).revoked == NOW
    assert good(place, NOW) == []

    new = hand_out(place, kind, NOW)
    assert good(place, NOW) == [new.identity]
    assert new.identity != old.identity


def test_revoking_lists_the_certificate_that_is_on_disk(place: Place) -> None:
    stray = Authority.load_or_create(place.data / "pki").issue_client("prod")
    add_cluster(place.data, "prod", now=NOW)
    revoke(place.data, "prod", NOW)
    add_cluster(place.data, "prod", now=NOW)
    assert listed(place).certificates == (
        Certificate(stray.serial, expires=stray.expires, refused_from=NOW),
    )


def test_one_credential_is_revoked_alone(place: Place) -> None:
    token, certificate = hand_out(place, "token", NOW), hand_out(place, "certificate", NOW)
    cluster = listed(place)
    revoke_one(place.data, "prod", find_token(cluster, token.identity[:8]), NOW)
    assert good(place, NOW) == [certificate.identity]
    revoke_one(place.data, "prod", find_certificate(cluster, certificate.identity.upper()), NOW)
    assert good(place, NOW) == []


def test_a_certificate_of_another_authority_is_revoked_by_its_number(place: Place) -> None:
    add_cluster(place.data, "prod")
    found = find_certificate(listed(place), "00:DE:AD:BE:EF:00:11:22:33")
    revoke_one(place.data, "prod", found, NOW)
    assert listed(place).certificates == (Certificate("deadbeef00112233", refused_from=NOW),)


def test_what_is_to_be_revoked_must_be_one(place: Place) -> None:
    cluster = Cluster(
        (Token("ab" * 32), Token("ac" * 32)), (Certificate("abc1"), Certificate("abc2"))
    )
    change_cluster(place.data.parent, "prod", lambda _: cluster, NOW)
    with pytest.raises(TocsinError, match="ambiguous"):
        find_token(cluster, "a")
    with pytest.raises(TocsinError, match="not known"):
        find_token(cluster, "f")
    with pytest.raises(TocsinError, match=r"ambiguous.*abc1, abc2"):
        find_certificate(cluster, "abc")
    with pytest.raises(TocsinError, match="not known"):
        find_certificate(cluster, "dead")
