"""Audit policies mean here what they mean to the API server.

`auditpolicy/golden.jsonl.zst` holds what k8s.io/apiserver itself made of 309 policies and
their requests; `auditpolicy/generate.py` writes it anew.
"""

import json
from collections import Counter
from functools import cache
from typing import Any

import msgspec
import pytest
import yaml
import zstandard

from tests.attack.recordings import recording
from tests.conformance.auditpolicy.generate import GOLDEN
from tocsin.auditpolicy import Policy, Request, parse_policy
from tocsin.connect.policy import read_policy
from tocsin.model.errors import TocsinError
from tocsin.model.event import NO_OBJECT, NO_USER, AuditEvent
from tocsin.normalize.decode import decode


@cache
def golden() -> list[dict[str, Any]]:
    text = zstandard.decompress(GOLDEN.read_bytes())
    cases = [json.loads(line) for line in text.splitlines()]
    return [case | {"document": _read(case["policy"])} for case in cases]


def _read(text: str) -> object:
    return yaml.load(text, Loader=yaml.CSafeLoader)


def shipped(name: str) -> Policy:
    return read_policy(name)


def test_decisions_are_those_of_the_api_server() -> None:
    levels: Counter[str] = Counter()
    for case in golden():
        if case["error"]:
            continue
        policy = parse_policy(case["document"], "golden")
        for asked, (level, stages, managed, number) in zip(
            case["requests"], case["decisions"], strict=True
        ):
            found = policy.level_of(msgspec.convert(asked, Request))
            expected = (level, stages, managed, number or None)
            shown = (found.level, sorted(found.omit_stages), found.omit_managed_fields)
            assert (*shown, found.rule_number) == expected, (case["policy"], asked)
            levels[level] += 1
    assert {*levels} == {"None", "Metadata", "Request", "RequestResponse"}
    assert min(levels.values()) > 1000


def test_what_the_api_server_refuses_is_refused() -> None:
    refused = 0
    for case in golden():
        document = case["document"]
        if case["error"]:
            refused += 1
            with pytest.raises(TocsinError, match=r"^golden: "):
                parse_policy(document, "golden")
        else:
            parse_policy(document, "golden")
    assert refused > 30


def test_fields_are_ignored_that_the_api_server_warns_of() -> None:
    warned = 0
    for case in golden():
        if case["error"]:
            continue
        ignored = parse_policy(case["document"], "golden").ignored
        assert bool(ignored) == bool(case["warning"]), case["policy"]
        assert all(f'unknown field "{field}"' in case["warning"] for field in ignored)
        warned += bool(ignored)
    assert warned > 1


def test_recorded_events_have_the_level_that_their_policy_says() -> None:
    policy = shipped("seed")
    levels: Counter[str] = Counter()
    for body in recording("seed-policy").bodies:
        for event in decode(body).events:
            decision = policy.level_of(request_of(event))
            assert decision.level == event.level, event.request_uri
            assert event.stage not in decision.omit_stages
            levels[decision.level] += 1
    assert levels["Metadata"] > 1000
    assert levels["RequestResponse"] > 100


def request_of(event: AuditEvent) -> Request:
    """Return the request behind an event, as the policy saw it."""
    ref, user = event.object_ref or NO_OBJECT, event.user or NO_USER
    # The event has the name of what was created, from the body; the policy did not know it.
    unnamed = event.verb == "create" and ref.subresource is None
    return Request(
        verb=event.verb,
        api_group=ref.api_group or "",
        resource=ref.resource,
        subresource=ref.subresource or "",
        name="" if unnamed else ref.name or "",
        namespace=ref.namespace or "",
        user=user.username,
        groups=tuple(user.groups or ()),
        path=event.request_uri.partition("?")[0],
    )
