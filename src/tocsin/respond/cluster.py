"""The API server as the responder uses it: bounded reads, and changes made once.

Nothing is retried here: whether a change may be asked for again depends on what became of the
first one, and the executor finds that out.
"""

from collections.abc import Mapping, Sequence
from typing import Final, cast

import httpx2
import msgspec

from tocsin import __version__
from tocsin.model.manifest import Manifest, items_at, mapping_at, text_at
from tocsin.model.response import Call, ObjectRef
from tocsin.respond.actions.base import ApiError
from tocsin.respond.names import check_ref, path_of
from tocsin.respond.outcomes import failed, unanswered

TIMEOUT: Final = httpx2.Timeout(10.0, connect=5.0)
MAX_BODY: Final = 64 * 1024 * 1024

_PAGE = 500
_REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_ACCESS_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_JSON = "application/json"
_JSON_PATCH = "application/json-patch+json"
_METHODS = {"create": "POST", "patch": "PATCH", "delete": "DELETE"}


class ApiCluster:
    """One cluster, with the responder's credential; a `respond.actions.base.Cluster`.

    Args:
        name: the cluster's name.
        client: knows the API server's address, its authority and the credential. Redirects
            are never followed; that it takes no proxy from the environment is its maker's part.
    """

    def __init__(self, name: str, client: httpx2.Client) -> None:
        self._name = name
        self._client = client

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self._name

    def user(self) -> str:
        """Return the user that the credential stands for."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = _object(self._ask("POST", _REVIEW, body=review))
        return text_at(answer, "status", "userInfo", "username") or ""

    def get(self, ref: ObjectRef) -> Manifest | None:
        """Return the object, None if it is not there; its uid is not compared."""
        try:
            return _object(self._ask("GET", path_of(ref)))
        except ApiError as error:
            if error.failure == "gone":
                return None
            raise

    def list(self, ref: ObjectRef, query: Mapping[str, str] | None = None) -> Sequence[Manifest]:
        """Return all objects of the kind and namespace of `ref`, page by page."""
        path = check_ref(msgspec.structs.replace(ref, name="any")).collection
        found: list[Manifest] = []
        size, following = 0, ""
        while True:
            page = {"limit": str(_PAGE), **({"continue": following} if following else {})}
            body = self._ask("GET", path, query={**(query or {}), **page})
            size += len(body)
            if size > MAX_BODY:
                message = f"there are more than {MAX_BODY} bytes of {ref.resource}"
                raise ApiError(failure="invalid", message=message)
            answer = _object(body)
            found += items_at(answer, "items")
            following = text_at(answer, "metadata", "continue") or ""
            if not following:
                return found

    def text(self, path: str, query: Mapping[str, str], limit: int) -> str:
        """Return the first `limit` bytes of a text such as a container's log."""
        return self._ask("GET", path, query=query, first=limit).decode("utf-8", "replace")

    def allowed(self, call: Call) -> bool:
        """Return whether the credential may make the call, by the API server's own word."""
        target = check_ref(call.target)
        attributes = {
            "verb": call.verb,
            "group": target.api_group,
            "version": target.version,
            "resource": target.resource,
            "subresource": call.subresource or "",
            "namespace": target.namespace or "",
            "name": "" if call.verb == "create" else target.name,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = _object(self._ask("POST", _ACCESS_REVIEW, body=review))
        return mapping_at(answer, "status").get("allowed") is True

    def call(self, call: Call, audit_id: str, *, dry_run: bool = False) -> Manifest:
        """Make a call, once, under an Audit-ID; return the API server's answer."""
        path = path_of(call.target, call.subresource)
        query = {"dryRun": "All"} if dry_run else {}
        body = call.body
        if call.verb == "create":
            path = call.target.collection
        elif call.verb == "delete":
            # With options in the body the API server does not look at those in the query; there
            # it is for who reads the audit log, which may not have the body.
            options = cast("Mapping[str, object]", body or {})
            body = {**options, **({"dryRun": ["All"]} if dry_run else {})}
        answer = self._ask(
            _METHODS[call.verb],
            path,
            query=query,
            body=body,
            content_type=_JSON_PATCH if call.verb == "patch" else _JSON,
            audit_id=audit_id,
        )
        return _object(answer)

    def _ask(  # noqa: PLR0913 - the parts of a request
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = _JSON,
        audit_id: str | None = None,
        first: int | None = None,
    ) -> bytes:
        """Send one request; return the body of its answer, or the `first` bytes of it."""
        headers = {"User-Agent": f"tocsin/{__version__} (responder)", "Accept": _JSON}
        if first is not None:
            headers["Accept"] = "*/*"
        if audit_id is not None:
            headers["Audit-ID"] = audit_id
        if body is not None:
            headers["Content-Type"] = content_type
        request = self._client.build_request(
            method,
            path,
            params=dict(query or {}),
            content=None if body is None else msgspec.json.encode(body),
            headers=headers,
            timeout=TIMEOUT,
        )
        try:
            answer = self._client.send(request, stream=True, follow_redirects=False)
        except httpx2.HTTPError as error:
            raise unanswered(method, error) from error
        try:
            content = _read(answer, MAX_BODY if first is None else first, whole=first is None)
        except httpx2.HTTPError as error:
            raise unanswered(method, error) from error
        finally:
            answer.close()
        if not answer.is_success:
            raise failed(method, answer.status_code, answer.headers, content)
        return content


def _read(answer: httpx2.Response, limit: int, *, whole: bool) -> bytes:
    pieces: list[bytes] = []
    left = limit
    for piece in answer.iter_bytes():
        pieces.append(piece[:left])
        left -= len(piece)
        if left < 0 and whole:
            message = f"the API server's answer has more than {limit} bytes"
            raise ApiError(failure="unknown", message=message, code=answer.status_code)
        if left <= 0 and not whole:
            break
    return b"".join(pieces)


def _object(body: bytes) -> Manifest:
    """Return the JSON object of an answer; a change whose answer is none may have been made."""
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        message = "the API server's answer is no JSON object"
        raise ApiError(failure="unknown", message=message) from error
