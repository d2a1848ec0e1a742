"""A4: responses over kill -9: at most one effective change per object, and no end unknown.

The responder runs in a process of its own, over a real journal and store, against an API server
over HTTP that notes every change which took effect. It is killed at each of its steps.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.robustness.respond_child import api_server, responding, wait_for
from tests.unit.respond.bench import KEY, Bench, pod, settings
from tests.unit.respond.fakecluster import FakeApi
from tocsin.failpoint import names
from tocsin.model.alert import Actor, Target
from tocsin.model.rbac import RBAC
from tocsin.model.response import ObjectRef
from tocsin.respond.chain import Head, journal_key
from tocsin.respond.journal import Journal

ROUNDS = 100 if os.environ.get("TOCSIN_LONG") else int(os.environ.get("TOCSIN_ROUNDS", "20"))
AT_ONCE = 20
# So long it is waited for what should not happen: another line in the journal.
REST_SECONDS = 0.3
NO_END = {"refused", "failed"}
_UNDOING = {"respond.after_undoing", "respond.before_undone", "respond.after_undone"}
# Deletes the pod, with no access but the kubeconfig that it is given.
_SCRIPT = """#!{python}
import json, os, urllib.request
server = json.load(open(os.environ["KUBECONFIG"]))["clusters"][0]["cluster"]["server"]
path = "/api/v1/namespaces/shop/pods/web"
urllib.request.urlopen(urllib.request.Request(server + path, method="DELETE"), timeout=5)
"""


@dataclass(frozen=True)
class Case:
    """An action, the alert that asks for it, and the objects it finds.

    Attributes:
        target: the object of the alert.
        undone: whether it is undone by itself afterwards.
        objects: what is there, with its parts besides the metadata's usual ones.
        user: who made the request of the alert.
        asks: whether a person decides where it is not known how much of it was done: a program
            is never run again, nor is what is half done and cannot be.
        changes: how often each verb takes effect, on all objects together.
    """

    target: ObjectRef
    changes: Mapping[str, int]
    undone: bool = True
    objects: Mapping[ObjectRef, Mapping[str, Any]] = field(default_factory=dict)
    user: str = "alice"
    asks: bool = False


def _binding(name: str) -> ObjectRef:
    return ObjectRef(api_group=RBAC, resource="clusterrolebindings", name=name)


_WORKLOAD = ObjectRef(api_group="apps", resource="deployments", namespace="shop", name="web")
_NODE = ObjectRef(resource="nodes", name="n1")
_ACCOUNT = ObjectRef(resource="serviceaccounts", namespace="shop", name="builder")
_SECRET = ObjectRef(resource="secrets", namespace="shop", name="builder-token-ab1cd")
_BINDS = {
    "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"},
    "subjects": [{"kind": "ServiceAccount", "name": "builder", "namespace": "shop"}],
}
_POD = {pod(): {"kind": "Pod", "metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}}
CASES = {
    "delete_pod": Case(pod(), {"delete": 1}, undone=False, objects=_POD),
    "isolate_pod": Case(pod(), {"create": 1, "patch": 2, "delete": 1}, objects=_POD, asks=True),
    "scale_owner": Case(_WORKLOAD, {"patch": 2}, objects={_WORKLOAD: {"spec": {"replicas": 3}}}),
    "cordon_node": Case(_NODE, {"patch": 2}, objects={_NODE: {"spec": {}}}),
    "delete_binding": Case(
        _binding("b1"), {"delete": 1, "create": 1}, objects={_binding("b1"): _BINDS}
    ),
    "revoke_account": Case(
        pod(),
        {"delete": 3, "create": 2},
        objects={
            _ACCOUNT: {
                "metadata": {"creationTimestamp": "2026-01-02T03:04:05Z"},
                "secrets": [{"name": _SECRET.name}],
            },
            _SECRET: {},
            _binding("b1"): _BINDS,
            _binding("b2"): _BINDS,
        },
        user="system:serviceaccount:shop:builder",
    ),
    "command": Case(pod(), {"delete": 1}, undone=False, objects=_POD, asks=True),
}
STEPS = [name for name in names() if name.startswith("respond.") or name == "journal.after_write"]
# How often a step is passed at most, there and back; a line of the journal is written at each.
VISITS = {"journal.after_write": 20}
WAYS = [
    (action, step)
    for action, case in CASES.items()
    for step in STEPS
    if case.undone or step not in _UNDOING
]


def history(folder: Path) -> list[tuple[str | None, str]]:
    """Return the lines of the journal: the state that begins there, if one does, and the text."""
    try:
        lines = (folder / "journal.jsonl").read_bytes().split(b"\n")[:-1]
    except OSError:
        return []
    entries = [msgspec.json.decode(line) for line in lines]
    return [(entry["state"], entry["text"]) for entry in entries]


def end_of(folder: Path) -> str:
    """Return the state that the journal ends with; `asked` if a person was asked to decide."""
    found = history(folder)
    if found and found[-1][1].startswith("a person has to decide"):
        return "asked"
    return next((state for state, _ in reversed(found) if state), "")


def rests(folder: Path) -> bool:
    """Return whether nothing more is written for a moment."""
    size = (folder / "journal.jsonl").stat().st_size
    time.sleep(REST_SECONDS)
    return size == (folder / "journal.jsonl").stat().st_size


@pytest.mark.robustness
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("action", "step"), WAYS)
def test_a4_killed_at_every_step(tmp_path: Path, step: str, action: str) -> None:
    def run(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        one_round(folder, f"{step}:kill:{1 + number % VISITS.get(step, 2)}", action)

    # A round mostly waits: for what should happen, and for what should not.
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(run, range(ROUNDS)))


def one_round(folder: Path, failpoint: str, action: str) -> None:
    """Respond to one alert, killed once on the way; then look at what took effect."""
    case, api = CASES[action], FakeApi()
    for ref, parts in case.objects.items():
        api.add(ref, **parts)
    before = look(api)
    given = settings(
        actions=[{"command": command(folder)} if action == "command" else action],
        rule={"undo_after_seconds": 0.1} if case.undone else {},
    )
    bench = Bench(folder, given, api)
    bench.record.show()
    target = case.target
    live = api.get(target.path)
    where = Target(
        "create",
        target.api_group,
        target.resource,
        None,
        target.namespace,
        target.name,
        live["metadata"]["uid"] if live else None,
    )
    bench.alert(target=where, actor=Actor(user=case.user))
    bench.close()
    wanted = {"undone"} if case.undone else {"done"}
    if case.asks:
        wanted.add("asked")
    with api_server(api) as port:
        with responding(folder, port, given, failpoint) as process:
            wait_for(lambda: not process.is_alive() or end_of(folder) in wanted | NO_END)
        with responding(folder, port, given):
            wait_for(lambda: end_of(folder) in wanted | NO_END and rests(folder))
    assert end_of(folder) in wanted, (history(folder), api.changes)
    journal = Journal(folder / "journal.jsonl", journal_key(KEY))
    assert isinstance(journal.head, Head)
    journal.close()
    check(case, api, before, asked=end_of(folder) == "asked")


def check(case: Case, api: FakeApi, before: Mapping[str, Any], *, asked: bool) -> None:
    """Look at what took effect: everything once, and after the way back all is as before."""
    made = Counter(change.verb for change in api.changes)
    deleted = [change.uid for change in api.changes if change.verb == "delete"]
    assert len(deleted) == len(set(deleted))
    if asked:
        assert all(made[verb] <= number for verb, number in case.changes.items()), made
        return
    assert made == case.changes
    if case.undone:
        after = look(api)
        assert after == {path: parts for path, parts in before.items() if path in after}
        assert before.keys() - after.keys() <= {_SECRET.path}, "what cannot be undone"


def look(api: FakeApi) -> dict[str, Any]:
    """Return all objects, but for what the API server itself writes into them."""
    own = {"uid", "resourceVersion"}
    return {
        path: {
            part: {key: one for key, one in value.items() if key not in own}
            if part == "metadata"
            else value
            for part, value in found.items()
            if part not in {"kind", "apiVersion"}
        }
        for path, found in api.objects.items()
    }


def command(folder: Path) -> dict[str, object]:
    """Return the parameters of a program that deletes the pod."""
    program = folder / "remove"
    program.write_text(_SCRIPT.format(python=sys.executable))
    program.chmod(0o755)
    return {"executable": str(program), "arguments": ["$(pod)"], "verbs": ["delete"]}
