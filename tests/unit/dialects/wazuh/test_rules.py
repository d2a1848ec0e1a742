import time

import pytest

from tests.unit.dialects.wazuh.installed import Clock, installed, rule, rule_of, session
from tocsin.dialects.wazuh.install import Files, install
from tocsin.model.errors import LoadError

LISTS = {f"etc/lists/{name}": f"{name}:v\n10.0.:net\n" for name in "abc"}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (rule(1000000, 3, ""), "no number of up to 6 digits"),
        (rule(100001, 17, ""), "must be 0 to 16"),
        (rule(100001, 3, "<foo/>"), "no element 'foo'"),
        (rule(100001, 3, "<options>fly</options>"), "no option 'fly'"),
        (rule(100001, 3, "", attributes=' color="red"'), "no attribute 'color'"),
        (rule(100001, 3, "<regex>a(b</regex>"), "5107"),
        (rule(100001, 3, '<field name="srcip">1</field>'), "fixed"),
        (rule(100001, 3, "<field>1</field>"), "'name'"),
        (rule(100001, 3, "<srcip>10.0.0.0/99</srcip>"), "no address"),
        (rule(100001, 3, "<weekday>monday-sunday</weekday>"), "no day of the week"),
        (rule(100001, 3, "<time>25:00 - 26:00</time>"), "there is no"),
        (rule(100001, 3, "<decoded_as>nosuch</decoded_as>"), "no decoder 'nosuch'"),
        (rule(100001, 3, "", attributes=' frequency="3"'), "no if_matched_"),
        (rule(100001, 3, "<same_user/>"), "no if_matched_"),
        ('<rule id="100001" level="3"></rule>', "without elements"),
        ('<rule id="100001" level="3"><match>a</match></rule>', "no description"),
        ('<rule level="3"><match>a</match></rule>', "needs the attribute 'id'"),
        ('<rule id="100001" level="3"><if_sid>x</if_sid></rule>', "no description"),
        ("<other/>", "<rule> elements"),
        (rule(100001, 3, "<if_level>x</if_level>"), "if_level is no number"),
        (rule(100001, 3, "<if_matched_sid>x</if_matched_sid>").replace("100000", "x"), "if_sid"),
        (rule(100001, 3, "<if_matched_sid>x</if_matched_sid>"), "if_matched_sid is no rule"),
        (rule(100001, 3, '<list field="a" lookup="no">etc/lists/a</list>'), "no such lookup"),
    ],
)
def test_refused_rules(broken: str, message: str) -> None:
    with pytest.raises(LoadError, match=r"local_rules.xml:2: ") as caught:
        installed(broken, lists=LISTS)
    assert message in str(caught.value)


@pytest.mark.parametrize("root", ["<rule/>", '<group id="x"/>', "<group>"])
def test_files_that_are_no_rules(root: str) -> None:
    with pytest.raises(LoadError, match=r"r.xml:1: "):
        install(Files(rules=(("r.xml", root),)), strict=True)


def test_techniques() -> None:
    lone = "<mitre><id>T1</id><id>T2</id><id>T1</id></mitre>"
    pair = "<mitre><tacticID>TA1</tacticID><techniqueID>T3</techniqueID></mitre>"
    tree = installed(rule(100001, 3, lone) + rule(100002, 3, lone + pair)).tree
    assert tree.nodes[100001].rule.techniques == ("T1", "T2")
    assert tree.nodes[100002].rule.techniques == ("T3",)


@pytest.mark.parametrize(
    ("condition", "hour", "found"),
    [
        ("<time>9:00 - 17:00</time>", 12, True),
        ("<time>9:00 - 17:00</time>", 18, False),
        ("<time>!9:00 - 17:00</time>", 18, True),
        ("<time>22:00 - 6:00</time>", 23, True),
        ("<time>22:00 - 6:00</time>", 5, True),
        ("<time>22:00 - 6:00</time>", 12, False),
        ("<weekday>monday</weekday>", 12, True),
        ("<weekday>weekends</weekday>", 12, False),
    ],
)
def test_times_and_days(condition: str, hour: int, found: bool) -> None:  # noqa: FBT001
    clock = Clock()
    clock.now = time.mktime((2026, 11, 23, hour, 0, 0, 0, 0, -1))  # a Monday
    running = session(installed(rule(100001, 3, condition)), clock)
    assert (rule_of(running.feed(b'{"a":1}')) == 100001) is found


def test_all_faults_are_told_at_once() -> None:
    broken = rule(100001, 17, "") + rule(100002, 3, "<foo/>")
    with pytest.raises(LoadError) as caught:
        installed(broken)
    assert [fault.location.line for fault in caught.value.faults] == [2, 3]


@pytest.mark.parametrize(
    ("extra", "number"),
    [
        (rule(100000, 3, ""), "7612"),
        (rule(100001, 3, "", parent=5), ""),
        (rule(100001, 3, "", parent=99999), "7619"),
        (rule(100001, 3, '<match type="bogus">a</match>'), "7600"),
        (rule(100001, 3, '<list field="a">etc/lists/none</list>'), "7616"),
        (rule(100001, 3, "<compiled_rule>x</compiled_rule>"), "never fires"),
        (rule(100001, 3, "<srcgeoip>x</srcgeoip>"), "never fires"),
        (rule(100001, 3, "").replace("if_sid>100000</if_sid", "if_group>no</if_group"), "no rule"),
        (rule(100001, 3, "").replace("if_sid>100000</if_sid", "category>no</category"), "7611"),
    ],
)
def test_warnings(extra: str, number: str) -> None:
    found = [str(warning) for warning in installed(extra).warnings]
    assert any(number in text for text in found) is bool(number)


def test_an_unknown_decoder_is_a_warning_unless_strict() -> None:
    unknown = rule(100001, 3, "<decoded_as>nosuch</decoded_as>")
    installation = installed(unknown, strict=False)
    assert "never fires" in str(installation.warnings[0])
    assert rule_of(session(installation).feed(b'{"a":1}')) == 100000


@pytest.mark.parametrize(
    ("strict", "address", "found"),
    [(True, "10.1.1.1", 100001), (False, "10.1.1.1", 100000), (False, "11.1.1.1", 100001)],
)
def test_a_bang_before_an_address(strict: bool, address: str, found: int) -> None:  # noqa: FBT001
    installation = installed(rule(100001, 3, "<srcip>!10.0.0.0/8</srcip>"), strict=strict)
    result = session(installation).feed(f'{{"srcip":"{address}"}}'.encode())
    assert rule_of(result) == found


def looked_up(*names: str) -> str:
    return "".join(f'<list field="{name}">etc/lists/{name}</list>' for name in names)


@pytest.mark.parametrize(("strict", "found"), [(True, 100001), (False, 100000)])
def test_three_lists(strict: bool, found: int) -> None:  # noqa: FBT001
    """Wazuh looks at the last two only."""
    installation = installed(rule(100001, 3, looked_up(*"abc")), lists=LISTS, strict=strict)
    assert rule_of(session(installation).feed(b'{"a":"no","b":"b","c":"c"}')) == found


@pytest.mark.parametrize(("strict", "found"), [(True, 100000), (False, 100001)])
def test_addresses_with_a_value(strict: bool, found: int) -> None:  # noqa: FBT001
    lookup = (
        '<list field="srcip" lookup="address_match_key_value" check_value="net">etc/lists/a</list>'
    )
    installation = installed(rule(100001, 3, lookup), lists=LISTS, strict=strict)
    assert rule_of(session(installation).feed(b'{"srcip":"10.0.3.4"}')) == found
