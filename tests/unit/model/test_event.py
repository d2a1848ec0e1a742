"""The event as API servers send it."""

import msgspec
import pytest

from tests.unit.audit import event
from tocsin.model.event import NO_META, NO_OBJECT, NO_STATUS, NO_USER, metadata_of


def test_names_are_those_of_the_api() -> None:
    one = event(
        impersonatedUser={"username": "bob", "uid": "u", "groups": ["g"], "extra": {"k": ["v"]}},
        authenticationMetadata={"impersonationConstraint": "c"},
        objectRef={"resource": "pods", "apiGroup": "", "apiVersion": "v1", "resourceVersion": "7"},
        responseStatus={"status": "Failure", "message": "m", "reason": "r", "code": 409},
        responseObject={"a": 1},
    )
    assert one.audit_id.startswith("9a1b")
    assert one.impersonated_user is not None
    assert bytes(one.impersonated_user.extra) == b'{"k":["v"]}'
    assert one.authentication_metadata is not None
    assert one.authentication_metadata.impersonation_constraint == "c"
    assert one.object_ref is not None
    assert (one.object_ref.api_group, one.object_ref.resource_version) == ("", "7")
    assert one.response_status is not None
    assert one.response_status.code == 409
    assert bytes(one.response_object) == b'{"a":1}'


@pytest.mark.parametrize("absent", ["user", "objectRef", "responseStatus", "annotations"])
def test_absent_and_null_are_the_same(absent: str) -> None:
    without = event(**{absent: None})
    assert without.user is None or absent != "user"
    assert not without.annotations or absent != "annotations"
    assert not without.request_object


def test_stand_ins_say_nothing() -> None:
    assert NO_USER.username is None
    assert NO_OBJECT.resource is None
    assert NO_STATUS.code is None


def test_metadata_is_read_without_the_rest() -> None:
    body = {"spec": {"a": [1]}, "metadata": {"name": "web", "uid": "u", "ownerReferences": [{}]}}
    found = metadata_of(event(responseObject=body).response_object)
    assert (found.name, found.uid, found.owner_references) == ("web", "u", [{}])


@pytest.mark.parametrize(
    "body",
    [
        *("", "null", "7", "[]", "{}", '{"metadata":null}', '{"metadata":[]}', "{"),
        "[" * 100_000,
        '{"metadata":{"name":"\xff"}}',
        '{"metadata":{"name":' + "1" * 5000 + "}}",
    ],
)
def test_metadata_of_odd_bodies_is_empty(body: str) -> None:
    assert metadata_of(msgspec.Raw(body.encode("latin-1"))) == NO_META
