"""Policies and requests on which the API server's evaluator and ours are compared.

The shipped policies, odd ones that real people write, and random ones; the requests are drawn
from the words of each policy, so that they meet its rules and miss them narrowly.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

import tocsin

HEAD = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy"}
HEAD_TEXT = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
ONE_RULE = "rules:\n- level: Metadata\n"
SHIPPED = Path(tocsin.__file__).parent / "content" / "policies"
REQUESTS_PER_POLICY = 60
RANDOM_POLICIES = 250

LEVELS = ("None", "Metadata", "Request", "RequestResponse")
STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
USERS = ("alice", "system:kube-proxy", "system:anonymous", "")
GROUPS = ("system:authenticated", "system:nodes", "system:masters")
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "*")
API_GROUPS = ("", "apps", "rbac.authorization.k8s.io", "example.com", "*")
RESOURCES = (
    "pods", "pods/*", "pods/exec", "*/exec", "*/scale", "*", "*/*", "/exec", "pods/", "secrets",
    "deployments/scale", "deployments", "",
)  # fmt: skip
NAMES = ("web", "kubeadm-config", "")
NAMESPACES = ("kube-system", "shop", "")
URLS = ("/healthz*", "/metrics", "/", "/*", "*", "/api/v1*", "/version")
PATHS = ("/healthz", "/healthz/etcd", "/metrics", "/metrics/x", "/", "", "/api/v1/pods", "/version")

# As found in the wild: what Falco's documentation had, and the slips that people make.
ODD = (
    """\
rules:
- level: None
  users: ["system:kube-proxy"]
  verbs: [watch]
  resources: [{group: "", resources: [endpoints, services]}]
- level: None
  userGroups: ["system:authenticated"]
  nonResourceURLs: ["/api*", "/version"]
- level: RequestResponse
  resources: [{group: "", resources: [pods, deployments]}]
- level: Request
  resources: [{group: ""}]
- level: Metadata
  omitStages: [RequestReceived]
""",
    "rules:\n- level: Metadata\n  resources: [{resources: [pods], verbs: [create]}]\n",
    "rules:\n- level: Metadata\n  namespaces: ['']\n- level: Request\n  namespaces: [shop]\n",
    "rules:\n- level: Metadata\n  resources: [null, {group: apps}]\n- level: None\n",
    "rules:\n- level: Metadata\n  verbs: [null]\n",
    "rules:\n- level: Metadata\n  verbs: []\n  users: null\n",
    "rules:\n- level: Request\n  omitManagedFields: false\nomitManagedFields: true\n",
    "rules:\n- level: Request\n  omitManagedFields: null\nomitManagedFields: yes\n",
    "rules:\n- {level: None, verbs: [get]}\nomitStages: [Panic]\nomitManagedFields: true\n",
    "foo: 1\nmetadata: {name: x, labels: {a: b}}\n" + ONE_RULE,
)

# Most of them the API server does not start with.
BROKEN = (
    "", "rules: []\n", "rules: null\n", "rules: {}\n", "rules: [null]\n", "rules: [{}]\n",
    "rules:\n- level: metadata\n", "rules:\n- Level: Metadata\n", "rules:\n- level: ''\n",
    ONE_RULE + "  verbs: get\n", ONE_RULE + "  verbs: [on]\n", ONE_RULE + "  users: [1]\n",
    ONE_RULE + "  users: {}\n", ONE_RULE + "  omitManagedFields: 'true'\n",
    ONE_RULE + "  omitManagedFields: 1\n", ONE_RULE + "  omitStages: [null]\n",
    ONE_RULE + "  omitStages: [Complete]\n", ONE_RULE + "omitStages: [requestreceived]\n",
    ONE_RULE + "omitStages: RequestReceived\n", ONE_RULE + "metadata: {name: 5}\n",
    ONE_RULE + "metadata: []\n", ONE_RULE + "  resources: {group: ''}\n",
    ONE_RULE + "  resources: [pods]\n", ONE_RULE + "  resources: [{group: Apps}]\n",
    ONE_RULE + "  resources: [{group: apps/v1}]\n", ONE_RULE + "  resources: [{group: 1}]\n",
    ONE_RULE + f"  resources: [{{group: {'a' * 254}}}]\n",
    ONE_RULE + "  resources: [{group: -a}]\n", ONE_RULE + "  resources: [{group: a..b}]\n",
    ONE_RULE + "  resources: [{resourceNames: [a]}]\n",
    ONE_RULE + "  nonResourceURLs: ['']\n", ONE_RULE + "  nonResourceURLs: [null]\n",
    ONE_RULE + "  nonResourceURLs: ['/a*b']\n", ONE_RULE + "  nonResourceURLs: ['x*']\n",
    ONE_RULE + "  nonResourceURLs: ['/a**']\n", ONE_RULE + "  nonResourceURLs: ['**']\n",
    ONE_RULE + "  nonResourceURLs: [/a]\n  namespaces: [b]\n",
    ONE_RULE + "  nonResourceURLs: [/a]\n  resources: [{}]\n",
)  # fmt: skip

# Nothing of these is a policy that can be loaded.
NO_POLICIES = (
    "", "[]", "a", "kind: Policy\n" + ONE_RULE, "apiVersion: audit.k8s.io/v1\n" + ONE_RULE,
    "apiVersion: audit.k8s.io/v1beta1\nkind: Policy\n" + ONE_RULE,
    "apiVersion: audit.k8s.io/v1\nkind: Event\n" + ONE_RULE,
    "apiVersion: audit.k8s.io/v1\nkind: policy\n" + ONE_RULE,
    "apiVersion: v1\nkind: Config\n",
)  # fmt: skip


def questions() -> Iterator[dict[str, Any]]:
    """Yield policies as text, each with the requests to judge by it; always the same ones."""
    draw = random.Random(36)
    shipped = [path.read_text() for path in sorted(SHIPPED.glob("*.yaml"))]
    odd = [HEAD_TEXT + text for text in ODD]
    for policy in (*shipped, *odd):
        yield {"policy": policy, "requests": [_near(draw, policy) for _ in range(600)]}
    for text in (*(HEAD_TEXT + text for text in BROKEN), *NO_POLICIES):
        yield {"policy": text, "requests": [_request(draw)]}
    for _ in range(RANDOM_POLICIES):
        policy = yaml.safe_dump(_policy(draw), sort_keys=False)
        requests = [_request(draw) for _ in range(REQUESTS_PER_POLICY)]
        yield {"policy": policy, "requests": requests}


def _some(draw: random.Random, words: tuple[str, ...], most: int = 3) -> list[str]:
    return draw.sample(words, draw.randint(1, min(most, len(words))))


def _policy(draw: random.Random) -> dict[str, Any]:
    policy: dict[str, Any] = dict(HEAD)
    policy["rules"] = [_rule(draw) for _ in range(draw.randint(1, 6))]
    if draw.random() < 0.4:
        policy["omitStages"] = _some(draw, STAGES)
    if draw.random() < 0.4:
        policy["omitManagedFields"] = draw.random() < 0.5
    return policy


def _rule(draw: random.Random) -> dict[str, Any]:
    rule: dict[str, Any] = {"level": draw.choice(LEVELS)}
    for key, words, chance in (
        ("users", USERS, 0.25),
        ("userGroups", GROUPS, 0.25),
        ("verbs", VERBS, 0.5),
        ("omitStages", STAGES, 0.3),
    ):
        if draw.random() < chance:
            rule[key] = _some(draw, words)
    if draw.random() < 0.3:
        rule["omitManagedFields"] = draw.random() < 0.5
    rule.update(_target(draw))
    return rule


def _target(draw: random.Random) -> dict[str, Any]:
    chance = draw.random()
    if chance < 0.2:
        return {"nonResourceURLs": _some(draw, URLS)}
    if chance < 0.3:
        return {}
    target: dict[str, Any] = {}
    if draw.random() < 0.8:
        target["resources"] = [_resources(draw) for _ in range(draw.randint(1, 3))]
    if draw.random() < 0.3:
        target["namespaces"] = _some(draw, NAMESPACES)
    return target


def _resources(draw: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if draw.random() < 0.9:
        found["group"] = draw.choice(API_GROUPS)
    if draw.random() < 0.8:
        found["resources"] = _some(draw, RESOURCES)
        if draw.random() < 0.3:
            found["resourceNames"] = _some(draw, NAMES)
    return found


def _request(draw: random.Random) -> dict[str, Any]:
    if draw.random() < 0.2:
        found: dict[str, Any] = {"verb": draw.choice(("get", "post")), "path": draw.choice(PATHS)}
    else:
        resource, _, subresource = draw.choice(RESOURCES[:3] + RESOURCES[9:12]).partition("/")
        found = {
            "verb": draw.choice(VERBS[:-1]),
            "api_group": draw.choice(API_GROUPS[:-1]),
            "resource": resource,
            "subresource": subresource.replace("*", "log"),
            "name": draw.choice(NAMES),
            "namespace": draw.choice(NAMESPACES),
        }
    return found | _caller(draw)


def _caller(draw: random.Random) -> dict[str, Any]:
    if draw.random() < 0.05:
        return {}
    return {
        "user": draw.choice(USERS),
        "groups": _some(draw, GROUPS) if draw.random() < 0.8 else [],
    }


def _near(draw: random.Random, policy: str) -> dict[str, Any]:
    """Return a request about what one of the policy's rules names, or nearly so."""
    rule = draw.choice(yaml.safe_load(policy)["rules"])
    found = _request(draw)
    entry = draw.choice(rule.get("resources") or [None]) or {}
    if rule.get("nonResourceURLs"):
        url = draw.choice(rule["nonResourceURLs"]).replace("*", draw.choice(("", "/x", "x")))
        found = {"verb": found["verb"], "path": url, **_caller(draw)}
    elif "resource" in found:
        found["api_group"] = entry.get("group") or ""
        named = draw.choice(entry.get("resources") or ["pods", "leases", "roles"])
        found["resource"], _, part = named.partition("/")
        found["subresource"] = draw.choice((part, part, "status", "exec"))
        found["name"] = draw.choice([*(entry.get("resourceNames") or [""]), "web"])
        found["namespace"] = draw.choice([*(rule.get("namespaces") or [""]), "kube-system"])
    for key, field in (("users", "user"), ("verbs", "verb")):
        if rule.get(key) and draw.random() < 0.8:
            found[field] = draw.choice(rule[key]) or ""
    if rule.get("userGroups") and draw.random() < 0.8:
        found["groups"] = [draw.choice(rule["userGroups"])]
        found.setdefault("user", "alice")
    return found
