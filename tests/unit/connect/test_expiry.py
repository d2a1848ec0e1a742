from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tocsin.connect.clusters import Certificate, Cluster, Clusters
from tocsin.connect.expiry import certificate_end, expiring
from tocsin.connect.pki import Authority
from tocsin.model.errors import TocsinError

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def days(number: float) -> datetime:
    return NOW + timedelta(days=number)


def states(*certificates: Certificate, revoked: datetime | None = None) -> list[str]:
    known = Clusters({"prod": Cluster(certificates=certificates, revoked=revoked)})
    return [found.state for found in expiring(known, {}, NOW)]


@pytest.mark.parametrize(
    ("left", "found"),
    [
        (31, []),
        (30, ["warning"]),
        (7.1, ["warning"]),
        (7, ["fault"]),
        (0.1, ["fault"]),
        (0, ["expired"]),
        (-29, ["expired"]),
        (-31, []),
    ],
)
def test_an_end_is_told_in_time(left: float, found: list[str]) -> None:
    assert states(Certificate("ab", expires=days(left))) == found


def test_what_is_refused_anyway_is_not_told() -> None:
    soon = Certificate("ab", expires=days(1), refused_from=days(-1))
    assert states(soon) == []
    assert states(Certificate("ab", expires=days(1)), revoked=NOW) == []
    assert states(Certificate("ab")) == []


def test_a_certificate_with_a_successor_is_no_fault() -> None:
    old, new = Certificate("a1", expires=days(1)), Certificate("a2", expires=days(300))
    assert states(old, new) == ["warning"]
    assert states(Certificate("a1", expires=days(-1)), new) == []


def test_the_most_urgent_comes_first_with_what_to_do() -> None:
    known = Clusters({"prod": Cluster(certificates=(Certificate("ab", expires=days(3)),))})
    own = {"server": days(20), "/etc/own.crt": days(1), "authority": days(3000)}
    found = expiring(known, own, NOW)
    assert [(each.cluster, each.state) for each in found] == [
        (None, "fault"),
        ("prod", "fault"),
        (None, "warning"),
    ]
    assert found[0].what == "the /etc/own.crt certificate"
    assert "tocsin clusters rotate prod" in found[1].mend
    assert all(each.mend for each in found)


def test_the_end_is_read_from_the_file(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path)
    end = authority.certificate.not_valid_after_utc
    assert certificate_end(authority.certificate_path) == end
    (tmp_path / "no.crt").write_text("none")
    with pytest.raises(TocsinError, match=r"no\.crt holds no PEM certificate"):
        certificate_end(tmp_path / "no.crt")
