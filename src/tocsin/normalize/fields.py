"""Derived fields: what rules need and the event does not say directly.

Each is computed from one event alone, the same for all dialects, and absent (None) where it
cannot be computed; nothing is guessed. `AUDIT` is the schema that rules are compiled
against.
"""

import posixpath
from urllib.parse import parse_qsl, unquote

import msgspec

from tocsin.model.event import (
    NO_OBJECT,
    NO_STATUS,
    NO_USER,
    AuditEvent,
    AuthenticationMetadata,
    RawMap,
    metadata_of,
)
from tocsin.normalize.bodies import BodyDecoder
from tocsin.normalize.csr import certificate_request
from tocsin.rules.schema import Derived, Schema, attributes_of

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
ISSUED_CREDENTIAL_ID = "authentication.kubernetes.io/issued-credential-id"
DECISION = "authorization.k8s.io/decision"

_WRITES: frozenset[str | None] = frozenset({"create", "update", "patch"})
_RESOURCE_VERBS = frozenset(
    {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
)
# Of URLs that are no resources the verb is the HTTP method.
_URL_VERBS = frozenset({"get", "post", "put", "head", "options", "patch", "delete", "connect"})
# Subresources whose body is, or whose answer holds, the pod with its specification.
_POD_BODIES = frozenset({None, "ephemeralcontainers", "resize"})
_CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")
# Where a resource has its pod specification; unlisted ones like a Deployment. Looking in
# another resource's place would let a decoy there hide the real one.
_PLACES = {
    "pods": ("spec",),
    "cronjobs": ("spec", "jobTemplate", "spec", "template", "spec"),
    "podtemplates": ("template", "spec"),
}
_TEMPLATE = ("spec", "template", "spec")
# `/api/v1/nodes/NAME/proxy` and `/api/v1/namespaces/NS/pods/NAME/proxy`.
_PROXY_SEGMENT, _PROXY_SEGMENT_IN_NAMESPACE = 4, 6
_UNAUTHENTICATED, _FORBIDDEN = 401, 403
_BODIES = ("requestObject", "responseObject")
_SERVICE_ACCOUNT = "system:serviceaccount:"
_NODE = "system:node:"

decode_body = BodyDecoder()


def podspec(event: AuditEvent) -> dict[str, object] | None:
    """Return the pod specification that a request writes, of a pod or a workload template.

    `containers` holds all three lists of containers, each element marked with the list it
    stands in (`listName`); hostPath paths are normalised; `source` says which body it is
    from: `request`, `response` (of a patch) or `patch`.
    """
    ref = event.object_ref or NO_OBJECT
    place = _PLACES.get(ref.resource or "", _TEMPLATE)
    if event.verb != "patch":
        spec = _view(_body(event.request_object), "request", place)
        return spec or _view(_body(event.response_object), "response", place)
    spec = _view(_body(event.response_object), "response", place)
    return spec or _view(_body(event.request_object), "patch", place)


def _view(body: object, source: str, place: tuple[str, ...]) -> dict[str, object] | None:
    spec = _get(body, place)
    if type(spec) is not dict:
        return None
    view: dict[str, object] = dict(spec)
    view["containers"] = [
        {**container, "listName": name}
        for name in _CONTAINER_LISTS
        for container in _dicts(spec.get(name))
    ]
    volumes = spec.get("volumes")
    if type(volumes) is list:
        view["volumes"] = [_volume(volume) for volume in volumes]
    view["source"] = source
    return view


def _volume(volume: object) -> object:
    """Return a volume with its hostPath normalised: `/var/../etc/` and `//etc` are `/etc`."""
    path = _get(volume, ("hostPath", "path"))
    if type(path) is not str or type(volume) is not dict:
        return volume
    return {**volume, "hostPath": {**volume["hostPath"], "path": normal_path(path)}}


def normal_path(path: str) -> str:
    """Return an absolute path without `.`, `..`, doubled and trailing slashes."""
    return posixpath.normpath("/" + path.lstrip("/"))


def exec_(event: AuditEvent) -> dict[str, object] | None:
    """Return what an exec or attach asks for; it stands in the request URI only.

    `command` is the list of arguments, `commandLine` the same joined with spaces; besides
    `container`, `stdin`, `stdout`, `stderr` and `tty` as sent.
    """
    query = parse_qsl(event.request_uri.partition("?")[2], keep_blank_values=True)
    command = [value for name, value in query if name == "command"]
    found: dict[str, object] = {name: value for name, value in query if name != "command"}
    if command:
        found |= {"command": command, "commandLine": " ".join(command)}
    return found


def proxy(event: AuditEvent) -> dict[str, object] | None:
    """Return the path and query behind `/proxy` of a node, pod or service."""
    path, _, query = event.request_uri.partition("?")
    # Decoded first, as the API server does: `%70roxy` is a proxy too.
    parts = unquote(path).strip("/").split("/")
    namespaced = (event.object_ref or NO_OBJECT).namespace is not None
    start = _PROXY_SEGMENT_IN_NAMESPACE if namespaced else _PROXY_SEGMENT
    if parts[start : start + 1] != ["proxy"]:
        return None
    return {"path": normal_path("/".join(parts[start + 1 :])), "query": query}


def csr(event: AuditEvent) -> dict[str, object] | None:
    """Return what a CertificateSigningRequest asks for; see `csr.certificate_request`."""
    spec = _get(_body(event.request_object), ("spec",))
    return certificate_request(spec) if type(spec) is dict else None


def outcome(event: AuditEvent) -> str | None:
    """Return how the request ended.

    `started` (a stream that goes on), `allowed`, `unauthenticated`, `denied` (by
    authorization), `refused` (authorization allowed it, admission or the registry did not),
    `failed` (not found, conflict, invalid) or `error`.
    """
    code = (event.response_status or NO_STATUS).code
    if code is None:
        return None
    if code == _UNAUTHENTICATED:
        return "unauthenticated"
    if code < 400:  # noqa: PLR2004 - HTTP: no error
        return "started" if event.stage == "ResponseStarted" else "allowed"
    if code >= 500:  # noqa: PLR2004 - HTTP: server error
        return "error"
    if _map(event.annotations).get(DECISION) == "forbid":
        return "denied"
    return "refused" if code == _FORBIDDEN else "failed"


def owner(event: AuditEvent) -> dict[str, object] | None:
    """Return the controller that owns the object: `kind`, `name`, `uid`."""
    for raw in (event.response_object, event.request_object):
        for reference in _dicts(metadata_of(raw).owner_references):
            if reference.get("controller") is True:
                return {key: reference.get(key) for key in ("kind", "name", "uid")}
    return None


def credential(event: AuditEvent) -> dict[str, object] | None:
    """Return the `id` of the credential in use and of one `issued` by this request."""
    ids = _map((event.user or NO_USER).extra).get(CREDENTIAL_ID)
    found: dict[str, object] = {
        "id": ids[0] if type(ids) is list and ids else None,
        "issued": _map(event.annotations).get(ISSUED_CREDENTIAL_ID),
    }
    return found if any(found.values()) else None


def actor(event: AuditEvent) -> dict[str, object] | None:
    """Return whose rights are used: `name`, `kind` and, for service accounts, `namespace`.

    `kind` is `serviceaccount`, `node`, `anonymous`, `system` or `user`; with impersonation
    it is the assumed identity, and `caller` names the real one.
    """
    user = event.user or NO_USER
    effective = event.impersonated_user or user
    name = effective.username
    if not name:
        return None
    found: dict[str, object] = {"name": name, "kind": _identity_kind(name)}
    if name.startswith(_SERVICE_ACCOUNT):
        found["namespace"] = name.removeprefix(_SERVICE_ACCOUNT).partition(":")[0]
    if event.impersonated_user is not None:
        found["caller"] = user.username
    return found


def _identity_kind(name: str) -> str:
    if name.startswith(_SERVICE_ACCOUNT):
        return "serviceaccount"
    if name.startswith(_NODE):
        return "node"
    if name == "system:anonymous":
        return "anonymous"
    return "system" if name.startswith("system:") else "user"


def _body(raw: msgspec.Raw) -> object:
    return decode_body(raw) if raw else None


def _map(raw: RawMap) -> dict[str, object]:
    found = _body(raw)
    return found if type(found) is dict else {}


def _get(node: object, path: tuple[str, ...]) -> object:
    for key in path:
        if type(node) is not dict:
            return None
        node = node.get(key)
    return node


def _dicts(node: object) -> list[dict[str, object]]:
    return [item for item in node if type(item) is dict] if type(node) is list else []


AUDIT = Schema(
    attributes=attributes_of(AuditEvent),
    derived={
        "podspec": Derived(
            podspec, _BODIES, {"verb": _WRITES, "objectRef.subresource": _POD_BODIES}
        ),
        "exec": Derived(
            exec_,
            only={
                "objectRef.resource": frozenset({"pods"}),
                "objectRef.subresource": frozenset({"exec", "attach"}),
            },
        ),
        "proxy": Derived(proxy, only={"objectRef.subresource": frozenset({"proxy"})}),
        "csr": Derived(
            csr,
            _BODIES[:1],
            {
                "verb": _WRITES,
                "objectRef.resource": frozenset({"certificatesigningrequests"}),
            },
        ),
        "outcome": Derived(outcome, text=True),
        "owner": Derived(owner, _BODIES),
        "credential": Derived(credential),
        "actor": Derived(actor),
    },
    decode=decode_body,
    defaults={
        "user": NO_USER,
        "impersonated_user": NO_USER,
        "object_ref": NO_OBJECT,
        "response_status": NO_STATUS,
        "authentication_metadata": AuthenticationMetadata(),
    },
    key=("verb", "objectRef.resource", "objectRef.subresource"),
    values={
        "verb": _RESOURCE_VERBS | _URL_VERBS,
        "stage": frozenset({"requestreceived", "responsestarted", "responsecomplete", "panic"}),
        "level": frozenset({"metadata", "request", "requestresponse"}),
    },
    recurring=frozenset(
        {
            *("user.username", "user.groups", "impersonatedUser.username"),
            *("impersonatedUser.groups", "sourceIPs", "userAgent"),
        }
    ),
)
