"""A7: the responder's user without a valid mark is a stolen credential."""

import msgspec
import pytest

from tocsin.detect.credential import OwnCredential
from tocsin.model.event import AuditEvent, ObjectRef, User
from tocsin.normalize.redact import holds_secret
from tocsin.respond.marks import Marks, marks_key

ACCOUNT = "system:serviceaccount:tocsin:tocsin-responder"
MARKS = Marks(marks_key(bytes(32)), "prod")
OURS = MARKS.mint("0a" * 16, 7)


def event(verb: str = "delete", audit_id: str = "6f9e", **changes: object) -> AuditEvent:
    given = AuditEvent(
        audit_id=audit_id,
        stage="ResponseComplete",
        request_uri="/api/v1/namespaces/shop/pods/web",
        verb=verb,
        user=User(username=ACCOUNT),
        object_ref=ObjectRef(resource="pods", namespace="shop", name="web"),
    )
    return msgspec.structs.replace(given, **changes)


@pytest.mark.parametrize(
    ("given", "stolen"),
    [
        (event(), True),
        (event(audit_id=OURS), False),
        (event(audit_id=f"{OURS[:-1]}x"), True),
        (event(audit_id=Marks(marks_key(bytes(32)), "other").mint("0a" * 16, 7)), True),
        (event("get"), False),
        (event("get", object_ref=ObjectRef(resource="pods", subresource="exec")), True),
        (event("create", object_ref=ObjectRef(resource="selfsubjectaccessreviews")), False),
        (event("create", object_ref=ObjectRef(resource="pods")), True),
        (event(user=User(username="alice")), False),
        (event(user=User(username="alice"), impersonated_user=User(username=ACCOUNT)), True),
        (event(user=None), False),
    ],
)
def test_a_change_without_our_mark_is_theft(given: AuditEvent, *, stolen: bool) -> None:
    def verified(cluster: str, audit_id: str) -> bool:
        return Marks(marks_key(bytes(32)), cluster).response_of(audit_id) is not None

    own = OwnCredential(ACCOUNT, verified)
    assert bool(own.misused([given], "prod")) is stolen


def test_a_mark_is_not_taken_for_a_secret() -> None:
    """Alerts quote Audit-IDs without secrets; a mark has to stay what it is."""
    assert not holds_secret(OURS)
