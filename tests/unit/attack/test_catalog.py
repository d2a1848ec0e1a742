"""What technique ids mean, from the release that ships with Tocsin."""

from tocsin.attack.catalog import catalog
from tocsin.model.alert import Technique


def test_technique_has_its_name_and_tactics() -> None:
    found = catalog().technique("T1611")
    assert found.name == "Escape to Host"
    assert found.tactics == ("privilege-escalation",)


def test_sub_technique_is_shown_with_its_parent() -> None:
    found = catalog().technique("T1078.001")
    assert found.name == "Valid Accounts: Default Accounts"
    assert found.tactics


def test_revoked_technique_keeps_the_name_it_had() -> None:
    revoked = next(iter(catalog().revoked.items()))
    assert catalog().technique(revoked[0]) == Technique(revoked[0], revoked[1].name)


def test_unknown_id_keeps_its_text() -> None:
    assert catalog().technique("T9999.999") == Technique("T9999.999")
    assert catalog().technique("") == Technique("")


def test_data_is_whole() -> None:
    tactics = {tactic.short for tactic in catalog().tactics}
    assert catalog().version
    for identifier, technique in catalog().techniques.items():
        assert technique.name
        assert tactics >= set(technique.tactics)
        assert identifier.partition(".")[0] in catalog().techniques
    for entry in catalog().revoked.values():
        assert entry.replaced_by is None or entry.replaced_by in catalog().techniques
