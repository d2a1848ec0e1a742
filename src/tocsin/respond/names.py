"""Names of objects before they become part of a path; they come from events, so from attackers."""

import re
from urllib.parse import quote

from tocsin.model.rbac import RBAC
from tocsin.model.response import ObjectRef
from tocsin.model.text import visible
from tocsin.respond.actions.base import ApiError

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_LABEL_PATTERN = re.compile(_LABEL)
_SUBDOMAIN_PATTERN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_WORD_PATTERN = re.compile(r"[a-z][a-z0-9]{0,62}")
_SUBDOMAIN_LIMIT = 253
# Kubernetes sets none for names of RBAC objects.
_RBAC_NAME_LIMIT = 1024


def check_ref(ref: ObjectRef) -> ObjectRef:
    """Return the object if its names are legal.

    Raises:
        ApiError: they are not, so nothing is asked about it.
    """
    fits = (
        (not ref.api_group or _is_subdomain(ref.api_group))
        and _WORD_PATTERN.fullmatch(ref.version)
        and _WORD_PATTERN.fullmatch(ref.resource)
        and (ref.namespace is None or _LABEL_PATTERN.fullmatch(ref.namespace))
        and (_is_rbac_name(ref.name) if ref.api_group == RBAC else _is_subdomain(ref.name))
    )
    if not fits:
        message = f"there can be no object with the name {visible(ref.words)}"
        raise ApiError(failure="invalid", message=message)
    return ref


def path_of(ref: ObjectRef, subresource: str | None = None) -> str:
    """Return the path of an object, its name quoted.

    Raises:
        ApiError: its names are not legal.
    """
    path = f"{check_ref(ref).collection}/{quote(ref.name, safe='')}"
    if subresource is None:
        return path
    if not _WORD_PATTERN.fullmatch(subresource):
        message = f"{visible(subresource)} is no subresource"
        raise ApiError(failure="invalid", message=message)
    return f"{path}/{subresource}"


def _is_subdomain(name: str) -> bool:
    return len(name) <= _SUBDOMAIN_LIMIT and _SUBDOMAIN_PATTERN.fullmatch(name) is not None


def _is_rbac_name(name: str) -> bool:
    """Whether it is one segment of a path: `system:node-proxier` and `a b` are legal there."""
    wrong = name in {"", ".", ".."} or "/" in name or "%" in name or "\0" in name
    return not wrong and len(name) <= _RBAC_NAME_LIMIT
