"""The audit event, `audit.k8s.io/v1`, as Kubernetes API servers send it.

Metadata is typed, the two bodies stay undecoded JSON until a rule asks for them: most
events match nothing, and decoding their bodies would be most of the work. So do annotations
and the user's `extra`, which take a fifth of the time of all the rest.
Absent and null are the same here (None); an empty string is neither.
Field names follow Python; the JSON names are the API's own (staging/src/k8s.io/apiserver/
pkg/apis/audit/v1/types.go of Kubernetes).
"""

from typing import NewType

import msgspec

# Undecoded JSON of an object with free keys, falsy when absent. Nobody asks for most of them.
RawMap = NewType("RawMap", msgspec.Raw)
NO_MAP = RawMap(msgspec.Raw())

JSON = dict[str, object] | list[object] | str | int | float | bool | None


class User(msgspec.Struct, gc=False, rename="camel"):
    """An authenticated or impersonated user."""

    username: str | None = None
    uid: str | None = None
    groups: list[str] | None = None
    extra: RawMap = NO_MAP


class AuthenticationMetadata(msgspec.Struct, gc=False, rename="camel"):
    """How the caller was authenticated, as far as the API server says (1.35 and later)."""

    impersonation_constraint: str | None = None


class ObjectRef(msgspec.Struct, gc=False, rename="camel"):
    """The object a request is about. A core-group object has no `api_group`."""

    resource: str | None = None
    namespace: str | None = None
    name: str | None = None
    uid: str | None = None
    api_group: str | None = None
    api_version: str | None = None
    resource_version: str | None = None
    subresource: str | None = None


class ResponseStatus(msgspec.Struct, gc=False, rename="camel"):
    """The outcome as HTTP status and, for failures, the API's reason and message."""

    status: str | None = None
    message: str | None = None
    reason: str | None = None
    code: int | None = None


class AuditEvent(
    msgspec.Struct,
    gc=False,
    rename={
        "audit_id": "auditID",
        "request_uri": "requestURI",
        "impersonated_user": "impersonatedUser",
        "authentication_metadata": "authenticationMetadata",
        "source_ips": "sourceIPs",
        "user_agent": "userAgent",
        "object_ref": "objectRef",
        "response_status": "responseStatus",
        "request_object": "requestObject",
        "response_object": "responseObject",
        "request_received_timestamp": "requestReceivedTimestamp",
        "stage_timestamp": "stageTimestamp",
        "api_version": "apiVersion",
    },
):
    """One stage of one API request.

    `request_object`, `response_object` and `annotations` are raw JSON, falsy when absent; they
    point into the batch they came from, so nothing may keep an event longer than its batch.
    The four fields without a default are those without which an event says nothing.
    """

    audit_id: str
    stage: str
    request_uri: str
    verb: str
    level: str | None = None
    user: User | None = None
    impersonated_user: User | None = None
    authentication_metadata: AuthenticationMetadata | None = None
    source_ips: list[str] | None = None
    user_agent: str | None = None
    object_ref: ObjectRef | None = None
    response_status: ResponseStatus | None = None
    request_object: msgspec.Raw = msgspec.Raw()
    response_object: msgspec.Raw = msgspec.Raw()
    request_received_timestamp: str | None = None
    stage_timestamp: str | None = None
    annotations: RawMap = NO_MAP
    kind: str | None = None
    api_version: str | None = None


# Stand-ins for what an event leaves out, so that readers need no branch. Never written to.
NO_USER = User()
NO_OBJECT = ObjectRef()
NO_STATUS = ResponseStatus()


class ObjectMeta(msgspec.Struct, gc=False, rename="camel"):
    """What an object's metadata says about it, as far as Tocsin asks; of any JSON type."""

    name: object = None
    uid: object = None
    owner_references: object = None


class _Object(msgspec.Struct, gc=False):
    metadata: ObjectMeta | None = None


NO_META = ObjectMeta()
_decode_object = msgspec.json.Decoder(_Object, float_hook=str).decode


def metadata_of(body: msgspec.Raw) -> ObjectMeta:
    """Return the metadata of the object in a body; empty if there is none of a proper form.

    The rest of the body is skipped, not decoded: that takes a quarter of the time.
    """
    try:
        return _decode_object(body).metadata or NO_META if body else NO_META
    except (msgspec.DecodeError, RecursionError, ValueError):
        return NO_META
