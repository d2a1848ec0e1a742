"""The files that somebody brings: which is which, and what stands in them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tocsin.connect.files import decode_text, read_required
from tocsin.connect.yamltext import parse_mapping
from tocsin.model.errors import TocsinError


@dataclass(frozen=True, slots=True)
class Found:
    """One file: its text, and the document in it."""

    path: Path
    text: str
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Brought:
    """What somebody has; there is at least one of the two."""

    kubeconfig: Found | None = None
    policy: Found | None = None


def read_files(paths: Iterable[Path]) -> Brought:
    """Tell the files apart, in whatever order they come.

    Raises:
        TocsinError: a file cannot be read, is neither, or there are two of one kind.
    """
    found: dict[str, Found] = {}
    for path in paths:
        text = decode_text(read_required(path), path)
        document = parse_mapping(text, str(path))
        kind = _kind(document, path)
        if kind in found:
            message = f"{found[kind].path} and {path} are both {_NAMES[kind]}: give one"
            raise TocsinError(message)
        found[kind] = Found(path, text, document)
    return Brought(found.get("kubeconfig"), found.get("policy"))


_NAMES = {"kubeconfig": "webhook kubeconfigs", "policy": "audit policies"}


def _kind(document: dict[str, Any], path: Path) -> str:
    kind = document.get("kind")
    if kind == "Config" or (kind is None and "clusters" in document):
        return "kubeconfig"
    if kind == "Policy" or (kind is None and "rules" in document):
        return "policy"
    message = (
        f"{path} is neither a webhook kubeconfig (kind: Config) nor an audit policy "
        f"(kind: Policy), but {kind!r}"
    )
    if kind == "Pod":
        message += "; for the API server's manifest see `tocsin setup --manifest`"
    raise TocsinError(message)
