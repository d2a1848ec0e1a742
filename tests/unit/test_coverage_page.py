"""Which known detections have a rule, as a page that is written from the rules themselves.

TOCSIN_UPDATE_DOCS=1 writes docs/coverage.md anew. The known detections are
`content/catalogue.json`; `content/catalogue-notes.yml` says of which a rule sees only a part, and
why some have none.
"""

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import msgspec

from tocsin.detect.minted import RULE as TOKEN_USED_ELSEWHERE
from tocsin.dialects.yaml import read_documents
from tocsin.rules.correlation import Correlation
from tocsin.rules.ir import Grade, Rule
from tocsin.runtime.rules import content_folder, load_rules

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"
ANCHORS = {
    "S": "SigmaHQ",
    "E": "Elastic",
    "P": "Panther",
    "F": "Falco",
    "St": "Stratus Red Team (techniques)",
}
State = Literal["weak", "elsewhere", "out"]


class Detection(msgspec.Struct, frozen=True):
    """A known detection, and who has it."""

    id: str
    title: str
    severity: str
    priority: int
    needs: str
    stateful: bool
    anchors: tuple[str, ...]


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a detection is seen only in part, by another part of Tocsin, or not at all."""

    state: State
    why: str


class _Catalogue(msgspec.Struct, frozen=True):
    notice: str
    detections: tuple[Detection, ...]


@cache
def known() -> _Catalogue:
    data = (content_folder() / "catalogue.json").read_bytes()
    return msgspec.json.decode(data, type=_Catalogue)


@cache
def shown() -> tuple[Detection, ...]:
    """Return the detections that audit events can show."""
    return tuple(one for one in known().detections if one.needs != "CloudTrail")


@cache
def notes() -> dict[str, Note]:
    path = content_folder() / "catalogue-notes.yml"
    (document,) = read_documents(path.read_text(), str(path))
    return msgspec.convert(document.value, dict[str, Note])


@cache
def rules() -> dict[str, list[Rule | Correlation]]:
    """Return the rules that stand for each detection."""
    loaded = load_rules([], grades=get_args(Grade))
    assert not loaded.faults
    found: dict[str, list[Rule | Correlation]] = {}
    told: list[Rule | Correlation] = [*loaded.rules, TOKEN_USED_ELSEWHERE]
    for rule in [*told, *loaded.correlations]:
        for one in rule.catalogue:
            found.setdefault(one, []).append(rule)
    return found


def state(one: Detection) -> str:
    """Return `covered`, `weak` or `not`."""
    note = notes().get(one.id)
    if one.id in rules():
        return "weak" if note and note.state == "weak" else "covered"
    return "covered" if note and note.state == "elsewhere" else "not"


def count(detections: Sequence[Detection]) -> str:
    states = [state(one) for one in detections]
    cells = (len(states), states.count("covered"), states.count("weak"), states.count("not"))
    return " | ".join(map(str, cells))


def page() -> str:
    anchored = [one for one in shown() if one.anchors]
    head = "| detections | known | covered | weak | not |\n|---|---|---|---|---|"
    lines = [
        "# What is covered",
        "",
        "Detections over Kubernetes audit events that are known, from the rules of five projects "
        "and from what vendors and researchers describe, and which of them have a rule here. "
        "`weak` sees only a part of what it is for.",
        "",
        "Written by [tests/unit/test_coverage_page.py](../tests/unit/test_coverage_page.py); "
        "do not edit.",
        "",
        head,
        f"| that one of the five projects has | {count(anchored)} |",
        f"| all that an audit event can show | {count(shown())} |",
        *(
            f"| of priority {rank} | {count([one for one in shown() if one.priority == rank])} |"
            for rank in (1, 2, 3)
        ),
        "",
        "How many each of the five has, counted generously:",
        "",
        "| project | has | of these covered here | weak | not |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {count([one for one in shown() if key in one.anchors])} |"
            for key, name in ANCHORS.items()
        ),
        "",
        known().notice,
        "",
        "## Detections",
        "",
        "| priority | detection | severity | state | rules |",
        "|---|---|---|---|---|",
    ]
    for one in sorted(shown(), key=lambda one: (one.priority, one.title)):
        links = ", ".join(_link(rule) for rule in rules().get(one.id, []))
        note = notes().get(one.id)
        told = "; ".join(filter(None, [links, note.why if note else ""]))
        lines.append(f"| {one.priority} | {one.title} | {one.severity} | {state(one)} | {told} |")
    return "\n".join([*lines, ""]).replace("\\", "")


def _link(rule: Rule | Correlation) -> str:
    grade = "" if rule.grade == "core" else f" ({rule.grade})"
    if rule.dialect == "tocsin":
        return rule.title
    return f"[{rule.title}](../src/tocsin/content/{rule.at.path}){grade}"


def test_the_page_is_fresh() -> None:
    if os.environ.get("TOCSIN_UPDATE_DOCS"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page()


def test_rules_and_notes_name_known_detections() -> None:
    ids = {one.id for one in known().detections}
    assert not rules().keys() - ids
    assert not notes().keys() - ids


def test_notes_say_nothing_that_is_not_so() -> None:
    for name, note in notes().items():
        assert (name in rules()) is (note.state == "weak"), name


def test_what_is_not_covered_has_a_reason() -> None:
    missing = [one.id for one in shown() if state(one) == "not" and one.id not in notes()]
    assert not missing
