"""Wazuh's three expression languages: exactly what the real engine (v4.14.7) answers.

The rows here were made for this purpose. TOCSIN_WAZUH_ORACLE names a folder with a
`wazuh-regex.jsonl.gz` that has patterns of Wazuh's own ruleset too, which stays outside.
"""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tocsin.dialects.wazuh.expressions import Kind, PatternError, compile_expression

OWN = Path(__file__).parent / "wazuh" / "regex.jsonl.gz"
FOLDER = Path(os.environ.get("TOCSIN_WAZUH_ORACLE", "/nonexistent"))
KINDS: tuple[Kind, ...] = ("osmatch", "osregex", "pcre2")

Row = dict[str, object]


def rows(path: Path, kind: Kind) -> Iterator[Row]:
    for line in gzip.decompress(path.read_bytes()).splitlines():
        row: Row = json.loads(line)
        if row["type"] == kind:
            yield row


def answer(kind: Kind, row: Row) -> tuple[object, ...]:
    """Return what we say, in the terms of a row: compiles, match, end, groups."""
    try:
        expression = compile_expression(kind, str(row["pattern"]), strict=True)
    except PatternError:
        return (False, None, None, None)
    text = str(row["string"]).encode()
    found = expression.search(text)
    assert expression.matches(text) is (found is not None)
    if found is None:
        return (True, False, None, None)
    return (True, True, found.end, [group.decode() for group in found.groups])


def expected(kind: Kind, row: Row) -> tuple[object, ...]:
    # osmatch has no end; the engine leaves there what the caller had put.
    end = None if kind == "osmatch" else row["end"]
    return (row["compiles"], row["match"], end, row["groups"])


def differences(path: Path, kind: Kind) -> list[tuple[object, ...]]:
    return [
        (row["pattern"], row["string"], answer(kind, row), expected(kind, row))
        for row in rows(path, kind)
        if answer(kind, row) != expected(kind, row)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_the_real_engine(kind: Kind) -> None:
    assert differences(OWN, kind) == []


@pytest.mark.skipif(
    not (FOLDER / "wazuh-regex.jsonl.gz").is_file(),
    reason="TOCSIN_WAZUH_ORACLE names no folder with wazuh-regex.jsonl.gz",
)
@pytest.mark.parametrize(("kind", "count"), [("osmatch", 1000), ("osregex", 1550), ("pcre2", 1450)])
def test_answers_for_the_ruleset_are_those_of_the_real_engine(kind: Kind, count: int) -> None:
    path = FOLDER / "wazuh-regex.jsonl.gz"
    assert sum(1 for _ in rows(path, kind)) == count
    assert differences(path, kind) == []
