"""Texts that are made to cost an expression as much as they can: S10 of docs/guarantees.md."""

import json
from collections.abc import Iterator

from tocsin.dialects.wazuh.conditions import InField, InLog, InValue
from tocsin.dialects.wazuh.expressions import Expression
from tocsin.dialects.wazuh.install import Installation
from tocsin.dialects.wazuh.plaintext import pieces


def expressions(installation: Installation) -> dict[str, Expression]:
    """Return the expressions of all decoders and rules, each once, by who has it."""
    found: dict[tuple[str, str], tuple[str, Expression]] = {}
    for root in installation.decoders.tree.without_program:
        for decoder in (root, *root.children):
            for expression in (decoder.prematch, decoder.regex):
                if expression is not None:
                    known = f"decoder {decoder.name}", expression
                    found.setdefault((expression.kind, expression.pattern), known)
    for rule in installation.tree.rules():
        for condition in rule.conditions:
            if isinstance(condition, InField | InLog | InValue):
                expression = condition.expression
                known = f"rule {rule.id}", expression
                found.setdefault((expression.kind, expression.pattern), known)
    return dict(found.values())


def texts(expression: Expression, size: int) -> Iterator[str]:
    """Yield texts of about `size` characters: repeated literals, near misses, one in another."""
    parts = [part.text for part in pieces(expression.pattern) if part.text]
    if not parts:
        parts = [part for part in expression.pattern.replace("\\", "").split("|") if part]
    parts = parts or ["x"]
    yield from (_repeated(part, size) for part in dict.fromkeys((parts[0], parts[-1])))
    yield _repeated("".join(parts[:-1]) or parts[0], size)
    yield _repeated("".join(parts)[:-1] + "~", size)
    share = size // len(parts)
    yield "".join(_repeated(part, share) for part in parts[:-1]) + parts[-1][:-1]
    yield _repeated("".join(f"{part}~" for part in parts), size)


def events(size: int) -> dict[str, bytes]:
    """Return whole events of about `size` bytes."""
    near = {"verb": "create", "securityContext": {"privileged": False}}
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "n", "labels": {}}}
    many = {
        "near misses": {"verb": "create", "items": _times(near, size)},
        "creations": {"items": _times({"verb": "create", "resource": "pods"}, size)},
        "deletions": {"items": _times({"verb": "delete", "resource": "pod"}, size)},
        "pods": {"items": _times(pod, size)},
        "one text": {"verb": '"verb": "create""resource": "pods"' * (size // 40)},
    }
    found = {name: json.dumps(document).encode() for name, document in many.items()}
    found["too deep"] = b'{"a":' * (size // 5)
    found["open text"] = b'{"verb": "create", "x": "' + b'"verb": "create"' * (size // 16)
    return found


def _repeated(text: str, size: int) -> str:
    return text * max(1, size // len(text))


def _times(item: object, size: int) -> list[object]:
    return [item] * max(1, size // len(json.dumps(item)))
