"""Decide what a program may ask of the API server: the planned verbs, on the planned object.

Pure. A request that passes is made again from what was understood of it, with the object's uid
as its precondition; everything else is refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import parse_qsl, urlencode

import msgspec

from tocsin.model.response import ObjectRef
from tocsin.model.text import visible
from tocsin.respond.actions.base import Refusal

ProxyVerb = Literal["delete", "patch"]

MAX_BODY: Final = 1024 * 1024
_SHOWN = 200
_PATH = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:")
_VERBS: Final[Mapping[str, ProxyVerb]] = {"DELETE": "delete", "PATCH": "patch"}
# `scale` is how kubectl changes the number of replicas.
_CHANGED: Final[Mapping[ProxyVerb, tuple[str, ...]]] = {"delete": ("",), "patch": ("", "/scale")}
_READ = ("", "/scale", "/status")
# A watch that the program has left shall not stay for long.
_MAX_WATCH_SECONDS = 10
_JSON = "application/json"
_JSON_PATCH = "application/json-patch+json"
_MERGE_PATCHES = ("application/merge-patch+json", "application/strategic-merge-patch+json")
_PATCH_QUERY = frozenset({"fieldManager", "fieldValidation", "dryRun", "pretty"})
_DELETE_QUERY = frozenset({"gracePeriodSeconds", "propagationPolicy", "dryRun", "pretty"})
_LIST_QUERY = frozenset(
    {
        "fieldSelector",
        "watch",
        "resourceVersion",
        "resourceVersionMatch",
        "sendInitialEvents",
        "allowWatchBookmarks",
        "timeoutSeconds",
        "limit",
        "pretty",
    }
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a program, its body whole."""

    method: str
    path: str
    query: str = ""
    content_type: str = ""
    body: bytes = b""

    @property
    def words(self) -> str:
        """The request in words, fit to be shown."""
        query = f"?{self.query}" if self.query else ""
        return visible(f"{self.method} {self.path}{query}"[:_SHOWN])


@dataclass(frozen=True, slots=True)
class Allowed:
    """A request as it goes to the API server; `verb` is None if it changes nothing."""

    method: str
    target: str
    verb: ProxyVerb | None = None
    dry_run: bool = False
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)


def judge(asked: Asked, target: ObjectRef, verbs: frozenset[str]) -> Allowed | Refusal:
    """Return the request to make instead of what was asked for, or why there is none.

    Args:
        asked: the request.
        target: the planned object, with its uid.
        verbs: what is planned, `delete` or `patch`.
    """
    if not _PATH.issuperset(asked.path) or not _is_plain(asked.path):
        return Refusal("this is no plain path")
    if asked.method == "GET":
        return _judge_read(asked, target)
    return _judge_change(asked, target, verbs)


def _judge_change(asked: Asked, target: ObjectRef, verbs: frozenset[str]) -> Allowed | Refusal:
    verb = _VERBS.get(asked.method)
    if verb is None or verb not in verbs:
        return Refusal(f"{visible(asked.method)} is not planned")
    places = [f"{target.path}{subresource}" for subresource in _CHANGED[verb]]
    if target.uid is None or asked.path not in places:
        return Refusal(f"{verb} is planned for {target.words} only")
    if len(asked.body) > MAX_BODY:
        return Refusal(f"the body has more than {MAX_BODY} bytes")
    return _delete(asked, target.uid) if verb == "delete" else _patch(asked, target.uid)


def _is_plain(path: str) -> bool:
    parts = path.split("/")[1:]
    return path.startswith("/") and not {".", ".."} & set(parts) and "" not in parts[:-1]


def _judge_read(asked: Asked, target: ObjectRef) -> Allowed | Refusal:
    """Allow what a client needs to find the object, and the object itself."""
    if _is_discovery(asked.path):
        return Allowed("GET", _with_query(asked.path, asked.query))
    query = _query(asked.query)
    if query is None:
        return Refusal("the query cannot be read")
    reads = [f"{target.path}{subresource}" for subresource in _READ]
    if asked.path in reads and query.keys() <= {"pretty", "resourceVersion"}:
        return Allowed("GET", _with_query(asked.path, asked.query))
    only = query.get("fieldSelector") == f"metadata.name={target.name}"
    if asked.path == target.collection and only and query.keys() <= _LIST_QUERY:
        if "watch" in query:
            query["timeoutSeconds"] = str(_MAX_WATCH_SECONDS)
        return Allowed("GET", _with_query(asked.path, urlencode(query)))
    return Refusal(f"reading is allowed of {target.words} only")


def _is_discovery(path: str) -> bool:
    parts = path.strip("/").split("/")
    match parts:
        case ["version" | "api" | "apis"] | ["api", _]:
            return True
        case ["apis", _] | ["apis", _, _]:
            return True
        case ["openapi", *_]:
            return True
        case _:
            return False


def _query(text: str) -> dict[str, str] | None:
    """Return a query's parameters; None where one stands twice, for that means two things."""
    pairs = parse_qsl(text, keep_blank_values=True)
    return dict(pairs) if len(dict(pairs)) == len(pairs) else None


def _with_query(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def _delete(asked: Asked, uid: str) -> Allowed | Refusal:
    """Return the deletion with its precondition; all options go into the body."""
    query = _query(asked.query)
    if query is None or not query.keys() <= _DELETE_QUERY:
        return Refusal("the deletion has options that are not understood")
    options = _options(query)
    if asked.body:
        read = _read_object(asked)
        if isinstance(read, Refusal):
            return read
        # The API server takes options from the body if there is one.
        options = dict(read)
    if options is None:
        return Refusal("gracePeriodSeconds is no number")
    conditions = options.get("preconditions")
    wanted = conditions.get("uid", uid) if isinstance(conditions, dict) else uid
    if wanted != uid:
        return Refusal("the deletion is for another object of this name")
    options |= {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}}
    dry_run = bool(options.get("dryRun"))
    body = json.dumps(options).encode()
    return Allowed("DELETE", asked.path, "delete", dry_run, _JSON, body)


def _options(query: Mapping[str, str]) -> dict[str, object] | None:
    options: dict[str, object] = {}
    if "gracePeriodSeconds" in query:
        seconds = query["gracePeriodSeconds"]
        if not (seconds.isascii() and seconds.isdigit()):
            return None
        options["gracePeriodSeconds"] = int(seconds)
    if "propagationPolicy" in query:
        options["propagationPolicy"] = query["propagationPolicy"]
    if "dryRun" in query:
        options["dryRun"] = [query["dryRun"]]
    return options


def _patch(asked: Asked, uid: str) -> Allowed | Refusal:
    """Return the patch so that the API server refuses it for an object of another uid."""
    query = _query(asked.query)
    if query is None or not query.keys() <= _PATCH_QUERY:
        return Refusal("the patch has options that are not understood")
    kind = asked.content_type.partition(";")[0].strip().lower()
    patch: object
    if kind == _JSON_PATCH:
        operations = _decoded(asked.body)
        if not isinstance(operations, list):
            return Refusal("the patch is no list of operations")
        patch = [{"op": "test", "path": "/metadata/uid", "value": uid}, *operations]
    elif kind in _MERGE_PATCHES:
        read = _decoded(asked.body)
        metadata = read.get("metadata", {}) if isinstance(read, dict) else None
        if not isinstance(read, dict) or not isinstance(metadata, dict):
            return Refusal("the patch is no object")
        if metadata.get("uid", uid) != uid:
            return Refusal("the patch is for another object of this name")
        patch = {**read, "metadata": {**metadata, "uid": uid}}
    else:
        return Refusal(f"a patch of type {visible(kind[:60])!r} is not understood")
    target = _with_query(asked.path, asked.query)
    dry_run = bool(query.get("dryRun"))
    return Allowed("PATCH", target, "patch", dry_run, kind, json.dumps(patch).encode())


def _read_object(asked: Asked) -> dict[str, object] | Refusal:
    kind = asked.content_type.partition(";")[0].strip().lower()
    read = _decoded(asked.body) if kind in ("", _JSON) else None
    if not isinstance(read, dict):
        return Refusal("the body is no JSON object")
    return read


def _decoded(body: bytes) -> object:
    """Return a JSON document; None if it is none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
