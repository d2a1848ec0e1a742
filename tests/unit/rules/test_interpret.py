"""The reference meaning of conditions on events."""

from tests.unit.audit import HERE, text_is, view
from tocsin.rules import ir
from tocsin.rules.interpret import matches

ROLE = {
    "rules": [
        {"verbs": ["get"], "resources": ["secrets"]},
        {"verbs": ["*"], "resources": ["pods"]},
    ]
}


def test_negation_holds_for_a_missing_field() -> None:
    assert matches(ir.Not(text_is("objectRef.subresource", "exec")), view())
    assert not matches(text_is("objectRef.subresource", "exec"), view())


def test_absent_and_null_are_the_same_and_empty_is_not() -> None:
    missing = ir.Test("requestObject.a", ir.Present(wanted=False), HERE)
    assert matches(missing, view(requestObject={}))
    assert matches(missing, view(requestObject={"a": None}))
    assert not matches(missing, view(requestObject={"a": ""}))


def test_any_element_of_a_list_may_match() -> None:
    one = view(requestObject=ROLE)
    assert matches(text_is("requestObject.rules.verbs", "*"), one)
    assert matches(
        ir.AllOf(
            (
                text_is("requestObject.rules.verbs", "*"),
                text_is("requestObject.rules.resources", "secrets"),
            )
        ),
        one,
    )


def test_each_asks_for_one_and_the_same_element() -> None:
    one = view(requestObject=ROLE)

    def rule_with(verb: str, resource: str) -> ir.Expr:
        both = ir.AllOf((text_is("verbs", verb), text_is("resources", resource)))
        return ir.Each("requestObject.rules", both, HERE)

    assert matches(rule_with("*", "pods"), one)
    assert not matches(rule_with("*", "secrets"), one)
    assert not matches(rule_with("*", "pods"), view())


def test_anywhere_looks_into_metadata_and_bodies() -> None:
    one = view(requestObject={"a": [{"b": ["needle"]}]}, annotations={"k": "straw"})

    def anywhere(text: str) -> ir.Expr:
        return ir.Anywhere(ir.TextIs("contains", (text,), fold=True), HERE)

    for text in ("needle", "straw", "alice", "10.0.0.7", "shop", "201"):
        assert matches(anywhere(text), one)
    assert not matches(anywhere("hay"), one)


def test_derived_fields_are_there_only_where_they_can_be() -> None:
    uri = "/api/v1/namespaces/shop/pods/web/exec?command=sh"
    exec_ref = {"resource": "pods", "subresource": "exec"}
    asks = text_is("exec.command", "sh")
    assert matches(asks, view(requestURI=uri, objectRef=exec_ref, verb="get"))
    assert not matches(asks, view(requestURI=uri))


def test_field_that_no_event_has_is_missing() -> None:
    assert view().values("no.such.field") == []
    assert view().values("user.nope") == []
