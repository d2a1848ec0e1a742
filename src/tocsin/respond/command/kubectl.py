"""Understand kubectl's arguments: which verb on which object, and nothing that is not understood.

Pure. The proxy holds whatever was planned; this is why the plan is right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from tocsin.model.response import ObjectRef
from tocsin.model.text import visible
from tocsin.respond.actions.base import Refusal

NAME: Final = "kubectl"

Changes = Literal["delete", "patch"]

_VERBS: Final[Mapping[str, Changes]] = {
    "delete": "delete",
    "patch": "patch",
    "label": "patch",
    "annotate": "patch",
    "scale": "patch",
    "cordon": "patch",
    "uncordon": "patch",
}
# Those whose words after the object say what to set.
_WITH_PAIRS = frozenset({"label", "annotate"})
_ON_NODES = frozenset({"cordon", "uncordon"})
_WITH_VALUE = frozenset(
    {"-n", "--namespace", "-p", "--patch", "--type", "--replicas", "--grace-period", "--cascade"}
    | {"--timeout", "--request-timeout", "--current-replicas", "-o", "--output", "--field-manager"}
    | {"--dry-run"}
)
_ALONE = frozenset({"--now", "--force", "--ignore-not-found", "--overwrite", "--wait"})
# Names, short names and kinds, by group.
_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "": (
        "pods pod po",
        "nodes node no",
        "services service svc",
        "serviceaccounts serviceaccount sa",
        "configmaps configmap cm",
        "secrets secret",
        "namespaces namespace ns",
        "replicationcontrollers replicationcontroller rc",
        "persistentvolumeclaims persistentvolumeclaim pvc",
    ),
    "apps": (
        "deployments deployment deploy",
        "replicasets replicaset rs",
        "statefulsets statefulset sts",
        "daemonsets daemonset ds",
    ),
    "batch": ("jobs job", "cronjobs cronjob cj"),
    "networking.k8s.io": ("networkpolicies networkpolicy netpol", "ingresses ingress ing"),
    "rbac.authorization.k8s.io": (
        "roles role",
        "rolebindings rolebinding",
        "clusterroles clusterrole",
        "clusterrolebindings clusterrolebinding",
    ),
}
_RESOURCES: Final[Mapping[str, tuple[str, str]]] = {
    word: (group, names.split()[0])
    for group, listed in _KINDS.items()
    for names in listed
    for word in (*names.split(), f"{names.split()[0]}.{group}")
}
_CLUSTER_WIDE = frozenset({"nodes", "namespaces", "clusterroles", "clusterrolebindings"})


@dataclass(frozen=True, slots=True)
class Meant:
    """What a command line asks for: a verb of the API on one object."""

    verb: Changes
    target: ObjectRef


@dataclass(slots=True)
class _Read:
    """What was read of a command line."""

    words: list[str] = field(default_factory=list)
    namespace: str = "default"


def understand(arguments: Sequence[str]) -> Meant | Refusal:
    """Return what kubectl would do with these arguments."""
    read = _read(arguments)
    if isinstance(read, Refusal):
        return read
    if not read.words:
        return Refusal("kubectl is given no command")
    command, *words = read.words
    verb = _VERBS.get(command)
    if verb is None:
        known = ", ".join(sorted(_VERBS))
        return Refusal(f"kubectl {_shown(command)} is not among what may be run: {known}")
    named = _object(["nodes", *words] if command in _ON_NODES else words, command)
    if isinstance(named, Refusal):
        return named
    group, resource, name = named
    namespace = None if resource in _CLUSTER_WIDE else read.namespace
    target = ObjectRef(api_group=group, resource=resource, namespace=namespace, name=name)
    return Meant(verb, target)


def _read(arguments: Sequence[str]) -> _Read | Refusal:
    """Tell words from options; an option that is not known could mean any object."""
    read = _Read()
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            read.words.append(word)
            continue
        option, equals, value = word.partition("=")
        if option in _ALONE and value in ("", "true", "false"):
            continue
        if option not in _WITH_VALUE:
            return Refusal(f"the option {_shown(option)} of kubectl may not be used")
        if not equals:
            if not rest:
                return Refusal(f"the option {option} of kubectl has no value")
            value = rest.pop(0)
        if option in ("-n", "--namespace"):
            read.namespace = value
    return read


def _object(words: Sequence[str], command: str) -> tuple[str, str, str] | Refusal:
    """Return group, resource and name of the one object that the words name."""
    kind, slash, name = words[0].partition("/") if words else ("", "", "")
    rest = list(words[1:])
    if not slash:
        name = rest.pop(0) if rest else ""
    if command in _WITH_PAIRS:
        rest = [word for word in rest if "=" not in word and not word.endswith("-")]
    if not name or rest or "/" in name or "," in kind:
        return Refusal("kubectl has to be given one object, by its name")
    found = _RESOURCES.get(kind.lower())
    if found is None:
        return Refusal(f"kubectl's {_shown(kind)} is no kind of object that is known here")
    return (*found, name)


def _shown(text: str) -> str:
    return repr(visible(text[:60]))
