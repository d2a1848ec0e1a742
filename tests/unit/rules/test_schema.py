"""What rules may name, and how a name is found."""

import pytest

from tocsin.normalize.fields import AUDIT
from tocsin.rules.paths import PathError


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("verb", ("verb", ())),
        ("objectRef.resource", ("objectRef.resource", ())),
        ("requestObject.spec.a", ("requestObject", ("spec", "a"))),
        ("user.extra.a.b/c", ("user.extra", ("a", "b/c"))),
        ("podspec.containers.image", ("podspec", ("containers", "image"))),
        ("user.nope", ("user", ("nope",))),
        ("nope", None),
        ("nope.user", None),
        ("requestobject", None),
    ],
)
def test_longest_known_name_is_found(path: str, found: tuple[str, tuple[str, ...]] | None) -> None:
    located = AUDIT.locate(path)
    assert (located and located[:2]) == found
    located = AUDIT.locate(path)
    assert (located and located[:2]) == found


def test_path_below_a_field_must_be_one() -> None:
    with pytest.raises(PathError):
        AUDIT.locate("requestObject.a..b")


@pytest.mark.parametrize(
    "path", ["verb", "user", "annotations.x", "requestObject.a.b", "podspec.x"]
)
def test_field_that_can_have_a_value(path: str) -> None:
    assert AUDIT.has(path)


@pytest.mark.parametrize(
    "path",
    ["nope", "verb.x", "user.usrname", "objectRef.kind", "sourceIPs.x", "responseStatus.c.d"],
)
def test_field_that_no_event_has(path: str) -> None:
    assert not AUDIT.has(path)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("verb", "text"),
        ("responseStatus.code", "number"),
        ("user.groups", "texts"),
        ("user.extra", "map"),
        ("annotations", "map"),
        ("objectRef", "struct"),
        ("requestObject", "body"),
    ],
)
def test_kinds_of_fields_follow_from_the_event(name: str, kind: str) -> None:
    assert AUDIT.attributes[name].kind == kind
