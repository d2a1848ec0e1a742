"""Every construct of the Sigma language, with events that it matches and that it does not.

The order is that of the Sigma specification: values, modifiers, conditions, fields.
"""

import base64

import pytest

from tests.unit.dialects.sigma.rules import detecting, faults, matched, selecting


def on_agent(selection: str, agent: str | None) -> bool:
    return matched(selecting(selection), userAgent=agent)


def on_body(selection: str, body: object) -> bool:
    return matched(selecting(selection), requestObject=body)


# --- values


def test_items_of_a_map_are_all_asked_for() -> None:
    selection = "{verb: create, objectRef.resource: pods}"
    assert matched(selecting(selection))
    assert not matched(selecting(selection), verb="get")


def test_values_of_a_list_are_alternatives() -> None:
    selection = "{verb: [get, create]}"
    assert matched(selecting(selection))
    assert matched(selecting(selection), verb="get")
    assert not matched(selecting(selection), verb="list")


def test_maps_of_a_list_are_alternatives_of_all_their_items() -> None:
    selection = "[{verb: get, objectRef.resource: pods}, {verb: create}]"
    assert matched(selecting(selection))
    assert matched(selecting(selection), verb="get")
    assert not matched(selecting(selection), verb="get", objectRef={"resource": "nodes"})


@pytest.mark.parametrize(
    ("pattern", "agent", "hit"),
    [
        ("'kubectl'", "kubectl", True),
        ("'kubectl'", "KUBECTL", True),
        ("'KubeCtl'", "kubectl", True),
        ("'kubectl'", "kubectl/v1", False),
        ("'kube*'", "kubectl", True),
        ("'kube*'", "kube", True),
        ("'*ctl'", "Kubectl", True),
        ("'*bect*'", "kubectl", True),
        ("'*bect*'", "kubelet", False),
        ("'k*l'", "kubectl", True),
        ("'k*l'", "kl", True),
        ("'k*l'", "klx", False),
        ("'k*\\n'", "kubectl", False),
        ("'kubect?'", "kubectl", True),
        ("'kubect?'", "kubect", False),
        ("'kubect?'", "kubectll", False),
        ("'k*b?ct*'", "KUBECTL", True),
        ("'*'", "anything", True),
        ("'*'", "", True),
        ("'*'", None, False),
        ("'?'", "x", True),
        ("'?'", "", False),
        ("'a*b'", "a\nb", True),
        ("'a?b'", "aäb", True),
        (r"'a\*b'", "a*b", True),
        (r"'a\*b'", "axb", False),
        (r"'a\?b'", "a?b", True),
        (r"'a\?b'", "axb", False),
        (r"'a\b'", r"a\b", True),
        (r"'a\\b'", r"a\b", True),
        (r"'a\\*'", r"a\xyz", True),
        (r"'a\\*'", "a*", False),
        (r"'a\\\*'", r"a\*", True),
        (r"'a\\\*'", r"a\x", False),
        ("'(a+)+$'", "(a+)+$", True),
        ("'(a+)+*'", "(A+)+xyz", True),
        ("'ä*Ü'", "Äxü", True),
        ("''", "", True),
        ("''", "x", False),
        ("''", None, False),
        ("null", None, True),
        ("null", "", False),
        ("null", "x", False),
        ("[]", None, True),
        ("[]", "", False),
        ("~", None, True),
        ("'null'", "null", True),
        ("no", "no", True),
        ("010", "010", True),
        ("[null, x]", None, True),
        ("[null, x]", "x", True),
        ("[null, x]", "y", False),
    ],
)
def test_text(pattern: str, agent: str | None, *, hit: bool) -> None:
    assert on_agent(f"{{userAgent: {pattern}}}", agent) is hit


@pytest.mark.parametrize("written", ["403", "'403'"])
def test_number_and_its_text_are_the_same(written: str) -> None:
    assert matched(selecting(f"{{responseStatus.code: {written}}}"), responseStatus={"code": 403})
    assert on_body(f"{{requestObject.a: {written}}}", {"a": "403"})
    assert on_body(f"{{requestObject.a: {written}}}", {"a": 403})
    assert not on_body(f"{{requestObject.a: {written}}}", {"a": 4030})


@pytest.mark.parametrize("written", ["true", "'true'", "'True'"])
def test_boolean_and_its_text_are_the_same(written: str) -> None:
    assert on_body(f"{{requestObject.a: {written}}}", {"a": True})
    assert on_body(f"{{requestObject.a: {written}}}", {"a": "true"})
    assert not on_body(f"{{requestObject.a: {written}}}", {"a": 1})
    assert not on_body(f"{{requestObject.a: {written}}}", {"a": False})


def test_fraction_is_compared_as_written() -> None:
    assert on_body("{requestObject.a: 1.5}", {"a": 1.5})
    assert not on_body("{requestObject.a: 1.5}", {"a": 1.25})


def test_keyword_is_looked_for_in_all_values() -> None:
    body = {"deep": [{"er": ["xx Needle xx"]}]}
    for selection in ("[needle]", "needle", "[straw, NEEDLE]", "{'': needle}"):
        assert on_body(selection, body)
        assert not on_body(selection, {"deep": "straws"}) or "straw" in selection
    assert on_body("[403]", {"a": 14031})
    assert on_body("['xx*xx']", body)
    assert not on_body("['xx*x']", {"a": "xx y"})
    assert on_body("[alice]", None)
    assert not on_body("[needle]", None)


def test_all_of_several_keywords() -> None:
    assert on_body("{'|all': [needle, straw]}", {"a": "needle", "b": ["straw"]})
    assert not on_body("{'|all': [needle, straw]}", {"a": "needle"})


def test_keyword_may_be_a_pattern() -> None:
    assert on_body("{'|re': 'ne+dle$'}", {"a": "a neeedle"})
    assert not on_body("{'|re': '^ne+dle$'}", {"a": "a neeedle"})
    assert on_body("{'|contains': 'NEED'}", {"a": "a needle"})
    assert on_body("{'|cidr': '192.0.2.0/24'}", {"a": "192.0.2.7"})


# --- modifiers


@pytest.mark.parametrize(
    ("item", "agent", "hit"),
    [
        ("contains: BECT", "kubectl", True),
        ("contains: belt", "kubectl", False),
        ("contains: 'a*b'", "xxaYbxx", True),
        ("contains: ['x', 'ctl']", "kubectl", True),
        ("contains|all: ['kube', 'ctl']", "kubectl", True),
        ("contains|all: ['kube', 'let']", "kubectl", False),
        ("contains: ''", "x", True),
        ("contains: ''", None, False),
        ("startswith: KUBE", "kubectl", True),
        ("startswith: ctl", "kubectl", False),
        ("endswith: CTL", "kubectl", True),
        ("endswith: kube", "kubectl", False),
        ("startswith|all: ['k', 'ku']", "kubectl", True),
        ("cased: kubectl", "kubectl", True),
        ("cased: kubectl", "Kubectl", False),
        ("contains|cased: Bect", "kuBectl", True),
        ("contains|cased: Bect", "kubectl", False),
        ("cased|startswith: Ku", "Kubectl", True),
        ("cased: 'K*l'", "Kubectl", True),
        ("cased: 'K*l'", "kubectl", False),
        ("re: 'b.ct'", "kubectl", True),
        ("re: '^b.ct'", "kubectl", False),
        ("re: 'B.CT'", "kubectl", False),
        ("re|i: 'B.CT'", "kubectl", True),
        ("re|ignorecase: 'B.CT'", "kubectl", True),
        ("re: 'a.b'", "a\nb", False),
        ("re|s: 'a.b'", "a\nb", True),
        ("re|dotall: 'a.b'", "a\nb", True),
        ("re: '^b'", "a\nb", False),
        ("re|m: '^b'", "a\nb", True),
        ("re|multiline: '^b'", "a\nb", True),
        ("re|i|m|s: '^B.C'", "a\nb\nc", True),
        ("re: ['x', 'ctl$']", "kubectl", True),
        ("re|all: ['^k', 'l$']", "kubectl", True),
        ("re|all: ['^k', 'x$']", "kubectl", False),
        (r"re: 'a\*b'", "a*b", True),
        (r"re: '\\'", "a\\b", True),
        (r"re: '\d{3}'", "a123", True),
        ("re: 'a|b'", "xb", True),
        ("exists: true", "", True),
        ("exists: true", None, False),
        ("exists: false", None, True),
        ("exists: false", "x", False),
        ("neq: kubectl", "kubectl", False),
        ("neq: kubectl", "KUBECTL", False),
        ("neq: kubectl", "other", True),
        ("neq: kubectl", None, True),
        ("contains|neq: ube", "kubectl", False),
        ("neq: [a, b]", "b", False),
        ("neq: [a, b]", "c", True),
        ("base64: 'kubectl'", base64.b64encode(b"kubectl").decode(), True),
        ("base64|contains: 'kubectl'", "x" + base64.b64encode(b"kubectl").decode(), True),
        ("base64: 'kubectl'", "kubectl", False),
        ("base64offset|contains: '/bin/sh'", base64.b64encode(b"a/bin/sh -c").decode(), True),
        ("base64offset|contains: '/bin/sh'", base64.b64encode(b"ab/bin/sh -c").decode(), True),
        ("base64offset|contains: '/bin/sh'", base64.b64encode(b"abc/bin/sh -c").decode(), True),
        ("base64offset|contains: '/bin/sh'", base64.b64encode(b"/bin/zsh").decode(), False),
        ("wide|base64: 'ab'", base64.b64encode("ab".encode("utf-16le")).decode(), True),
        ("utf16be|base64: 'ab'", base64.b64encode("ab".encode("utf-16be")).decode(), True),
        (
            "utf16|base64: 'ab'",
            base64.b64encode(b"\xff\xfe" + "ab".encode("utf-16le")).decode(),
            True,
        ),
        ("windash|contains: ' -token'", "x /token", True),
        ("windash|contains: ' -token'", "x -token", True),
        ("windash|contains: ' -token'", "x \u2013token", True),
        ("windash|contains: ' -token'", "x token", False),
    ],
)
def test_modifier_of_a_text(item: str, agent: str | None, *, hit: bool) -> None:
    modifiers, _, value = item.partition(": ")
    assert on_agent(f"{{'userAgent|{modifiers}': {value}}}", agent) is hit


def test_all_of_several_patterns_may_hit_different_elements() -> None:
    selection = "{'requestObject.a|contains|all': [one, two]}"
    assert on_body(selection, {"a": ["x one", "two x"]})
    assert not on_body(selection, {"a": ["x one", "x"]})


@pytest.mark.parametrize(
    ("network", "address", "hit"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.7/32", "10.0.0.7", True),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "10.1.2.3", False),
        ("::/0", "::1", True),
        ("10.0.0.0/8", "not an address", False),
    ],
)
def test_network(network: str, address: str, *, hit: bool) -> None:
    text = selecting(f"{{'sourceIPs|cidr': '{network}'}}")
    assert matched(text, sourceIPs=["192.0.2.1", address]) is hit


def test_any_of_several_networks() -> None:
    text = selecting("{'sourceIPs|cidr': ['10.0.0.0/8', '2001:db8::/32']}")
    assert matched(text, sourceIPs=["2001:db8::1"])
    assert not matched(text, sourceIPs=["192.0.2.1"])
    assert not matched(text, sourceIPs=None)


@pytest.mark.parametrize(
    ("order", "hits"),
    [("lt", [399]), ("lte", [399, 400]), ("gt", [401]), ("gte", [400, 401])],
)
def test_order_of_numbers(order: str, hits: list[int]) -> None:
    text = selecting(f"{{'responseStatus.code|{order}': 400}}")
    for code in (399, 400, 401):
        assert matched(text, responseStatus={"code": code}) is (code in hits)
    assert not matched(text, responseStatus=None)
    assert on_body(f"{{'requestObject.a|{order}': 400}}", {"a": str(hits[0])})


@pytest.mark.parametrize(
    ("modifier", "other", "hit"),
    [
        ("fieldref", "alice", True),
        ("fieldref", "ALICE", True),
        ("fieldref", "alic", False),
        ("fieldref|startswith", "ali", True),
        ("fieldref|startswith", "ice", False),
        ("fieldref|endswith", "ice", True),
        ("fieldref|endswith", "ali", False),
        ("fieldref|contains", "lic", True),
        ("fieldref|contains", "xlic", False),
        ("fieldref|neq", "alice", False),
        ("fieldref|neq", "bob", True),
    ],
)
def test_reference_to_another_field(modifier: str, other: str, *, hit: bool) -> None:
    text = selecting(f"{{'user.username|{modifier}': 'requestObject.a'}}")
    assert matched(text, requestObject={"a": ["x", other]}) is hit


def test_reference_to_a_missing_field_is_not_satisfied() -> None:
    assert not matched(selecting("{'user.username|fieldref': 'requestObject.a'}"))
    assert not matched(selecting("{'requestObject.a|fieldref': 'requestObject.b'}"))


@pytest.mark.parametrize(
    ("unit", "number"),
    [("minute", 45), ("hour", 10), ("day", 23), ("week", 48), ("month", 11), ("year", 2026)],
)
def test_part_of_a_time(unit: str, number: int) -> None:
    assert matched(selecting(f"{{'requestReceivedTimestamp|{unit}': {number}}}"))
    assert not matched(selecting(f"{{'requestReceivedTimestamp|{unit}': {number + 1}}}"))
    assert matched(selecting(f"{{'requestReceivedTimestamp|{unit}': [0, {number}]}}"))


def test_placeholder_stands_for_a_set() -> None:
    sets = {"verbs": ["Create", "delete"], "kinds": ["po*", "node?"], "empty": []}
    assert matched(selecting("{'verb|expand': '%verbs%'}"), sets)
    assert not matched(selecting("{'verb|expand': '%verbs%'}"), sets, verb="get")
    assert matched(selecting("{'objectRef.resource|expand': '%kinds%'}"), sets)
    nodes = {"resource": "nodes"}
    assert matched(selecting("{'objectRef.resource|expand': '%kinds%'}"), sets, objectRef=nodes)
    assert not matched(
        selecting("{'objectRef.resource|expand': '%kinds%'}"), sets, objectRef={"resource": "x"}
    )
    assert not matched(selecting("{'verb|expand': '%empty%'}"), sets)


def test_placeholder_may_be_part_of_a_text() -> None:
    sets = {"names": ["ALI", "bo"]}
    assert matched(selecting("{'user.username|expand': '%names%ce'}"), sets)
    assert matched(selecting("{'user.username|expand|startswith': '%names%'}"), sets)
    assert matched(selecting("{'user.username|contains|expand': '%names%'}"), sets)
    assert not matched(selecting("{'user.username|expand|cased': '%names%ce'}"), sets)
    assert matched(selecting("{'user.username|re|expand': '^(?i:%names%)'}"), sets)


def test_percent_signs_without_expand_are_text() -> None:
    assert on_agent("{userAgent: '%verbs%'}", "%verbs%")


# --- conditions


def condition(text: str) -> str:
    selections = "a: {verb: create}\nb: {userAgent: no}\nc: {objectRef.resource: pods}"
    return detecting(
        f"{selections}\n_d: {{userAgent: no}}\nc-2: {{verb: create}}\ncondition: {text}"
    )


@pytest.mark.parametrize(
    ("text", "hit"),
    [
        ("a", True),
        ("b", False),
        ("a and c", True),
        ("a and b", False),
        ("a or b", True),
        ("not b", True),
        ("not a", False),
        ("not a or c", True),
        ("not (a or c)", False),
        ("a or b and b", True),
        ("(a or b) and b", False),
        ("not b and not b", True),
        ("not not a", True),
        ("((a))", True),
        ("c-2", True),
        ("_d", False),
        ("1 of c*", True),
        ("1 of *", True),
        ("any of c*", True),
        ("all of c*", True),
        ("all of them", False),
        ("1 of them", True),
        ("any of them", True),
        ("all of _*", False),
        ("1 of _*", False),
        ("1 of b*", False),
        ("not 1 of b*", True),
        ("all of c* and not 1 of b*", True),
        ("[b, a]", True),
        ("[b, not a]", False),
    ],
)
def test_condition(text: str, *, hit: bool) -> None:
    assert matched(condition(text)) is hit


def test_them_leaves_out_names_that_begin_with_an_underscore() -> None:
    text = detecting("a: {verb: create}\n_b: {userAgent: no}\ncondition: all of them")
    assert matched(text)


def test_negation_of_a_missing_field_holds() -> None:
    text = detecting("a: {objectRef.subresource: exec}\ncondition: not a")
    assert matched(text)
    assert not matched(text, objectRef={"resource": "pods", "subresource": "exec"})
    assert matched(detecting("a: {no.such.field: x}\ncondition: not a"))


# --- fields


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("verb", "create"),
        ("objectRef.resource", "pods"),
        ("user.groups", "dev"),
        ("annotations.authorization.k8s.io/decision", "allow"),
        ("user.extra.authentication.kubernetes.io/pod-name", "web-1"),
        ("requestObject.spec.containers.image", "nginx"),
        ("requestObject.spec.containers[].image", "nginx"),
        ("requestObject.spec.containers.args", "-v"),
        ("requestObject.metadata.labels.app.kubernetes.io/name", "web"),
        ("requestObject.metadata.labels.a.b", "dotted"),
        ("podspec.containers.image", "nginx"),
        ("outcome", "allowed"),
        ("actor.kind", "user"),
    ],
)
def test_field(field: str, value: str) -> None:
    labels = {"app.kubernetes.io/name": "web", "a.b": "dotted"}
    container = {"image": "nginx", "args": ["-q", "-v"]}
    event: dict[str, object] = {
        "user": {
            "username": "alice",
            "groups": ["x", "dev"],
            "extra": {"authentication.kubernetes.io/pod-name": ["web-1"]},
        },
        "requestObject": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"image": "other"}, container]},
        },
    }
    assert matched(selecting(f"{{'{field}': '{value}'}}"), None, **event)
    assert not matched(selecting(f"{{'{field}': 'x{value}'}}"), None, **event)


def test_core_group_is_null() -> None:
    text = selecting("{objectRef.apiGroup: null}")
    assert matched(text)
    assert not matched(text, objectRef={"resource": "deployments", "apiGroup": "apps"})


# --- what is refused


@pytest.mark.parametrize(
    ("selection", "reason"),
    [
        ("{'verb|nope': x}", "Unknown modifier 'nope'"),
        ("{'verb|contains': 5}", "incompatible"),
        ("{'verb|startswith': null}", "incompatible"),
        ("{'verb|lt': x}", "incompatible"),
        ("{'verb|re': '(?=x)'}", "invalid"),
        (r"{'verb|re': '(x)\1'}", "invalid"),
        ("{'verb|re': '('}", "invalid"),
        ("{'verb|re': 5}", "must be text"),
        ("{'verb|re': null}", "must be text"),
        ("{'verb|i': x}", "incompatible"),
        ("{'verb|cidr': nope}", "Invalid CIDR"),
        ("{'verb|cidr': '10.0.0.1/8'}", "Invalid CIDR"),
        ("{'verb|exists': x}", "incompatible"),
        ("{'|exists': true}", "must be applied to field"),
        ("{'verb|base64': 'x*'}", "wildcards"),
        ("{'verb|wide': 'ä'}", "ascii"),
        ("{'verb|hour': x}", "incompatible"),
        ("{'verb|hour|gt': 5}", "compared for equality only"),
        ("{'verb|expand': '%nope%'}", "no set is named %nope% (known sets: none)"),
        ("{'verb|re|expand': 'x%nope%'}", "no set is named %nope%"),
        ("{'verb|fieldref': 'a*'}", "wildcards"),
        ("{'verb|fieldref': 'requestObject..x'}", "empty part"),
        ("{'|fieldref': 'verb'}", "need a field"),
        ("[null]", "need a field"),
        ("{'': null}", "need a field"),
        ("[]", "must be bound to a field"),
        ("{}", "empty"),
        ("{'a..b': x}", "empty part"),
        ("{'requestObject.a[0]': x}", "an index"),
        ("{verb: {a: b}}", "Unsupported type"),
        ("{verb: [[a]]}", "Unsupported type"),
        ("{verb: '" + "?" * 400_000 + "'}", "too large"),
    ],
)
def test_value_that_cannot_be_had_is_refused_with_its_line(selection: str, reason: str) -> None:
    (fault,) = faults(selecting(selection))
    assert fault.startswith("r0.yml:5: ")
    assert reason in fault


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a AND c", "found 'AND'"),
        ("a OR c", "found 'OR'"),
        ("2 of c*", "found 'of'"),
        ("a | count() > 5", "deprecated"),
        ("a near b", "found 'near'"),
        ("nope", "names 'nope', which is no selection"),
        ("a and not nope", "names 'nope'"),
        ("1 of nope*", "'1 of nope*' names no selection"),
        ("all of nope*", "names no selection"),
        ("''", "Expected"),
        ("a and", "Expected"),
        ("(a", "Unbalanced parentheses"),
        ("5", "not a readable condition"),
        ("{a: b}", "not a readable condition"),
        ("[a, 5]", "not a readable condition"),
        ("not " * 2000 + "a", "not a readable condition"),
        ("not " * 60 + "a", "nested deeper than 50"),
    ],
)
def test_condition_that_cannot_be_had_is_refused_with_its_line(text: str, reason: str) -> None:
    (fault,) = faults(condition(text))
    assert fault.startswith("r0.yml:10: ")
    assert reason in fault


@pytest.mark.parametrize("text", ["", "condition:", "condition: []", "condition: ~"])
def test_rule_without_a_condition_is_refused(text: str) -> None:
    (fault,) = faults(detecting(f"s: {{verb: get}}\n{text}"))
    assert fault.startswith("r0.yml:")
