"""A tree says what was asked, what the event has, and agrees with the rules' meaning."""

from collections.abc import Mapping

from hypothesis import given

from tests.unit.audit import HERE, event, text_is
from tests.unit.rules.strategies import EXPRESSIONS, events
from tocsin.model.event import AuditEvent
from tocsin.normalize.fields import AUDIT
from tocsin.rules import ir
from tocsin.rules.explain import MAX_SHOWN, Node, deciding, explain
from tocsin.rules.interpret import EventView, matches

CREATES = text_is("verb", "create", "patch")
IN_SHOP = text_is("objectRef.namespace", "shop")
BY_BOB = text_is("user.username", "bob")
PRIVILEGED = ir.Each(
    "requestObject.spec.containers",
    ir.AllOf((text_is("privileged", "true"), ir.Not(text_is("name", "istio", how="startswith")))),
    HERE,
)


def tree(match: ir.Expr, **changes: object) -> Node:
    return explain(match, event(**changes), AUDIT)


def containers(*items: Mapping[str, object]) -> dict[str, object]:
    return {"spec": {"containers": list(items)}}


def nodes(root: Node) -> list[Node]:
    return [root, *(node for child in root.children for node in nodes(child))]


@given(EXPRESSIONS, events())
def test_tree_agrees_with_the_meaning_of_the_rule(expr: ir.Expr, one: AuditEvent) -> None:
    root = explain(expr, one, AUDIT)
    assert root.holds is matches(expr, EventView(one, AUDIT))
    for node in nodes(root):
        below = [child.holds for child in node.children]
        expected = {"all": all(below), "any": any(below), "each": any(below)}
        assert node.holds is expected.get(node.kind, node.holds)
        if node.kind == "not":
            assert below == [not node.holds]
        if node.kind == "element":
            assert below == [node.holds]
    decided = list(deciding(root))
    assert decided
    # Without a negation in between, what decides is as the whole is.
    if "not" not in {node.kind for node in nodes(root)}:
        assert all(node.holds is root.holds for node in decided)


def test_test_says_what_is_asked_and_what_was_seen() -> None:
    found = tree(CREATES, verb="patch")
    assert found == Node('verb is "create" or "patch"', holds=True, values=("patch",), at=str(HERE))


def test_missing_field_has_no_values() -> None:
    found = tree(IN_SHOP, objectRef=None)
    assert (found.holds, found.values) == (False, ())


def test_first_term_that_fails_is_where_it_stopped() -> None:
    root = tree(ir.AllOf((CREATES, BY_BOB, text_is("userAgent", "curl"))))
    assert [node.text for node in deciding(root)] == ['user.username is "bob"']


def test_all_terms_of_a_match_decide() -> None:
    root = tree(ir.AllOf((CREATES, ir.AnyOf((BY_BOB, IN_SHOP)))))
    assert [node.text for node in deciding(root)] == [
        'verb is "create" or "patch"',
        'objectRef.namespace is "shop"',
    ]


def test_exception_that_holds_is_where_it_stopped() -> None:
    root = tree(ir.AllOf((CREATES, ir.Not(ir.AnyOf((BY_BOB, IN_SHOP))))))
    assert not root.holds
    assert [node.text for node in deciding(root)] == ['objectRef.namespace is "shop"']


def test_elements_are_told_apart_and_those_that_fit_come_first() -> None:
    body = containers(
        {"name": "web", "privileged": False}, {"name": "x"}, {"name": "evil", "privileged": True}
    )
    root = tree(PRIVILEGED, requestObject=body)
    assert root.holds
    assert [(child.text, child.values) for child in root.children] == [
        ("element 3", ("evil",)),
        ("element 1", ("web",)),
        ("element 2", ("x",)),
    ]
    assert [node.values for node in deciding(root)] == [("true",), ("evil",)]


def test_list_without_elements_decides_itself() -> None:
    root = tree(PRIVILEGED, requestObject=containers())
    assert list(deciding(root)) == [root]
    assert root.text == "for some element of requestObject.spec.containers"


def test_long_lists_are_cut_and_say_so() -> None:
    body = containers(*({"name": f"c{i}"} for i in range(100)), {"name": "evil"})
    one = text_is("requestObject.spec.containers.name", "evil")
    found = tree(one, requestObject=body)
    assert found.holds
    assert "evil" in found.values
    assert (len(found.values), found.more) == (MAX_SHOWN, 101 - MAX_SHOWN)
    root = tree(PRIVILEGED, requestObject=body)
    assert (len(root.children), root.more) == (MAX_SHOWN, 101 - MAX_SHOWN)


def test_anywhere_shows_what_fits_only() -> None:
    op = ir.TextIs("contains", ("kubectl",), fold=True)
    found = tree(ir.Anywhere(op, HERE))
    assert found.values == ("kubectl/v1.36.3",)
    assert tree(ir.Anywhere(op, HERE), userAgent="curl").values == ()


def test_texts_of_one_field_go_through_the_caller_together() -> None:
    command = text_is("exec.command", "mysql")
    changes: dict[str, object] = {
        "objectRef": {"resource": "pods", "subresource": "exec"},
        "requestURI": "/api/v1/namespaces/a/pods/p/exec?command=mysql&command=-p&command=hunter2",
    }

    def censored(path: str, texts: object) -> list[str]:
        assert (path, texts) == ("exec.command", ["mysql", "-p", "hunter2"])
        return ["mysql", "-p [redacted]"]

    found = explain(command, event(**changes), AUDIT, censored)
    assert (found.holds, found.values) == (True, ("mysql", "-p [redacted]"))


def test_objects_are_shown_as_such() -> None:
    op = ir.Present(wanted=True)
    body = {"spec": {"a": 1}, "list": [{"b": 1}]}
    assert tree(ir.Test("requestObject.spec", op, HERE), requestObject=body).values == ("{…}",)
