"""SigmaHQ's own Kubernetes rules on a recording: exactly what other engines find.

Three engines, two of them in Rust, agree on 142 matches. The rules stay outside of this
repository: TOCSIN_SIGMA_ORACLE names a folder with the 16 rule files of SigmaHQ/sigma
8eaafff1f and `sigma-on-seed-policy.jsonl.gz`, the matches.
"""

import gzip
import json
import os
from pathlib import Path

import pytest

from tests.attack.recordings import recording
from tocsin.dialects.sigma import load_sigma
from tocsin.normalize.decode import decode
from tocsin.normalize.fields import AUDIT
from tocsin.rules.dispatch import RuleSet
from tocsin.runtime.rules import load_rules

FOLDER = Path(os.environ.get("TOCSIN_SIGMA_ORACLE", "/nonexistent"))

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="TOCSIN_SIGMA_ORACLE names no folder with SigmaHQ's rules"
)

Match = tuple[str, str, str]


def expected_matches() -> list[Match]:
    packed = (FOLDER / "sigma-on-seed-policy.jsonl.gz").read_bytes()
    rows = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    return [(row["rule"], row["auditID"], row["stage"]) for row in rows]


def test_matches_are_those_of_other_engines() -> None:
    files = [(path.name, path.read_text()) for path in sorted(FOLDER.glob("*.yml"))]
    loaded = load_sigma(files, {})
    assert not loaded.faults
    assert len(loaded.rules) == len(files) == 16
    rules = RuleSet(loaded.rules, AUDIT)
    found: list[Match] = []
    for body in recording("seed-policy").bodies:
        for event in decode(body).events:
            hits = rules.match(event)
            found.extend((rules.rules[hit].id, event.audit_id, event.stage) for hit in hits)
    assert len(found) == 142
    assert sorted(found) == sorted(expected_matches())


def test_rules_that_can_never_match_are_reported() -> None:
    """Native audit events have no top-level `apiGroup`, `capabilities` or `hostPath`."""
    warned = {warning.field for warning in load_rules([FOLDER], builtin=False).warnings}
    assert {"apiGroup", "capabilities", "hostPath"} <= warned
