"""Read an audit policy as the API server does: what it refuses is refused, in plain words.

The API server decodes a policy twice: strictly, and where that fails because of an unknown
field, once more without minding it; the field is then named in a warning of its log and has no
effect. So such a policy loads here, too, and names the fields in `Policy.ignored`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from tocsin.auditpolicy.policy import (
    LEVELS,
    STAGES,
    GroupResources,
    Level,
    Policy,
    PolicyRule,
    Stage,
)
from tocsin.model.errors import TocsinError

_GROUP = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_GROUP_LIMIT = 253

_Known = TypeVar("_Known", Level, Stage)
_Texts = list[str | None] | None


class _GroupResources(msgspec.Struct, rename="camel"):
    group: str | None = None
    resources: _Texts = None
    resource_names: _Texts = None


class _Rule(msgspec.Struct, rename={"non_resource_urls": "nonResourceURLs"}):
    level: str | None = None
    users: _Texts = None
    user_groups: _Texts = msgspec.field(default=None, name="userGroups")
    verbs: _Texts = None
    resources: list[_GroupResources | None] | None = None
    namespaces: _Texts = None
    non_resource_urls: _Texts = None
    omit_stages: _Texts = msgspec.field(default=None, name="omitStages")
    omit_managed_fields: bool | None = msgspec.field(default=None, name="omitManagedFields")


class _Metadata(msgspec.Struct):
    # Has no effect, but a wrong type in it keeps the API server from starting.
    name: str | None = None
    namespace: str | None = None
    labels: dict[str, str | None] | None = None
    annotations: dict[str, str | None] | None = None


class _Policy(msgspec.Struct, rename="camel"):
    # Null stands for the zero value everywhere, as in Go.
    api_version: str | None = None
    kind: str | None = None
    metadata: _Metadata | None = None
    rules: list[_Rule | None] | None = None
    omit_stages: _Texts = None
    omit_managed_fields: bool | None = None


class _Refused(Exception):  # noqa: N818 - becomes a TocsinError that names the file
    """What is wrong, with the place in the policy."""


def parse_policy(document: object, name: str) -> Policy:
    """Return the policy that a parsed document holds.

    Args:
        document: the YAML or JSON document as Python data.
        name: what an error calls it, such as its file.

    Raises:
        TocsinError: the API server would not start with it.
    """
    try:
        return _parse(document, name)
    except _Refused as refused:
        message = f"{name}: {refused}"
        raise TocsinError(message) from refused


def _parse(document: object, name: str) -> Policy:
    _check_kind(document)
    try:
        written = msgspec.convert(document, _Policy)
    except msgspec.ValidationError as error:
        message = f"the API server does not load this policy: {_plain(str(error))}"
        raise _Refused(message) from error
    if not written.rules:
        message = "an audit policy needs a list of rules; the API server does not start without"
        raise _Refused(message)
    return Policy(
        name=name,
        rules=tuple(
            _rule(rule or _Rule(), f"rule {number}")
            for number, rule in enumerate(written.rules, start=1)
        ),
        omit_stages=_stages(written.omit_stages, "the policy"),
        omit_managed_fields=bool(written.omit_managed_fields),
        ignored=tuple(_unknown_fields(document)),
    )


def _check_kind(document: object) -> None:
    found = document if isinstance(document, dict) else {}
    kind, version = found.get("kind"), found.get("apiVersion")
    # The API server adds the kind where it is left out, but not the version.
    if (kind or "Policy") != "Policy" or version != "audit.k8s.io/v1":
        message = (
            "this is not an audit policy: it needs `kind: Policy` and "
            f"`apiVersion: audit.k8s.io/v1`, and says {kind!r} and {version!r}"
        )
        raise _Refused(message)


def _plain(error: str) -> str:
    """Return msgspec's sentence with the path as people write it."""
    problem, _, path = error.partition(" - at `$.")
    return f"{path.rstrip('`')}: {problem}" if path else problem


def _rule(written: _Rule, where: str) -> PolicyRule:
    urls = _texts(written.non_resource_urls)
    namespaces = _texts(written.namespaces)
    resources = tuple(
        _group_resources(one or _GroupResources(), where) for one in written.resources or ()
    )
    for url in urls:
        _check_url(url, where)
    if urls and (resources or namespaces):
        message = (
            f"{where} names both nonResourceURLs and resources or namespaces; one excludes the "
            "other, so make two rules of it"
        )
        raise _Refused(message)
    return PolicyRule(
        level=_level(written.level, where),
        users=_texts(written.users),
        user_groups=_texts(written.user_groups),
        verbs=_texts(written.verbs),
        resources=resources,
        namespaces=namespaces,
        non_resource_urls=urls,
        omit_stages=_stages(written.omit_stages, where),
        omit_managed_fields=written.omit_managed_fields,
    )


def _level(text: str | None, where: str) -> Level:
    try:
        return _known(text, LEVELS)
    except ValueError as error:
        has = f"the level {text!r}" if text else "no level"
        message = f"{where} has {has}; the API server knows {', '.join(LEVELS)}"
        raise _Refused(message) from error


def _stages(texts: _Texts, where: str) -> tuple[Stage, ...]:
    try:
        return tuple(_known(text, STAGES) for text in texts or ())
    except ValueError as error:
        message = f"{where} omits a stage {error}; the API server knows {', '.join(STAGES)}"
        raise _Refused(message) from error


def _known(text: str | None, choices: Sequence[_Known]) -> _Known:
    for choice in choices:
        if text == choice:
            return choice
    raise ValueError(repr(text or ""))


def _group_resources(written: _GroupResources, where: str) -> GroupResources:
    found = GroupResources(
        written.group or "", _texts(written.resources), _texts(written.resource_names)
    )
    if found.group not in ("", "*") and not _is_group(found.group):
        message = (
            f"{where} has the API group {found.group!r}; write it in lower case and without a "
            "version, as in `rbac.authorization.k8s.io`"
        )
        raise _Refused(message)
    if found.resource_names and not found.resources:
        message = f"{where} has resourceNames without resources"
        raise _Refused(message)
    return found


def _is_group(text: str) -> bool:
    return len(text) <= _GROUP_LIMIT and _GROUP.fullmatch(text) is not None


def _check_url(url: str, where: str) -> None:
    if url != "*" and (not url.startswith("/") or "*" in url[:-1]):
        message = (
            f"{where} has the URL {url!r}; one begins with a slash and has a `*` at its end only"
        )
        raise _Refused(message)


def _texts(written: _Texts) -> tuple[str, ...]:
    return tuple(text or "" for text in written or ())


def _unknown_fields(document: Any) -> Iterator[str]:  # noqa: ANN401 - checked against _Policy before
    """Yield the fields that the API server does not know, as its log names them."""
    yield from _unknown(document, _Policy, "")
    for index, rule in enumerate(document["rules"]):
        yield from _unknown(rule or {}, _Rule, f"rules[{index}].")
        for number, resources in enumerate((rule or {}).get("resources") or ()):
            place = f"rules[{index}].resources[{number}]."
            yield from _unknown(resources or {}, _GroupResources, place)


def _unknown(
    written: dict[object, object], struct: type[msgspec.Struct], place: str
) -> Iterator[str]:
    known = {field.encode_name for field in msgspec.structs.fields(struct)}
    return (f"{place}{key}" for key in written if key not in known)
