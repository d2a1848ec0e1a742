"""Loading Sigma files: everything wrong is told at once, and good rules are never held back."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.dialects.sigma.rules import (
    HEAD,
    detecting,
    faults,
    load,
    matched,
    rule_of,
    selecting,
)
from tocsin.dialects.sigma import load_sigma
from tocsin.dialects.sigma.load import is_sigma
from tocsin.model.alert import Technique

GOOD = selecting("{verb: create}")


def with_line(line: str, key: str = "title") -> str:
    """Return a good rule in which the line of a key is another one."""
    lines = [line if old.startswith(f"{key}:") else old for old in GOOD.splitlines()]
    return "\n".join(lines) + "\n"


def test_rule_says_what_its_file_says() -> None:
    text = GOOD + (
        "level: critical\n"
        "tags: [attack.privilege-escalation, attack.t1611, attack.t1078.001, car.2020-01-001]\n"
        "fields: [user.username, sourceIPs, user.username]\n"
        "description: x\nauthor: a\nstatus: test\ndate: 2026-11-23\nmodified: 2026/11/24\n"
        "references: [https://example.org]\nfalsepositives: [none]\ncustom: {any: thing}\n"
    )
    rule = rule_of(text)
    assert rule.id == "5e9e9c06-3176-4ec0-8285-e1ffc51b8bc9"
    assert rule.title == rule.message == "A rule"
    assert (rule.dialect, rule.severity, rule.level) == ("sigma", "critical", "critical")
    assert rule.fields == ("user.username", "sourceIPs")
    assert rule.tags[1] == "attack.t1611"
    assert [technique.technique for technique in rule.attack] == ["T1611", "T1078.001"]
    assert rule.attack[0] == Technique("T1611", "Escape to Host", ("privilege-escalation",))
    assert str(rule.at) == "r0.yml:1"


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        ("informational", "info"),
        ("low", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("critical", "critical"),
        (None, "medium"),
    ],
)
def test_levels_are_severities(level: str | None, severity: str) -> None:
    rule = rule_of(GOOD + (f"level: {level}\n" if level else ""))
    assert rule.severity == severity
    assert rule.level == (level or "medium")


def test_rule_without_an_id_goes_by_its_name_or_title() -> None:
    assert rule_of(GOOD.replace("id: 5e", "# id: 5e")).id == "A rule"
    assert rule_of(GOOD.replace("id: 5e", "name: a_name # 5e")).id == "a_name"


@pytest.mark.parametrize(
    ("source", "ours"),
    [
        ("{product: kubernetes, service: audit}", True),
        ("{product: kubernetes, service: audit, category: application}", True),
        ("{product: kubernetes}", True),
        ("{category: application}", True),
        ("{product: kubernetes, definition: needs a policy}", True),
        ("{product: kubernetes, service: kubelet}", False),
        ("{product: windows, service: audit}", False),
        ("{category: process_creation, product: kubernetes}", False),
    ],
)
def test_rules_for_other_log_sources_are_skipped(source: str, *, ours: bool) -> None:
    loaded = load(GOOD.replace("{product: kubernetes, service: audit}", source))
    assert not loaded.faults
    assert len(loaded.rules) == ours
    assert loaded.skipped == (not ours)


@pytest.mark.parametrize(
    ("line", "key", "reason"),
    [
        ("title: [T]", "title", "r0.yml:1: Sigma rule title must be a string"),
        ("# none", "title", "r0.yml:2: Sigma rule must have a title"),
        ("title: " + "x" * 300, "title", "must not exceed 256"),
        ("id: 7", "id", "wrong type"),
        ("id: [7]", "id", "wrong type"),
        ("id: x", "id", "r0.yml:2: Sigma rule identifier must be an UUID"),
        ("logsource: 5", "logsource", "r0.yml:3: Sigma logsource must be a valid YAML map"),
        ("logsource: {}", "logsource", "r0.yml:3: Sigma log source can't be empty"),
        ("logsource: {product: [kubernetes]}", "logsource", "r0.yml:3: Sigma log source product"),
        ("# none", "logsource", "must have a log source"),
    ],
)
def test_wrong_head_is_told(line: str, key: str, reason: str) -> None:
    (fault,) = faults(with_line(line, key))
    assert reason in fault


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("level: nope", "'nope' is not a valid Sigma rule level"),
        ("level: {a: b}", "level must be a string"),
        ("status: nope", "'nope' is not a valid Sigma rule status"),
        ("tags: 5", "must be a list"),
        ("tags: [nope]", "namespace"),
        ("date: tomorrow", "is invalid"),
        ("fields: 5", "must be a list"),
        ("fields: [7]", "empty part (fields)"),
        ("fields: [{a: b}]", "empty part (fields)"),
        ("fields: [a..b]", "'a..b' has an empty part (fields)"),
        ("related: [5]", "must be maps"),
        ("references: 5", "must be a list"),
        ("author: 5", "must be a string"),
        ("falsepositives: {a: b}", "must be a list"),
    ],
)
def test_wrong_line_is_told(line: str, reason: str) -> None:
    (fault,) = faults(GOOD + line + "\n")
    assert fault.startswith("r0.yml:7: ")
    assert reason in fault


@pytest.mark.parametrize("section", ["5", "[]", "text", "{condition: s}", "~"])
def test_wrong_detection_is_told(section: str) -> None:
    (fault,) = faults(f"{HEAD}detection: {section}\n")
    assert fault.startswith("r0.yml:4: ")


def test_everything_wrong_in_a_file_is_told_at_once() -> None:
    text = (
        detecting(
            "one: {'verb|nope': x}\n"
            "two:\n  userAgent|re: '('\n  ok: x\n  verb|cidr: nope\n"
            "three: ['|']\n"
            "four: {a: {b: c}}\n"
            "condition: one"
        )
        + "level: nope\nstatus: nope\nfields: [a..b]\ntocsin: {each: {five: a}, message: $(b..c)}\n"
    )
    found = faults(text)
    lines = [int(fault.split(":")[1]) for fault in found]
    assert sorted(lines) == [5, 7, 9, 11, 13, 14, 15, 16]
    assert sum("tocsin" in fault for fault in found) == 1


def test_all_selections_and_conditions_are_looked_at() -> None:
    text = detecting(
        "a: {'verb|expand': '%one%'}\n"
        "b: {'userAgent|expand': ['%two%', x], c..d: 1}\n"
        "condition: [a or b, nope, a and]"
    )
    assert len(faults(text)) == 5


BROKEN = [
    "title: [",
    "a: &x [*x]",
    "{" * 100,
    "title: T\n",
    "[1, 2]\n",
    "text\n",
    "title: T\ncorrelation: {type: event_count, rules: [x], timespan: 1m, condition: {gte: 2}}\n",
    HEAD + "detection: {s: {verb: get}, condition: nope}\n",
    HEAD + "detection: {s: {'verb|re': 5}, condition: s}\n",
    HEAD + "detection: {s: {verb: get}, condition: 5}\n",
    HEAD + "detection: {s: {verb: get}, condition: '" + "not " * 3000 + "s'}\n",
    HEAD.replace("id: 5e", "id: 5 #") + "detection: {s: {verb: get}, condition: s}\n",
    HEAD + "filter: {rules: any, s: {verb: get}, condition: not nope}\n",
    HEAD + "filter: {rules: any, s: {'verb|expand': '%nope%'}, condition: not s}\n",
    HEAD + "filter: {rules: any, s: {'verb|re': '('}, condition: not s}\n",
    HEAD + "filter: {rules: any, s: {verb: get}, condition: 'not ('}\n",
    HEAD + "filter: {rules: 5, s: {verb: get}, condition: not s}\n",
    HEAD + "filter: {s: {verb: get}, condition: not s}\n",
    HEAD + "filter: 5\n",
]


@pytest.mark.parametrize("broken", BROKEN)
def test_bad_file_never_holds_back_good_ones(broken: str) -> None:
    loaded = load(GOOD, broken, GOOD)
    assert len(loaded.rules) == 2
    (fault,) = loaded.faults
    assert str(fault).startswith("r1.yml:")
    assert fault.location.line > 0


def test_bad_document_does_not_hold_back_its_neighbours() -> None:
    loaded = load(f"---\n{GOOD}---\ntitle: T\n---\n{GOOD}")
    assert len(loaded.rules) == 2
    (fault,) = loaded.faults
    assert str(fault).startswith("r0.yml:9: not a Sigma rule")
    assert [rule.at.line for rule in loaded.rules] == [2, 11]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "s", "a..b", "%x%", "*"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["s", "condition", "verb", "verb|re", "|all", "", "rules", "x|expand"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
KEYS = [
    *("title", "id", "name", "logsource", "detection", "filter", "level", "status", "tags", "date"),
    *("fields", "related", "references", "tocsin", "author", "correlation", "taxonomy", "scope"),
]


@given(st.dictionaries(st.sampled_from(KEYS), JUNK, max_size=4))
def test_no_document_makes_loading_fail(changes: dict[str, object]) -> None:
    rule = yaml.safe_load(GOOD) | changes
    loaded = load_sigma([("junk.yml", yaml.safe_dump(rule)), ("good.yml", GOOD)], {})
    assert loaded.rules
    assert loaded.rules[-1].at.path == "good.yml"


@given(st.text(max_size=60))
def test_no_text_makes_loading_fail(text: str) -> None:
    loaded = load_sigma([("junk.yml", text), ("good.yml", GOOD)], {})
    assert loaded.rules[-1].at.path == "good.yml"


# --- filters


def filtering(
    rules: str, section: str = "f: {user.username: alice}", condition: str = "not f"
) -> str:
    body = f"filter:\n  rules: {rules}\n  {section}\n  condition: {condition}\n"
    return "title: A filter\nlogsource: {product: kubernetes}\n" + body


@pytest.mark.parametrize(
    ("rules", "applies"),
    [
        ("any", True),
        ("5e9e9c06-3176-4ec0-8285-e1ffc51b8bc9", True),
        ("a_name", True),
        ("[x, a_name]", True),
        ("[5e9e9c06-3176-4ec0-8285-e1ffc51b8bc9]", True),
        ("[]", True),
        ("[x, y]", False),
        ("00000000-0000-4000-8000-000000000000", False),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_filter_is_added_to_the_rules_that_it_names(
    rules: str, *, applies: bool, first: bool
) -> None:
    named = GOOD + "name: a_name\n"
    files = [filtering(rules), named] if first else [named, filtering(rules)]
    loaded = load_sigma([(f"{n}.yml", text) for n, text in enumerate(files)], {})
    assert not loaded.faults
    (rule,) = loaded.rules
    both = f"{named}---\n{filtering(rules)}"
    assert matched(both) is not applies
    assert matched(both, user={"username": "bob"})
    assert rule.id == rule_of(named).id


def test_filters_add_up_and_their_names_do_not_meet() -> None:
    text = detecting("f: {verb: create}\ncondition: f")
    filters = filtering("any") + "---\n" + filtering("any", "f: {user.username: bob}")
    both = f"{text}---\n{filters}"
    assert not matched(both)
    assert not matched(both, user={"username": "bob"})
    assert matched(both, user={"username": "carol"})


def test_filter_condition_is_taken_as_written() -> None:
    assert matched(f"{GOOD}---\n{filtering('any', condition='f')}")
    assert not matched(f"{GOOD}---\n{filtering('any', condition='f')}", user={"username": "bob"})
    them = filtering("any", condition="not 1 of them")
    assert not matched(f"{GOOD}---\n{them}")


def test_filter_may_use_sets() -> None:
    text = f"{GOOD}---\n{filtering('any', section='''f: {'user.username|expand': '%friends%'}''')}"
    assert not matched(text, {"friends": ["Alice"]})
    assert matched(text, {"friends": ["Bob"]})


def test_filter_for_another_log_source_is_skipped() -> None:
    other = filtering("any").replace("kubernetes", "windows")
    loaded = load(GOOD, other)
    assert loaded.skipped == 1
    assert matched(f"{GOOD}---\n{other}")


def test_filter_applies_to_every_condition() -> None:
    text = detecting("a: {verb: create}\nb: {verb: get}\ncondition: [a, b]")
    both = f"{text}---\n{filtering('any')}"
    assert not matched(both)
    assert not matched(both, verb="get")
    assert matched(both, verb="get", user={"username": "bob"})


def test_what_looks_like_sigma() -> None:
    assert is_sigma({"detection": {}})
    assert is_sigma({"filter": {}})
    assert is_sigma({"correlation": {}})
    assert not is_sigma({"title": "T"})
    assert not is_sigma(["detection"])
